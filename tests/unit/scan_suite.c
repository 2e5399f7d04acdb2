/*
 * scan_suite.c: what any scanner must say of which file (see scan_suite.h).
 *
 * Archives are made by libzip, as anybody would make them.
 */

#define _GNU_SOURCE

#include "tests/unit/scan_suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zip.h>

#include "worker/files/scan/scan_internal.h"

#define FILES  "tests/unit/files/"

/* Deflate's best is a thousandth. */
#define BOMB_BYTES  (500LL * 1024 * 1024)


int
scan_file_of(const void *p, size_t n)
{
    int  fd;

    fd = memfd_create("file", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t) n);

    return fd;
}


int
scan_file_eicar(void)
{
    unsigned char  eicar[SCAN_EICAR_LEN];

    scan_eicar(eicar);

    return scan_file_of(eicar, sizeof(eicar));
}


scan_rc_t
scan_once(scan_t *s, int fd)
{
    scan_rc_t  rc;

    rc = scan_file(s, fd);
    close(fd);

    return rc;
}


static void
check(scan_t *s, int fd, scan_rc_t want, const char *text, const char *what)
{
    scan_rc_t  rc;

    rc = scan_once(s, fd);

    if (rc != want || strstr(scan_text(s), text) == NULL) {
        fail_msg("%s: %d \"%s\", not %d \"%s\"", what, rc, scan_text(s), want,
                 text);
    }
}


/* An archive under way: libzip writes files with names. */
typedef struct {
    char    path[32];
    zip_t  *z;
} pack_t;


static void
pack_begin(pack_t *p, const char *from)
{
    int      in, fd;
    char     block[4096];
    ssize_t  n;

    strcpy(p->path, "/tmp/wrt-scan-XXXXXX");
    fd = mkstemp(p->path);
    assert_true(fd >= 0);

    if (from) {
        in = open(from, O_RDONLY);
        assert_true(in >= 0);

        while ((n = read(in, block, sizeof(block))) > 0) {
            assert_int_equal(write(fd, block, (size_t) n), n);
        }

        close(in);
    }

    close(fd);
    p->z = zip_open(p->path, from ? 0 : ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(p->z);
}


static zip_uint64_t
pack_add(pack_t *p, const char *name, const void *content, size_t n)
{
    zip_int64_t  i;

    i = zip_file_add(p->z, name, zip_source_buffer(p->z, content, n, 0),
                     ZIP_FL_ENC_UTF_8);
    assert_true(i >= 0);

    return (zip_uint64_t) i;
}


static int
pack_end(pack_t *p)
{
    int  fd;

    assert_int_equal(zip_close(p->z), 0);
    fd = open(p->path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(p->path);

    return fd;
}


/* The file as the one entry of an archive. */
static int
wrap(int fd, const char *name)
{
    char         *p;
    pack_t        pack;
    struct stat   st;

    assert_int_equal(fstat(fd, &st), 0);
    p = malloc((size_t) st.st_size + 1);
    assert_int_equal(pread(fd, p, (size_t) st.st_size, 0), st.st_size);
    close(fd);

    pack_begin(&pack, NULL);
    pack_add(&pack, name, p, (size_t) st.st_size);
    fd = pack_end(&pack);
    free(p);

    return fd;
}


void
scan_suite_clean(void **state)
{
    int             n;
    DIR            *d;
    char            path[300];
    scan_t         *s;
    struct dirent  *e;

    s = *state;
    d = opendir(FILES);
    assert_non_null(d);

    for (n = 0; (e = readdir(d)) != NULL; ) {
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof(path), FILES "%s", e->d_name);
            check(s, open(path, O_RDONLY), SCAN_CLEAN, "", e->d_name);
            assert_string_equal(scan_text(s), "");
            n++;
        }
    }

    closedir(d);
    assert_true(n >= 7);

    check(s, scan_file_of("", 0), SCAN_CLEAN, "", "an empty file");
    check(s, scan_file_of("x", 1), SCAN_CLEAN, "", "a byte");
    check(s, wrap(wrap(scan_file_of("x", 1), "x"), "y.zip"), SCAN_CLEAN, "",
          "an archive in an archive");
}


void
scan_suite_eicar(void **state)
{
    scan_t         *s;
    pack_t          pack;
    unsigned char   eicar[SCAN_EICAR_LEN], text[300];

    s = *state;
    scan_eicar(eicar);

    check(s, scan_file_eicar(), SCAN_INFECTED, "Eicar", "plain");
    check(s, wrap(scan_file_eicar(), "a.com"), SCAN_INFECTED, "Eicar", "zip");
    check(s, wrap(wrap(wrap(wrap(scan_file_eicar(), "a"), "b.zip"), "c.zip"),
                  "d.docx"), SCAN_INFECTED, "Eicar", "nested");

    pack_begin(&pack, FILES "letter.docx");
    pack_add(&pack, "word/media/image1.png", eicar, sizeof(eicar));
    check(s, pack_end(&pack), SCAN_INFECTED, "Eicar", "docx");

    memset(text, 'x', sizeof(text));
    memcpy(text + 100, eicar, sizeof(eicar));
    check(s, scan_file_of(text, sizeof(text)), SCAN_INFECTED, "Eicar",
          "within text");

    /* and with something that may not be judged beside it */
    pack_begin(&pack, NULL);
    pack_add(&pack, "a", eicar, sizeof(eicar));
    zip_file_set_encryption(pack.z, pack_add(&pack, "b", text, sizeof(text)),
                            ZIP_EM_AES_256, "pw");
    check(s, pack_end(&pack), SCAN_INFECTED, "Eicar", "beside an encrypted");
}


void
scan_suite_encrypted(void **state)
{
    size_t          i;
    scan_t         *s;
    pack_t          pack;
    unsigned char   eicar[SCAN_EICAR_LEN];

    static const zip_uint16_t  methods[] = {
        ZIP_EM_AES_128, ZIP_EM_AES_256, ZIP_EM_TRAD_PKWARE
    };

    s = *state;
    scan_eicar(eicar);

    for (i = 0; i < UNIT_COUNT(methods); i++) {
        pack_begin(&pack, NULL);
        assert_int_equal(
            zip_file_set_encryption(pack.z, pack_add(&pack, "a.com", eicar,
                                                     sizeof(eicar)),
                                    methods[i], "infected"), 0);
        check(s, pack_end(&pack), SCAN_ERROR, "it is encrypted", "encrypted");
    }

    pack_begin(&pack, NULL);
    pack_add(&pack, "readme", "hello", 5);
    zip_file_set_encryption(pack.z, pack_add(&pack, "a.com", eicar,
                                             sizeof(eicar)),
                            ZIP_EM_AES_256, "infected");
    check(s, wrap(pack_end(&pack), "inner.zip"), SCAN_ERROR,
          "it is encrypted", "encrypted in another");
}


void
scan_suite_deep(void **state)
{
    int      i, fd;
    scan_t  *s;

    s = *state;
    fd = scan_file_eicar();

    for (i = 0; i < 40; i++) {
        fd = wrap(fd, "deeper.zip");
    }

    check(s, fd, SCAN_ERROR, "it exceeds the limits", "40 deep");
}


/* So many zeros, and then EICAR: it matters to look at the end. */
typedef struct {
    int64_t  left;
    int      eicar;
} zeros_t;


static zip_int64_t
zeros(void *state, void *data, zip_uint64_t n, zip_source_cmd_t cmd)
{
    zeros_t        *z;
    zip_stat_t     *st;
    unsigned char   eicar[SCAN_EICAR_LEN];

    z = state;

    switch (cmd) {

    case ZIP_SOURCE_OPEN:
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
        return 0;

    case ZIP_SOURCE_READ:
        if (z->left == 0 && z->eicar) {
            z->eicar = 0;
            scan_eicar(eicar);
            assert_true(n >= sizeof(eicar));
            memcpy(data, eicar, sizeof(eicar));
            return sizeof(eicar);
        }

        n = n > (zip_uint64_t) z->left ? (zip_uint64_t) z->left : n;
        memset(data, 0, n);
        z->left -= (int64_t) n;
        return (zip_int64_t) n;

    case ZIP_SOURCE_STAT:
        st = data;
        zip_stat_init(st);
        return sizeof(*st);

    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN,
                                              ZIP_SOURCE_READ,
                                              ZIP_SOURCE_CLOSE,
                                              ZIP_SOURCE_STAT,
                                              ZIP_SOURCE_FREE, -1);

    default:
        return -1;
    }
}


/* Both of its headers tell a wrong size. */
static int
lying(int fd)
{
    char         *p;
    int           found;
    size_t        i, n;
    uint32_t      size;
    struct stat   st;

    assert_int_equal(fstat(fd, &st), 0);
    n = (size_t) st.st_size;
    p = malloc(n);
    assert_int_equal(pread(fd, p, n, 0), (ssize_t) n);
    close(fd);

    size = BOMB_BYTES + SCAN_EICAR_LEN;
    found = 0;

    for (i = 0; i + 4 <= n; i++) {
        if (memcmp(p + i, &size, 4) == 0) {
            memcpy(p + i, "\144\0\0", 4);
            found++;
        }
    }

    assert_true(found >= 2);
    fd = scan_file_of(p, n);
    free(p);

    return fd;
}


void
scan_suite_bombs(void **state)
{
    int       i, fd;
    char      name[16];
    scan_t   *s;
    pack_t    pack;
    zeros_t   z[6];

    s = *state;

    /* one large, in a document; six large ones, very many */
    z[0].left = BOMB_BYTES;
    z[0].eicar = 1;
    pack_begin(&pack, FILES "letter.docx");
    assert_true(zip_file_add(pack.z, "word/media/zeros",
                             zip_source_function(pack.z, zeros, z), 0)
                >= 0);
    fd = pack_end(&pack);
    check(s, dup(fd), SCAN_ERROR, "it exceeds the limits", "a large one");

    /* which says that it is a small one */
    check(s, lying(fd), SCAN_ERROR, "it exceeds the limits",
          "a large one that lies");

    pack_begin(&pack, NULL);

    for (i = 0; i < 6; i++) {
        z[i].left = 90 * 1024 * 1024;
        z[i].eicar = i == 5;
        snprintf(name, sizeof(name), "zeros%d", i);
        assert_true(zip_file_add(pack.z, name,
                                 zip_source_function(pack.z, zeros, z + i),
                                 0) >= 0);
    }

    check(s, pack_end(&pack), SCAN_ERROR, "it exceeds the limits",
          "large ones");

    pack_begin(&pack, NULL);

    for (i = 0; i < WRT_SCAN_FILES_MAX + 100; i++) {
        snprintf(name, sizeof(name), "%d", i);
        pack_add(&pack, name, "some text", 9);
    }

    check(s, pack_end(&pack), SCAN_ERROR, "it exceeds the limits",
          "very many");
}


/* Cut or changed: any answer, but the scanner stays up. */
void
scan_suite_damaged(void **state)
{
    int             fd;
    char            path[300], *p;
    size_t          j, n;
    DIR            *d;
    scan_t         *s;
    uint64_t        seed;
    struct dirent  *e;

    s = *state;
    seed = unit_seed();
    p = malloc(65536);
    d = opendir(FILES);
    assert_non_null(d);

    while ((e = readdir(d)) != NULL) {

        if (e->d_name[0] == '.') {
            continue;
        }

        for (j = 0; j < 10; j++) {
            snprintf(path, sizeof(path), FILES "%s", e->d_name);
            fd = open(path, O_RDONLY);
            n = (size_t) read(fd, p, 65536);
            close(fd);

            p[unit_below(&seed, n)] ^= (char) (1 + unit_below(&seed, 255));
            n = j % 2 ? n : unit_below(&seed, n);
            assert_in_range(scan_once(s, scan_file_of(p, n)), SCAN_CLEAN,
                            SCAN_ERROR);
        }
    }

    closedir(d);
    free(p);
    check(s, scan_file_eicar(), SCAN_INFECTED, "Eicar", "afterwards");
}
