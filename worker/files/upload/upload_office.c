/*
 * upload_office.c: the inner structure of .docx and .pptx (see
 * upload_office.h); the only file that knows libzip.
 *
 * libzip goes by the directory at the end of the archive, as Office does.  An
 * archive is what it is by [Content_Types].xml, which gives each part its
 * type: the main part's type must be that of a document without macros (Office
 * opens a file with another one as that other thing), and no part may be a
 * project of macros, by name or by type.  That file is searched as text; so
 * that nothing hides from a search, it may have no character references and no
 * DOCTYPE, which Office never writes.
 */

#define _GNU_SOURCE                 /* memmem(), strcasestr() */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zip.h>

#include "common/wrt_limits.h"
#include "worker/files/upload/upload_office.h"

#define OFFICE_TYPES  "[Content_Types].xml"

typedef struct {
    const char  *part;
    const char  *type;
} office_main_t;

static const office_main_t  office_mains[] = {
    { "word/document.xml",
      "application/vnd.openxmlformats-officedocument.wordprocessingml."
      "document.main+xml" },
    { "ppt/presentation.xml",
      "application/vnd.openxmlformats-officedocument.presentationml."
      "presentation.main+xml" }
};

/* In the list of types. */
static const char  *office_refused[] = {
    "macroEnabled", "vbaProject", "vbaData", "&#", "<!DOCTYPE", "<!ENTITY"
};


/* A name that is a path of its own would be one when it is unpacked. */
static int
office_name_ok(const char *s)
{
    return s[0] != '/' && strchr(s, '\\') == NULL && strstr(s, "../") == NULL
           && strchr(s, ':') == NULL;
}


static int
office_is_macro(const char *s)
{
    const char  *base;

    base = strrchr(s, '/');
    base = base ? base + 1 : s;

    return strcasestr(base, "vbaProject") || strcasestr(base, "vbaData");
}


/* All entries, by what the directory says of them. */
static const char *
office_entries(zip_t *z, const office_main_t *want)
{
    int                 types, part;
    uint64_t            total;
    zip_stat_t          st;
    zip_int64_t         i, n;

    n = zip_get_num_entries(z, 0);

    if (n < 1 || n > WRT_OFFICE_ENTRIES_MAX) {
        return "it has too many parts";
    }

    types = part = 0;
    total = 0;

    for (i = 0; i < n; i++) {

        if (zip_stat_index(z, (zip_uint64_t) i, ZIP_FL_ENC_RAW, &st) != 0
            || !(st.valid & ZIP_STAT_NAME) || !(st.valid & ZIP_STAT_SIZE))
        {
            return "its directory is damaged";
        }

        if ((st.valid & ZIP_STAT_ENCRYPTION_METHOD)
            && st.encryption_method != ZIP_EM_NONE)
        {
            return "it is encrypted";
        }

        if (st.size > WRT_OFFICE_BYTES_MAX
            || (total += st.size) > WRT_OFFICE_BYTES_MAX)
        {
            return "it unpacks to more than 200 MB";
        }

        if (!office_name_ok(st.name)) {
            return "it has a part with a path of its own";
        }

        if (office_is_macro(st.name)) {
            return "it has macros";
        }

        types += strcasecmp(st.name, OFFICE_TYPES) == 0;
        part += strcmp(st.name, want->part) == 0;
    }

    /* two of a name: who reads which one? */
    return types == 1 && part == 1 ? NULL
           : "it lacks the parts of such a document";
}


/* The list of types as text; NULL: why is in *why. */
static char *
office_types(zip_t *z, const char **why, int *failed)
{
    char         *p;
    zip_file_t   *f;
    zip_int64_t   n, got;

    p = malloc(WRT_OFFICE_TYPES_MAX + 2);

    if (p == NULL) {
        *failed = 1;
        *why = "no memory";
        return NULL;
    }

    f = zip_fopen(z, OFFICE_TYPES, ZIP_FL_NOCASE);
    n = 0;
    got = -1;

    while (f && n <= WRT_OFFICE_TYPES_MAX) {
        got = zip_fread(f, p + n, (zip_uint64_t) (WRT_OFFICE_TYPES_MAX + 1
                                                  - n));

        if (got <= 0) {
            break;
        }

        n += got;
    }

    if (f) {
        zip_fclose(f);
    }

    /* the size that the directory told was for show */
    if (got != 0 || n > WRT_OFFICE_TYPES_MAX
        || memchr(p, '\0', (size_t) n) != NULL)
    {
        *why = "its list of parts is damaged";
        free(p);
        return NULL;
    }

    p[n] = '\0';

    return p;
}


static const char *
office_content(zip_t *z, const office_main_t *want, int *failed)
{
    char        *types;
    size_t       i;
    const char  *why;

    types = office_types(z, &why, failed);

    if (types == NULL) {
        return why;
    }

    why = NULL;

    for (i = 0; i < sizeof(office_refused) / sizeof(char *); i++) {
        if (strcasestr(types, office_refused[i])) {
            why = i < 3 ? "it has macros" : "its list of parts is not plain";
            break;
        }
    }

    if (why == NULL && strstr(types, want->type) == NULL) {
        why = "its list of parts is that of something else";
    }

    free(types);

    return why;
}


const char *
upload_office_check(int fd, office_kind_t kind, int *failed)
{
    int          copy, err;
    char         head[4];
    zip_t       *z;
    const char  *why;

    *failed = 0;

    /* an archive may follow anything, a program say; a document does not */
    if (pread(fd, head, sizeof(head), 0) != sizeof(head)
        || memcmp(head, "PK\003\004", 4) != 0)
    {
        return "it is no Office document";
    }

    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0) {
        *failed = 1;
        return "no descriptor";
    }

    /* it reads from where the file stands */
    if (lseek(copy, 0, SEEK_SET) != 0) {
        close(copy);
        *failed = 1;
        return "the file can not be read";
    }

    z = zip_fdopen(copy, 0, &err);

    if (z == NULL) {
        close(copy);
        *failed = err == ZIP_ER_MEMORY || err == ZIP_ER_READ
                  || err == ZIP_ER_OPEN;
        return *failed ? "the archive can not be read"
                       : "its archive is damaged";
    }

    why = office_entries(z, &office_mains[kind]);

    if (why == NULL) {
        why = office_content(z, &office_mains[kind], failed);
    }

    zip_discard(z);

    return why;
}
