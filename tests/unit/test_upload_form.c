/*
 * test_upload_form.c: multipart forms, and names of files.
 *
 * Without it a body made by somebody else than a browser could be taken for
 * something it is not: two files for one, a file cut short for a whole one, a
 * path for a name; or a file could come out with other bytes than went in.
 */

#define _GNU_SOURCE

#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "common/wrt_utf8.h"
#include "worker/files/upload/upload_form.h"

#define TYPE       "multipart/form-data; boundary=XX"
#define DISP(f)    "Content-Disposition: form-data; name=\"" f "\""
#define FILE_HEAD  "--XX\r\n" DISP("file") "; filename=\"a.txt\"\r\n"         \
                   "Content-Type: text/plain\r\n\r\n"
#define FILE_PART  FILE_HEAD "hello\r\n"
#define FIELD(f, v)  "--XX\r\n" DISP(f) "\r\n\r\n" v "\r\n"
#define END        "--XX--\r\n"
#define MAX        1000

static char  dir[] = "/tmp/wrt-form-XXXXXX";
static char  spool[64];
static int   dirfd_;


static form_rc_t
read_as(form_t *f, const char *type, const void *body, size_t n)
{
    int  fd;

    fd = open(spool, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, body, n), (ssize_t) n);
    close(fd);

    return upload_form_read(f, spool, type, dirfd_, MAX);
}


/* What the file part became is body[0..n). */
static void
check_file(const form_t *f, const void *p, size_t n)
{
    char           *got, hex[FORM_HASH_LEN + 1];
    size_t          i;
    struct stat     st;
    unsigned char   hash[SHA256_DIGEST_LENGTH];

    assert_true(f->fd >= 0);
    assert_int_equal(f->size, n);
    assert_int_equal(fstat(f->fd, &st), 0);
    assert_int_equal(st.st_size, n);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    got = malloc(n + 1);
    assert_int_equal(pread(f->fd, got, n + 1, 0), (ssize_t) n);
    assert_memory_equal(got, p, n);
    free(got);

    SHA256(p, n, hash);

    for (i = 0; i < sizeof(hash); i++) {
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    }

    assert_string_equal(f->hash, hex);
}


static void
whole(void **state)
{
    form_t  f;

    static const char  body[] =
        "preamble that nobody reads\r\n"
        FIELD("description", "Bab 3, versi \xE2\x80\x9C" "akhir\xE2\x80\x9D" "")
        FIELD("replyTo", "5f0000000000000000000001")
        FIELD("unknown", "\xFF")
        FIELD("clientMessageId", "c-1")
        FILE_PART "--XX-- and an epilogue";

    (void) state;

    assert_int_equal(read_as(&f, TYPE, body, sizeof(body) - 1), FORM_OK);
    assert_string_equal(f.text, "");
    check_file(&f, "hello", 5);
    assert_string_equal(f.name, "a.txt");
    assert_string_equal(f.description,
                        "Bab 3, versi \xE2\x80\x9C" "akhir\xE2\x80\x9D" "");
    assert_string_equal(f.reply_to, "5f0000000000000000000001");
    assert_string_equal(f.client_id, "c-1");
    upload_form_free(&f);

    /* no more than the file; the first boundary opens the body */
    assert_int_equal(read_as(&f, "Multipart/Form-Data;boundary=\"XX\"",
                             FILE_PART FIELD("description", "") "--XX--",
                             sizeof(FILE_PART FIELD("description", "")
                                    "--XX--") - 1), FORM_OK);
    check_file(&f, "hello", 5);
    assert_null(f.description);
    assert_string_equal(f.reply_to, "");
    upload_form_free(&f);
}


/* Bytes that look like the boundary, and every length around a block. */
static void
bytes(void **state)
{
    char               *body, *p;
    form_t              f;
    size_t              i, n, size;

    static const char  *odd[] = {
        "\r\n", "\r\n\r\n", "--XXY", "\n--XX--\r\n", "\r\n--XXY\r\n",
        "\r\n--XX -\r\n", "\r\n--X", "a\r\n-", "\r", "\r\n--XX\r", "\0\0",
        "\r\n--XX junk\r\n"
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(odd); i++) {
        n = odd[i][0] ? strlen(odd[i]) : 2;
        size = sizeof(FILE_HEAD) + n + sizeof("\r\n" END);
        body = malloc(size);
        memcpy(body, FILE_HEAD, sizeof(FILE_HEAD) - 1);
        p = body + sizeof(FILE_HEAD) - 1;
        memcpy(p, odd[i], n);
        memcpy(p + n, "\r\n" END, sizeof("\r\n" END));
        assert_int_equal(read_as(&f, TYPE, body, strlen(FILE_HEAD) + n
                                 + strlen("\r\n" END)), FORM_OK);
        check_file(&f, odd[i], n);
        upload_form_free(&f);
        free(body);
    }
}


static void
blocks(void **state)
{
    char      *body;
    form_t     f;
    size_t     i, n, head;
    uint64_t   seed;

    static const size_t  around[] = { 65536, 65536 + 6, 2 * 65536, 300000 };

    (void) state;

    seed = unit_seed();
    head = strlen(FILE_HEAD);
    body = malloc(head + 400000);
    memcpy(body, FILE_HEAD, head);

    for (i = 0; i < 400000; i++) {
        body[head + i] = "\r\n-X"[unit_below(&seed, 4)];

        /* a boundary is what the file does not have */
        if (i > 3 && memcmp(body + head + i - 3, "--XX", 4) == 0) {
            body[head + i] = '-';
        }
    }

    for (i = 0; i < UNIT_COUNT(around) * 24; i++) {
        n = around[i / 24] - head + i % 24 - 12;
        memcpy(body + head + n, "\r\n" END, strlen("\r\n" END) + 1);

        assert_int_equal(read_as(&f, TYPE, body, head + n
                                 + strlen("\r\n" END)), FORM_TOO_LARGE);
        upload_form_free(&f);

        assert_int_equal(upload_form_read(&f, spool, TYPE, dirfd_, n),
                         FORM_OK);
        check_file(&f, body + head, n);
        upload_form_free(&f);

        memset(body + head + n, '-', strlen("\r\n" END) + 1);
    }

    free(body);
}


static void
sizes(void **state)
{
    char    body[2 * MAX];
    int     n;
    form_t  f;

    (void) state;

    n = snprintf(body, sizeof(body), "%s%0*d\r\n%s", FILE_HEAD, MAX, 0, END);
    assert_int_equal(read_as(&f, TYPE, body, (size_t) n), FORM_OK);
    assert_int_equal(f.size, MAX);
    upload_form_free(&f);

    n = snprintf(body, sizeof(body), "%s%0*d\r\n%s", FILE_HEAD, MAX + 1, 0,
                 END);
    assert_int_equal(read_as(&f, TYPE, body, (size_t) n), FORM_TOO_LARGE);
    assert_string_equal(f.field, "file");
    assert_string_equal(f.text, "the file is larger than 1000 bytes");
    assert_int_equal(f.fd, -1);
    upload_form_free(&f);
}


static void
encodings(void **state)
{
    form_t  f;

    static const char  b64[] = "--XX\r\n" DISP("file") "; filename=a.txt\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n" END;
    static const char  quoted[] =
        "--XX\r\n" DISP("file") "; filename=a.txt\r\n"
        "Content-Transfer-Encoding: Quoted-Printable\r\n\r\nhe=6Clo=\r\n!\r\n"
        END;
    static const char  other[] =
        "--XX\r\n" DISP("file") "; filename=a.txt\r\n"
        "Content-Transfer-Encoding: x-uuencode\r\n\r\nhe\r\n" END;

    (void) state;

    assert_int_equal(read_as(&f, TYPE, b64, sizeof(b64) - 1), FORM_OK);
    check_file(&f, "hello", 5);
    upload_form_free(&f);

    assert_int_equal(read_as(&f, TYPE, quoted, sizeof(quoted) - 1), FORM_OK);
    check_file(&f, "hello!", 6);
    upload_form_free(&f);

    assert_int_equal(read_as(&f, TYPE, other, sizeof(other) - 1),
                     FORM_INVALID);
    assert_non_null(strstr(f.text, "Content-Transfer-Encoding"));
    upload_form_free(&f);
}


typedef struct {
    const char  *type;
    const char  *body;
    const char  *field;
    const char  *text;          /* part of it */
} bad_t;

#define PART(h)  "--XX\r\n" h "\r\n\r\nv\r\n"
#define TEN      FIELD("x", "") FIELD("x", "") FIELD("x", "") FIELD("x", "")  \
                 FIELD("x", "") FIELD("x", "") FIELD("x", "") FIELD("x", "")  \
                 FIELD("x", "") FIELD("x", "")

static const bad_t  bad[] = {
    { NULL, FILE_PART END, "", "Content-Type" },
    { "", FILE_PART END, "", "Content-Type" },
    { "multipart/form-data", FILE_PART END, "", "boundary" },
    { "multipart/form-data; boundary=", FILE_PART END, "", "boundary" },
    { "multipart/form-data; boundary=\"a \"", FILE_PART END, "", "boundary" },
    { "multipart/form-data; boundary=\"a\tb\"", FILE_PART END, "",
      "boundary" },
    { "multipart/form-data; boundary=12345678901234567890123456789012345678"
      "901234567890123456789012345678901", FILE_PART END, "", "boundary" },
    { "multipart/mixed; boundary=XX", FILE_PART END, "", "form-data" },
    { "text/plain", FILE_PART END, "", "Content-Type" },
    { "multipart/form-data; boundary=YY", FILE_PART END, "",
      "closing boundary" },

    { TYPE, "", "", "closing boundary" },
    { TYPE, "--XX", "", "closing boundary" },
    { TYPE, "--XX\r\n", "", "in the header of a part" },
    { TYPE, "--XX\r\n" DISP("file") "; filename=a\r\n", "",
      "in the header of a part" },
    { TYPE, FILE_HEAD "hel", "", "closing boundary" },
    { TYPE, FILE_PART, "", "closing boundary" },
    { TYPE, FILE_PART "--XX", "", "closing boundary" },
    { TYPE, FILE_PART "--XX-", "", "closing boundary" },
    { TYPE, FILE_PART "--XX\r\n", "", "in the header of a part" },
    { TYPE, "--XX\n" DISP("file") "; filename=a\n\nhello\n--XX--\n", "",
      "closing boundary" },
    { TYPE, END, "file", "must have a part \"file\"" },
    { TYPE, FIELD("description", "x") END, "file", "part \"file\"" },

    { TYPE, FILE_PART FILE_PART END, "file", "only one file" },
    { TYPE, FILE_PART PART(DISP("file2") "; filename=b.txt") END, "file",
      "only one file" },
    { TYPE, FIELD("file", "hello") END, "file", "must have a file name" },
    { TYPE, FILE_HEAD "\r\n" END, "file", "is empty" },
    { TYPE, "--XX\r\n" DISP("file") "; filename=a\r\n\r\n--XX--", "file",
      "is empty" },
    { TYPE, FILE_PART PART(DISP("description") "; filename=d") END,
      "description", "not a file" },

    { TYPE, "--XX\r\n\r\nhello\r\n" FILE_PART END, "", "Content-Disposition" },
    { TYPE, PART("Content-Type: text/plain") FILE_PART END, "",
      "Content-Disposition" },
    { TYPE, PART("Content-Disposition: attachment; name=\"x\"") FILE_PART END,
      "", "form-data" },
    { TYPE, PART("Content-Disposition: form-data") FILE_PART END, "", "name" },
    { TYPE, PART(DISP("x") "; name=\"file\"") FILE_PART END, "", "one name" },
    { TYPE, PART(DISP("file") "; filename=a; filename=b.exe") END, "",
      "one file name" },
    { TYPE, PART(DISP("file") "; filename*=UTF-8''a; filename*=UTF-8''b") END,
      "", "one file name" },
    { TYPE, PART(DISP("x") "\r\n" DISP("file") "; filename=a") END, "",
      "one Content-Disposition" },
    { TYPE, PART(DISP("file") "; filename=\"a\n" DISP("b") "\"") END, "",
      "one Content-Disposition" },
    { TYPE, PART("no header") FILE_PART END, "", "Content-Disposition" },

    { TYPE, FIELD("description", "a") FIELD("description", "b") FILE_PART END,
      "description", "twice" },
    { TYPE, FIELD("description", "\xC3(") FILE_PART END, "description",
      "UTF-8" },
    { TYPE, FIELD("replyTo", "a b") FILE_PART END, "replyTo", "id" },
    { TYPE, FIELD("replyTo", "12345678901234567890123456789012345678901234567"
                  "890123456789012345") FILE_PART END, "replyTo",
      "at most 64" },
    { TYPE, FIELD("clientMessageId", "a b") FILE_PART END, "clientMessageId",
      "spaces" },
    { TYPE, FIELD("clientMessageId", "a\x7F") FILE_PART END,
      "clientMessageId", "control" },
    { TYPE, TEN FIELD("x", "") FIELD("x", "") FIELD("x", "") FIELD("x", "")
            FIELD("x", "") FIELD("x", "") FILE_PART END, "",
      "more than 16 parts" }
};


static void
refused(void **state)
{
    size_t  i;
    form_t  f;

    (void) state;

    for (i = 0; i < UNIT_COUNT(bad); i++) {

        if (read_as(&f, bad[i].type, bad[i].body, strlen(bad[i].body))
            != FORM_INVALID || strstr(f.text, bad[i].text) == NULL
            || strcmp(f.field, bad[i].field) != 0)
        {
            fail_msg("%zu: %s\n-> %s: %s", i, bad[i].body, f.field, f.text);
        }

        assert_int_equal(f.fd, -1);
        upload_form_free(&f);
    }
}


/* What has a NUL in it, or is long. */
static void
refused_more(void **state)
{
    char    body[2 * WRT_FORM_HEADER_MAX];
    int     n;
    form_t  f;

    static const char  nul[] =
        "--XX\r\n" DISP("file") "; filename=\"a.png\0.exe\"\r\n\r\nx\r\n" END;
    static const char  nul_field[] =
        FIELD("description", "a\0b") FILE_PART END;

    (void) state;

    assert_int_equal(read_as(&f, TYPE, nul, sizeof(nul) - 1), FORM_INVALID);
    assert_non_null(strstr(f.text, "NUL"));
    upload_form_free(&f);

    assert_int_equal(read_as(&f, TYPE, nul_field, sizeof(nul_field) - 1),
                     FORM_INVALID);
    assert_string_equal(f.field, "description");
    upload_form_free(&f);

    n = snprintf(body, sizeof(body), "%s%s%0*d\r\n%s%s",
                 "--XX\r\n", DISP("description") "\r\n\r\n",
                 WRT_DESCRIPTION_MAX, 7, FILE_PART, END);
    assert_int_equal(read_as(&f, TYPE, body, (size_t) n), FORM_OK);
    assert_int_equal(strlen(f.description), WRT_DESCRIPTION_MAX);
    upload_form_free(&f);

    n = snprintf(body, sizeof(body), "%s%s%0*d\r\n%s%s",
                 "--XX\r\n", DISP("description") "\r\n\r\n",
                 WRT_DESCRIPTION_MAX + 1, 7, FILE_PART, END);
    assert_int_equal(read_as(&f, TYPE, body, (size_t) n), FORM_INVALID);
    assert_non_null(strstr(f.text, "at most 4096 bytes"));
    upload_form_free(&f);

    n = snprintf(body, sizeof(body), "%sX-Long: %0*d\r\n%s\r\n\r\nx\r\n%s",
                 "--XX\r\n", WRT_FORM_HEADER_MAX, 7, DISP("x"), END);
    assert_int_equal(read_as(&f, TYPE, body, (size_t) n), FORM_INVALID);
    assert_non_null(strstr(f.text, "longer than"));
    upload_form_free(&f);

    assert_int_equal(upload_form_read(&f, "/nowhere/x", TYPE, dirfd_, MAX),
                     FORM_FAILED);
    assert_non_null(strstr(f.text, "spooled body"));
    upload_form_free(&f);

    assert_int_equal(upload_form_read(&f, dir, TYPE, dirfd_, MAX),
                     FORM_FAILED);
    upload_form_free(&f);

    assert_int_equal(read_as(&f, TYPE, FILE_PART END,
                             sizeof(FILE_PART END) - 1), FORM_OK);
    upload_form_free(&f);
    assert_int_equal(upload_form_read(&f, spool, TYPE, -1, MAX), FORM_FAILED);
    upload_form_free(&f);
}


/* Header lines of the file part, and the name that comes of it. */
static const char  *headers[][2] = {
    { "filename=\"n\xC3\xA4me.png\"", "n\xC3\xA4me.png" },
    { "filename=\"n\xE4me.png\"", "n\xC3\xA4me.png" },
    { "filename=plain.png", "plain.png" },
    { "FileName=\"A.PNG\"", "A.PNG" },
    { "filename*=UTF-8''n%C3%A4me.png", "n\xC3\xA4me.png" },
    { "filename*=iso-8859-1'de'n%E4me.png", "n\xC3\xA4me.png" },
    { "filename=\"a.png\"; filename*=UTF-8''b.png", "b.png" },
    { "filename*=UTF-8''b.png; filename=\"a.png\"", "b.png" },
    { "filename*0=\"two-\"; filename*1=\"parts.png\"", "two-parts.png" },
    { "filename=\"=?UTF-8?B?bsOkbWUucG5n?=\"", "n\xC3\xA4me.png" },
    { "filename=\"a;b=c.png\"", "a;b=c.png" },
    { "filename=\"a \\\"b\\\".png\"", "a _b_.png" },
    { "filename=\"a %22b%22.png\"", "a _b_.png" },
    { "filename=\"a%0D%0ab%20%25%2\"", "ab%20%25%2" },
    { "filename=\"%22\"", "_" },
    { "filename*=UTF-8''a%2522.png", "a%22.png" },
    { "filename=\"../../etc/passwd.png\"", "passwd.png" },
    { "filename*=UTF-8''..%2F..%5Cx.png", "x.png" },
    { "filename*=UTF-8''a%0D%0Ab.png", "ab.png" },
    { "filename=\"\xE2\x80\xAEgnp.exe\"", "gnp.exe" },
    { "filename=\"\"", "file" },
    { "filename=\"..\"", "file" }
};


static void
names_sent(void **state)
{
    char    body[1024];
    int     n;
    size_t  i;
    form_t  f;

    (void) state;

    for (i = 0; i < UNIT_COUNT(headers); i++) {
        n = snprintf(body, sizeof(body), "--XX\r\n%s; %s\r\n\r\nx\r\n%s",
                     DISP("file"), headers[i][0], END);

        if (read_as(&f, TYPE, body, (size_t) n) != FORM_OK
            || strcmp(f.name, headers[i][1]) != 0)
        {
            fail_msg("%s -> %s %s", headers[i][0], f.name, f.text);
        }

        upload_form_free(&f);
    }
}


static const char  *cleaned[][2] = {
    { "thesis.pdf", "thesis.pdf" },
    { "Ani's thesis (final) #2 100%.pdf", "Ani's thesis (final) #2 100%.pdf" },
    { "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E.pdf",
      "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E.pdf" },
    { "C:\\Users\\x\\a.pdf", "a.pdf" },
    { "/etc/passwd", "passwd" },
    { "a/", "file" },
    { ".", "file" },
    { "...", "file" },
    { " ", "file" },
    { ".pdf", "pdf" },
    { "..a.pdf. . ", "a.pdf" },
    { "a\nb\r\tc.pdf", "abc.pdf" },
    { "a\x7F\xC2\x85" "b.pdf", "ab.pdf" },
    { "a\"b<c>d|e:f*g?.pdf", "a_b_c_d_e_f_g_.pdf" },
    { "a\xE2\x80\xAE" "fdp.exe", "afdp.exe" },
    { "\xE2\x81\xA6" "a\xE2\x81\xA9\xE2\x80\x8E\xE2\x80\x8F\xD8\x9C.pdf",
      "a.pdf" },
    { "\xEF\xBB\xBF" "a\xE2\x80\x8B.pdf", "a.pdf" },
    { "a\xE2\x80\xA8" "b\xE2\x80\xA9.pdf", "ab.pdf" },
    { "a\xC2\xA0" "b\xE3\x80\x80" "c.pdf", "a b c.pdf" },
    { "\xF3\xA0\x81\xA1" "a.pdf", "a.pdf" },
    { "a\xFF\xC0\xAF" "b.pdf", "a\xC3\xBF\xC3\x80\xC2\xAF" "b.pdf" },
    { "\xED\xA0\x80.pdf", "\xC3\xAD\xC2\xA0.pdf" },
    { "family \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9.png",
      "family \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9.png" }
};


/* What holds of any name. */
static void
check_name(const char *out)
{
    size_t                n;
    const unsigned char  *p;

    n = strlen(out);
    assert_true(n >= 1 && n <= WRT_FILE_NAME_MAX);
    assert_true(wrt_utf8_valid((const uint8_t *) out, n));
    assert_true(out[0] != '.' && out[0] != ' ');
    assert_true(out[n - 1] != '.' && out[n - 1] != ' ');

    for (p = (const unsigned char *) out; *p; p++) {
        assert_true(*p >= ' ' && *p != 0x7F);
        assert_null(strchr("/\\\"<>:|?*", *p));
    }

    assert_null(strstr(out, "\xE2\x80\xAE"));
}


static void
names_cleaned(void **state)
{
    char      out[UPLOAD_NAME_SIZE], in[6000];
    size_t    i, j, n;
    uint64_t  seed;

    (void) state;

    for (i = 0; i < UNIT_COUNT(cleaned); i++) {
        upload_name_clean(cleaned[i][0], strlen(cleaned[i][0]), out);

        /* a surrogate is no UTF-8: its second byte is a C1 of Latin-1 */
        if (strcmp(out, cleaned[i][1]) != 0
            && strncmp(cleaned[i][0], "\xED\xA0", 2) != 0)
        {
            fail_msg("%zu: %s -> %s", i, cleaned[i][0], out);
        }

        check_name(out);
    }

    upload_name_clean("a\0b.pdf", 7, out);
    assert_string_equal(out, "ab.pdf");

    /* any bytes, those that matter more often */
    seed = unit_seed();

    for (i = 0; i < 20000; i++) {
        n = unit_below(&seed, i % 50 ? 40 : sizeof(in));

        for (j = 0; j < n; j++) {
            in[j] = (char) (unit_below(&seed, 3)
                            ? (uint64_t) "./\\ \xE2\x80\xAE\"\n%a\xC3"
                                  [unit_below(&seed, 12)]
                            : unit_random(&seed));
        }

        upload_name_clean(unit_edge(in, n), n, out);
        check_name(out);
    }
}


/* The extension survives, characters stay whole. */
static void
names_long(void **state)
{
    char    in[5000], out[UPLOAD_NAME_SIZE];
    size_t  i, n;

    (void) state;

    for (i = 1; i < sizeof(in) - 8; i += i < 300 ? 1 : 37) {
        memset(in, 'a', i);
        memcpy(in + i, ".pdf", 5);
        upload_name_clean(in, strlen(in), out);
        n = i + 4 > WRT_FILE_NAME_MAX ? WRT_FILE_NAME_MAX : i + 4;
        assert_int_equal(strlen(out), n);
        assert_string_equal(out + n - 4, ".pdf");
        check_name(out);
    }

    for (n = 0; n + 3 < 3000; n += 3) {
        memcpy(in + n, "\xE6\x97\xA5", 3);
    }

    memcpy(in + n, ".docx", 6);
    upload_name_clean(in, strlen(in), out);
    assert_int_equal(strlen(out), 255 - (255 - 5) % 3);
    assert_string_equal(out + strlen(out) - 5, ".docx");
    check_name(out);

    /* that is no extension */
    memset(in, 'b', 300);
    in[100] = '.';
    in[300] = '\0';
    upload_name_clean(in, 300, out);
    assert_int_equal(strlen(out), WRT_FILE_NAME_MAX);
}


static void
extensions(void **state)
{
    size_t  i;
    char    ext[UPLOAD_EXT_MAX + 1];

    static const char  *of[][2] = {
        { "a.PDF", ".pdf" }, { "a.tar.gz", ".gz" }, { "a", "" }, { "a.", "" },
        { "a.p df", "" }, { "a.abcdefghijklmno", ".abcdefghijklmno" },
        { "a.abcdefghijklmnop", "" }, { "a.pdf\xC3\xA4", "" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(of); i++) {
        upload_name_ext(of[i][0], ext);
        assert_string_equal(ext, of[i][1]);
    }
}


/* Megabytes of parts, of nested parts, of header: memory does not grow. */
static void
bounded(void **state)
{
    char           *body, *p;
    form_t          f;
    size_t          i, n, k, size;
    struct rusage   before, after;

    static const char  *heads[] = {
        "", FILE_HEAD,
        "--XX\r\n" DISP("file") "; filename=a\r\n"
            "Content-Type: multipart/mixed; boundary=Y\r\n\r\n",
        "--XX\r\n" DISP("file") "; filename=a\r\n"
            "Content-Type: message/rfc822\r\n\r\n",
        "--XX\r\n"
    };
    static const char  *rows[] = {
        "--XX\r\n\r\n\r\n", "\r\n--XXZ", "--Y\r\n\r\n\r\n",
        "A: b\r\n", "--XX\r\nA: b\r\n", "A"
    };

    (void) state;

    size = 8 * 1024 * 1024;
    body = malloc(size + 1024);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);

    for (i = 0; i < UNIT_COUNT(heads) * UNIT_COUNT(rows); i++) {
        p = body + sprintf(body, "%s", heads[i / UNIT_COUNT(rows)]);
        k = strlen(rows[i % UNIT_COUNT(rows)]);

        for (n = 0; n + k < size; n += k) {
            memcpy(p + n, rows[i % UNIT_COUNT(rows)], k);
        }

        n += (size_t) sprintf(p + n, "\r\n%s", END);
        read_as(&f, TYPE, body, n + (size_t) (p - body));
        upload_form_free(&f);

        /* and when it may be that large */
        upload_form_read(&f, spool, TYPE, dirfd_, 1 << 30);
        upload_form_free(&f);
    }

    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    free(body);

    /* KiB; our own body is the most of it */
    assert_true(after.ru_maxrss - before.ru_maxrss < 32 * 1024);
}


static int
setup(void **state)
{
    (void) state;

    if (mkdtemp(dir) == NULL) {
        return -1;
    }

    snprintf(spool, sizeof(spool), "%s/spool", dir);
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);

    return dirfd_ < 0;
}


/* Nothing of what was read lies about. */
static int
teardown(void **state)
{
    int             n;
    DIR            *d;
    struct dirent  *e;

    (void) state;

    unlink(spool);
    d = opendir(dir);

    for (n = 0; (e = readdir(d)) != NULL; n++) {
        /* void */
    }

    closedir(d);
    close(dirfd_);

    return n == 2 && rmdir(dir) == 0 ? 0 : -1;
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(bytes),
        cmocka_unit_test(blocks),
        cmocka_unit_test(sizes),
        cmocka_unit_test(encodings),
        cmocka_unit_test(refused),
        cmocka_unit_test(refused_more),
        cmocka_unit_test(names_sent),
        cmocka_unit_test(names_cleaned),
        cmocka_unit_test(names_long),
        cmocka_unit_test(extensions),
        cmocka_unit_test(bounded)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
