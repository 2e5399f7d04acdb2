/*
 * fuzz_form.c: any bytes as the body of an upload.
 *
 * The first byte says how large the file may be; the boundary is "XX".
 *
 * What holds:
 *   - the file's bytes are a piece of the body, word for word, unless a
 *     transfer encoding was asked for; they are not more than allowed, and at
 *     least one;
 *   - its name is valid UTF-8 without a slash, control character or quote;
 *   - texts are valid UTF-8 within their limits;
 *   - a refusal has a text and leaves no file.
 */

#define _GNU_SOURCE

#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

#include "common/wrt_id.h"
#include "common/wrt_utf8.h"
#include "worker/files/upload/upload_form.h"


static void
check_name(const char *name)
{
    size_t                n;
    const unsigned char  *p;

    n = strlen(name);
    FUZZ_CHECK(n >= 1 && n <= WRT_FILE_NAME_MAX && name[0] != '.');
    FUZZ_CHECK(wrt_utf8_valid((const uint8_t *) name, n));

    for (p = (const unsigned char *) name; *p; p++) {
        FUZZ_CHECK(*p >= ' ' && *p != 0x7F && strchr("/\\\"<>", *p) == NULL);
    }
}


static char  path[] = "/dev/shm/wrt-fuzz-XXXXXX";


static void
forget(void)
{
    unlink(path);
}


/* Does a header of the body say that content is encoded? */
static int
has_encoding(const uint8_t *p, size_t n)
{
    size_t  i;

    for (i = 0; i + 17 <= n; i++) {
        if (strncasecmp((const char *) p + i, "transfer-encoding", 17) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
check_form(const form_t *f, const uint8_t *body, size_t n, int64_t max)
{
    char    *bytes;
    size_t   size;

    FUZZ_CHECK(f->size >= 1 && f->size <= max);
    FUZZ_CHECK(strlen(f->hash) == FORM_HASH_LEN);

    size = (size_t) f->size;
    bytes = malloc(size + 1);
    FUZZ_CHECK(pread(f->fd, bytes, size + 1, 0) == f->size);
    FUZZ_CHECK(has_encoding(body, n)
               || memmem(body, n, bytes, size) != NULL);
    free(bytes);

    check_name(f->name);

    if (f->description) {
        size = strlen(f->description);
        FUZZ_CHECK(size >= 1 && size <= WRT_DESCRIPTION_MAX);
        FUZZ_CHECK(wrt_utf8_valid((uint8_t *) f->description, size));
    }

    if (f->reply_to[0]) {
        FUZZ_CHECK(wrt_id_valid(f->reply_to, strlen(f->reply_to)));
    }

    FUZZ_CHECK(wrt_utf8_valid((const uint8_t *) f->client_id,
                              strlen(f->client_id)));
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    form_t       f;
    int64_t      max;
    form_rc_t    rc;

    static int   fd = -1, dirfd;

    if (n == 0) {
        return 0;
    }

    if (fd < 0) {
        fd = mkstemp(path);
        atexit(forget);
        dirfd = open("/dev/shm", O_RDONLY | O_DIRECTORY);
        FUZZ_CHECK(fd >= 0 && dirfd >= 0);
    }

    max = p[0] < 128 ? 1 << 20 : p[0] - 127;
    p++;
    n--;

    FUZZ_CHECK(ftruncate(fd, 0) == 0);
    FUZZ_CHECK(pwrite(fd, p, n, 0) == (ssize_t) n);

    rc = upload_form_read(&f, path, "multipart/form-data; boundary=XX", dirfd,
                          max);
    FUZZ_CHECK(rc != FORM_FAILED);

    if (rc == FORM_OK) {
        FUZZ_CHECK(f.text[0] == '\0');
        check_form(&f, p, n, max);

    } else {
        FUZZ_CHECK(f.text[0] != '\0' && f.fd < 0);
    }

    upload_form_free(&f);

    return 0;
}
