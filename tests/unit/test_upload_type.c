/*
 * test_upload_type.c: what a file is, by name and by content.
 *
 * Without it a page with a script could be stored as a picture, a program as a
 * paper, a document with macros as one without, and be handed out with our
 * word for it.  Real files are in tests/unit/files; the others are made here.
 */

#define _GNU_SOURCE

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zip.h>

#include "worker/files/upload/upload_type.h"

#define FILES  "tests/unit/files/"
#define DOCX   "application/vnd.openxmlformats-officedocument."              \
               "wordprocessingml.document"
#define PPTX   "application/vnd.openxmlformats-officedocument."              \
               "presentationml.presentation"
#define MAIN   "<Types><Override PartName=\"/word/document.xml\" "            \
               "ContentType=\"" DOCX ".main+xml\"/>"

static type_magic_t  *magic;


static int
file_of(const void *p, size_t n)
{
    int  fd;

    fd = memfd_create("file", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t) n);

    return fd;
}


static type_rc_t
check(const void *p, size_t n, const char *name, upload_type_t *t)
{
    int        fd;
    type_rc_t  rc;

    fd = file_of(p, n);
    rc = upload_type_check(magic, fd, name, NULL, 0, t);
    close(fd);

    return rc;
}


typedef struct {
    const char   *file;
    const char   *name;
    const char   *mime;
    type_kind_t   kind;
} real_t;

static const real_t  real[] = {
    { "paper.pdf", "Paper.PDF", "application/pdf", TYPE_PDF },
    { "letter.docx", "letter.docx", DOCX, TYPE_OTHER },
    { "slides.pptx", "slides.pptx", PPTX, TYPE_OTHER },
    { "house.jpg", "house.jpg", "image/jpeg", TYPE_JPEG },
    { "house.jpg", "house.JPEG", "image/jpeg", TYPE_JPEG },
    { "shapes.png", "shapes.png", "image/png", TYPE_PNG },
    { "moving.gif", "moving.gif", "image/gif", TYPE_GIF },
    { "README.md", "readme.txt", "text/plain; charset=utf-8", TYPE_OTHER }
};


/* Each is what it is, and nothing else. */
static void
real_files(void **state)
{
    int            fd;
    char           path[128];
    size_t         i, j;
    upload_type_t  t;

    static const char  *others[] = {
        "a.pdf", "a.docx", "a.pptx", "a.txt", "a.jpg", "a.jpeg", "a.png",
        "a.gif"
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(real); i++) {
        snprintf(path, sizeof(path), FILES "%s", real[i].file);
        fd = open(path, O_RDONLY);
        assert_true(fd >= 0);

        if (upload_type_check(magic, fd, real[i].name, NULL, 0, &t)
            != TYPE_OK)
        {
            fail_msg("%s: %s", real[i].name, t.text);
        }

        assert_string_equal(t.mime, real[i].mime);
        assert_int_equal(t.kind, real[i].kind);

        for (j = 0; j < UNIT_COUNT(others); j++) {
            if (upload_type_check(magic, fd, others[j], NULL, 0, &t)
                == TYPE_OK)
            {
                assert_string_equal(t.mime, real[i].mime);

            } else {
                assert_null(t.mime);
                assert_non_null(strstr(t.text, "content"));
            }
        }

        close(fd);
    }
}


static void
rooms(void **state)
{
    int            fd;
    upload_type_t  t;

    static const char  *some[] = { ".pdf", ".TXT" };

    (void) state;

    fd = file_of("hello", 5);
    assert_int_equal(upload_type_check(magic, fd, "a.txt", some, 2, &t),
                     TYPE_OK);
    assert_int_equal(upload_type_check(magic, fd, "a.txt", some, 1, &t),
                     TYPE_REFUSED);
    assert_string_equal(t.text, ".txt files are not allowed in this "
                        "conversation");
    assert_int_equal(upload_type_check(magic, fd, "a.txt", some, 0, &t),
                     TYPE_REFUSED);
    close(fd);

    assert_int_equal(upload_type_check(magic, -1, "a.txt", NULL, 0, &t),
                     TYPE_FAILED);
}


typedef struct {
    const char  *name;
    const char  *content;
    size_t       n;
    const char  *text;          /* part of the refusal; NULL: it is taken */
} made_t;

#define C(s)  s, sizeof(s) - 1
#define GIF   "GIF89a\1\0\1\0\x80\0\0\0\0\0\377\377\377"
#define GIF1  "!\371\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
#define PNG   "\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"   \
              "\x90wS\xDE"
#define MZ    "MZ\x90\0\3\0\0\0\4\0\0\0\377\377\0\0\xB8\0\0\0\0\0\0\0@\0"

static const made_t  made[] = {
    { "a", C("hello"), "files must be" },
    { "a.exe", C(MZ), "files must be" },
    { "a.svg", C("<svg/>"), "files must be" },
    { "a.html", C("<html>"), "files must be" },
    { "a.zip", C("PK\3\4"), "files must be" },
    { "a.pdf.exe", C("%PDF-1.4"), "files must be" },
    { "a.txt", C("hello\n"), NULL },

    /* programs, pages, scripts under another name */
    { "a.pdf", C(MZ), "not that of a .pdf" },
    { "a.png", C(MZ), "not that of a .png" },
    { "a.docx", C(MZ), "not that of a .docx" },
    { "a.pdf", C("\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0>\0"), "not that" },
    { "a.png", C("<html><script>alert(1)</script></html>"), "not that" },
    { "a.jpg", C("<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), "not that" },
    { "a.gif", C("#!/bin/sh\nrm -rf /\n"), "not that" },

    /* two things at once */
    { "a.gif", C(GIF GIF1), NULL },
    { "a.gif", C("GIF89a/*<script>*/=1;alert(1)//</script>"), "HTML in it" },
    { "a.gif", C(GIF "!\376\x1B<ScRiPt>alert(1);</sCrIpT>\0" GIF1),
      "HTML in it" },
    { "a.gif", C(GIF GIF1 "<html ><body onload=x()>"), "HTML in it" },
    { "a.png", C(PNG), NULL },
    { "a.png", C(PNG "<!DOCTYPE html>"), "HTML in it" },
    { "a.png", C("\n" PNG), "not that" },
    { "a.pdf", C("%PDF-1.4\n1 0 obj\n"), NULL },
    { "a.pdf", C("\n%PDF-1.4\n"), "not that" },
    { "a.pdf", C("<html>%PDF-1.4\n"), "not that" },
    { "a.pdf", C(MZ "%PDF-1.4\n"), "not that" },
    { "a.pdf", C("%PDF-x.4\n"), "not that" },

    /* text */
    { "a.txt", C("Skripsi \xE2\x80\x94 bab 3\r\n\tisi\f\n"), NULL },
    { "a.txt", C("\xEF\xBB\xBFhello"), NULL },
    { "a.txt", C("{\"a\": [1, 2]}\n"), NULL },
    { "a.txt", C("a,b\n1,2\n3,4\n"), NULL },
    { "a.txt", C("import os\n\ndef f(x):\n    return x\n"), NULL },
    { "a.txt", C("#include <stdio.h>\nint main(void) { return 0; }\n"), NULL },
    { "a.txt", C("2 < 3 and a <b> is bold\n"), NULL },
    { "a.txt", C("<3 you\n"), NULL },
    { "a.txt", C("From: ani\nSubject: notes\n\nhello\n"), NULL },
    { "a.txt", C("a\0b"), "text must" },
    { "a.txt", C("a\x1B[2Jb"), "control characters" },
    { "a.txt", C("caf\xE9 au lait\n"), "must be UTF-8" },
    { "a.txt", C("caf\xC3"), "must be UTF-8" },
    { "a.txt", C("\377\376h\0i\0"), "text" },
    { "a.txt", C("<!DOCTYPE html><html><body>x"), "not plain text" },
    { "a.txt", C("\n  <script>alert(1)</script>"), "not plain text" },
    { "a.txt", C("\xEF\xBB\xBF<svg onload=alert(1)>"), "not plain text" },
    { "a.txt", C("<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/"
                 "2000/svg\"/>"), "not plain text" },
    { "a.txt", C("<?php echo 1;"), "not plain text" },
    { "a.txt", C("#!/bin/bash\nrm -rf /\n"), "not plain text" },
    { "a.txt", C("@echo off\r\ndel *.*\r\n"), "not plain text" },
    { "a.txt", C("%PDF-1.4\n1 0 obj\n"), "not plain text" },

    /* archives */
    { "a.docx", C("PK\3\4"), "damaged" },
    { "a.docx", C("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "not that" },
    { "a.docx", C("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), "not that" }
};


static void
made_files(void **state)
{
    size_t         i;
    type_rc_t      rc;
    upload_type_t  t;

    (void) state;

    for (i = 0; i < UNIT_COUNT(made); i++) {
        rc = check(made[i].content, made[i].n, made[i].name, &t);

        if (rc != (made[i].text ? TYPE_REFUSED : TYPE_OK)
            || (made[i].text && strstr(t.text, made[i].text) == NULL))
        {
            fail_msg("%zu, %s: %s", i, made[i].name, t.text);
        }
    }
}


/* Far from the beginning, and across the blocks that are read. */
static void
far_away(void **state)
{
    char           *p;
    size_t          i, n;
    upload_type_t   t;

    (void) state;

    n = 3 * 1024 * 1024;
    p = malloc(n);
    memset(p, 'x', n);
    assert_int_equal(check(p, n, "a.txt", &t), TYPE_OK);
    p[n - 1] = '\0';
    assert_int_equal(check(p, n, "a.txt", &t), TYPE_REFUSED);
    p[n - 1] = '\xC3';
    assert_int_equal(check(p, n, "a.txt", &t), TYPE_REFUSED);

    memset(p, 0, n);
    memcpy(p, GIF, sizeof(GIF) - 1);
    assert_int_equal(check(p, n, "a.gif", &t), TYPE_OK);

    for (i = 65536 - 16; i <= 65536 + 16; i++) {
        memcpy(p + i, "<script", 7);
        assert_int_equal(check(p, n, "a.gif", &t), TYPE_REFUSED);
        memset(p + i, 0, 7);
    }

    memcpy(p + n - 7, "<SCRIPT", 7);
    assert_int_equal(check(p, n, "a.gif", &t), TYPE_REFUSED);
    free(p);
}


/* An archive: name, content, name, content ...; bad: encrypt the last. */
static int
archive(const char *const *pairs, int encrypt)
{
    int           fd;
    char          path[] = "/tmp/wrt-type-XXXXXX";
    zip_t        *z;
    zip_int64_t   i;

    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);

    z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(z);

    for ( ; pairs[0]; pairs += 2) {
        i = zip_file_add(z, pairs[0],
                         zip_source_buffer(z, pairs[1], strlen(pairs[1]), 0),
                         ZIP_FL_ENC_UTF_8);
        assert_true(i >= 0);

        if (encrypt) {
            assert_int_equal(zip_file_set_encryption(z, (zip_uint64_t) i,
                                                     ZIP_EM_AES_256, "pw"), 0);
        }
    }

    assert_int_equal(zip_close(z), 0);
    fd = open(path, O_RDWR | O_CLOEXEC);
    unlink(path);

    return fd;
}


typedef struct {
    const char  *pairs[11];
    int          encrypt;
    const char  *text;          /* NULL: it is taken */
} office_t;

#define TYPES  "[Content_Types].xml"
#define DOC    "word/document.xml"

static const office_t  office[] = {
    { { TYPES, MAIN "</Types>", DOC, "<w/>" }, 0, NULL },
    { { DOC, "<w/>", "docProps/x.xml", "x", TYPES, MAIN "</Types>" }, 0,
      NULL },
    { { TYPES, MAIN "</Types>", DOC, "<w/>" }, 1, "encrypted" },
    { { TYPES, MAIN "</Types>" }, 0, "lacks the parts" },
    { { DOC, "<w/>" }, 0, "lacks the parts" },
    { { "evil.exe", "MZ" }, 0, "lacks the parts" },
    { { TYPES, MAIN "</Types>", "[content_types].XML", "x", DOC, "<w/>" }, 0,
      "lacks the parts" },
    { { TYPES, "<Types></Types>", DOC, "<w/>" }, 0, "something else" },
    { { TYPES, "<Types>" PPTX ".main+xml</Types>", DOC, "<w/>" }, 0,
      "something else" },
    { { TYPES, MAIN "</Types>", DOC, "<w/>", "word/vbaProject.bin", "x" }, 0,
      "macros" },
    { { TYPES, MAIN "</Types>", DOC, "<w/>", "x/VBAPROJECT.bin", "x" }, 0,
      "macros" },
    { { TYPES, MAIN "application/vnd.ms-office.vbaProject</Types>", DOC,
        "<w/>", "word/harmless.bin", "x" }, 0, "macros" },
    { { TYPES, "<Types>application/vnd.ms-word.document.macroEnabled.main+xml"
        "</Types>", DOC, "<w/>" }, 0, "macros" },
    { { TYPES, MAIN "vba&#80;roject</Types>", DOC, "<w/>" }, 0, "not plain" },
    { { TYPES, "<!DOCTYPE x>" MAIN "</Types>", DOC, "<w/>" }, 0,
      "not plain" },
    { { TYPES, MAIN "</Types>", DOC, "<w/>", "../../etc/cron.d/x", "x" }, 0,
      "path of its own" },
    { { TYPES, MAIN "</Types>", DOC, "<w/>", "/etc/x", "x" }, 0,
      "path of its own" },
    { { TYPES, MAIN "</Types>", DOC, "<w/>", "a\\b", "x" }, 0,
      "path of its own" }
};


static void
offices(void **state)
{
    int            fd;
    size_t         i;
    type_rc_t      rc;
    upload_type_t  t;

    (void) state;

    for (i = 0; i < UNIT_COUNT(office); i++) {
        fd = archive(office[i].pairs, office[i].encrypt);
        rc = upload_type_check(magic, fd, "a.docx", NULL, 0, &t);

        if (rc != (office[i].text ? TYPE_REFUSED : TYPE_OK)
            || (office[i].text && strstr(t.text, office[i].text) == NULL))
        {
            fail_msg("%zu: %d %s", i, rc, t.text);
        }

        /* never the other one */
        assert_int_equal(upload_type_check(magic, fd, "a.pptx", NULL, 0, &t),
                         TYPE_REFUSED);
        close(fd);
    }
}


/* What unpacks to a lot costs nothing: it is not unpacked. */
static void
bombs(void **state)
{
    int            fd;
    char          *types;
    size_t         n;
    upload_type_t  t;
    struct rusage  before, after;
    const char    *pairs[] = { TYPES, NULL, DOC, "<w/>", NULL, NULL, NULL };

    (void) state;

    /* the list of types itself is one */
    n = 64 * 1024 * 1024;
    types = malloc(n + 1);
    memset(types, ' ', n);
    types[n] = '\0';
    memcpy(types, MAIN, sizeof(MAIN) - 1);
    pairs[1] = types;
    fd = archive(pairs, 0);

    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    assert_int_equal(upload_type_check(magic, fd, "a.docx", NULL, 0, &t),
                     TYPE_REFUSED);
    assert_non_null(strstr(t.text, "list of parts is damaged"));
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_true(after.ru_maxrss - before.ru_maxrss < 16 * 1024);
    close(fd);
    free(types);

    /* 256 MB of zeros in a part */
    n = 256 * 1024 * 1024;
    types = malloc(n + 1);
    memset(types, 'a', n);
    types[n] = '\0';
    pairs[1] = MAIN;
    pairs[4] = "word/media/x.bin";
    pairs[5] = types;
    fd = archive(pairs, 0);
    free(types);
    assert_int_equal(upload_type_check(magic, fd, "a.docx", NULL, 0, &t),
                     TYPE_REFUSED);
    assert_non_null(strstr(t.text, "more than 200 MB"));
    close(fd);
}


/* Cut and changed anywhere: an answer, never a crash. */
static void
damaged(void **state)
{
    char           path[128], *p, *q;
    size_t         i, j, n;
    uint64_t       seed;
    FILE          *f;
    upload_type_t  t;

    (void) state;

    seed = unit_seed();
    p = malloc(64 * 1024);
    q = malloc(64 * 1024);

    for (i = 0; i < UNIT_COUNT(real); i++) {
        snprintf(path, sizeof(path), FILES "%s", real[i].file);
        f = fopen(path, "rb");
        assert_non_null(f);
        n = fread(p, 1, 64 * 1024, f);
        fclose(f);

        for (j = 0; j < 60; j++) {
            memcpy(q, p, n);
            q[unit_below(&seed, n)] ^= (char) (1 + unit_below(&seed, 255));
            q[n - 1 - unit_below(&seed, n < 64 ? n : 64)] = '\377';
            assert_in_range(check(q, j % 2 ? n : unit_below(&seed, n),
                                  real[i].name, &t), TYPE_OK, TYPE_REFUSED);
        }
    }

    free(p);
    free(q);
}


static int
setup(void **state)
{
    char  err[256];

    (void) state;

    magic = upload_type_open(err, sizeof(err));

    return magic == NULL;
}


static int
teardown(void **state)
{
    (void) state;

    upload_type_close(magic);

    return 0;
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(real_files),
        cmocka_unit_test(rooms),
        cmocka_unit_test(made_files),
        cmocka_unit_test(far_away),
        cmocka_unit_test(offices),
        cmocka_unit_test(bombs),
        cmocka_unit_test(damaged)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
