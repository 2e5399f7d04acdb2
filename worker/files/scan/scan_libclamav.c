/*
 * scan_libclamav.c: the engine in this process (see scan.h); the only file
 * that knows clamav.h.
 *
 * Signatures are those of the database directory, when it has some, and one of
 * our own: the EICAR test string, wherever it stands in a file.  So scanning
 * can be seen to work where nothing was downloaded.
 *
 * When the directory changes a second engine is loaded, and takes over when it
 * is ready; while both are there they take twice the memory.
 */

#define _GNU_SOURCE                 /* asprintf() */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clamav.h>

#include "worker/files/scan/scan_internal.h"

#define LIB_OWN  "Eicar-Test-Signature:0:*:" SCAN_EICAR_HEX "\n"

typedef struct {
    struct cl_engine        *engine;    /* NULL: not loaded */
    int                      watched;   /* stat is filled: */
    struct cl_stat           stat;      /* the directory when it was read */
    struct cl_scan_options   options;
} lib_t;

/* Results that say that we, not the file, are in trouble. */
static const cl_error_t  lib_down[] = {
    CL_EOPEN, CL_ECREAT, CL_EUNLINK, CL_ESTAT, CL_EREAD, CL_ESEEK, CL_EWRITE,
    CL_EDUP, CL_EACCES, CL_ETMPFILE, CL_ETMPDIR, CL_EMAP, CL_EMEM,
    CL_ENULLARG, CL_EARG
};

/*
 * What is never clean when it is exceeded (CL_SCAN_HEURISTIC_EXCEEDS_MAX).  The
 * limit of one file must not be below that of all: of a file in a ZIP archive
 * that is larger libclamav looks at the beginning, and calls it clean.
 */
static const struct {
    enum cl_engine_field  field;
    long long             value;
} lib_limits[] = {
    { CL_ENGINE_MAX_FILESIZE, WRT_SCAN_BYTES_MAX },
    { CL_ENGINE_MAX_SCANSIZE, WRT_SCAN_BYTES_MAX },
    { CL_ENGINE_MAX_FILES, WRT_SCAN_FILES_MAX },
    { CL_ENGINE_MAX_RECURSION, WRT_SCAN_DEPTH_MAX },
    { CL_ENGINE_MAX_SCANTIME, WRT_SCAN_MS }
};


static int
lib_init(scan_t *s)
{
    cl_error_t   rc;

    static int   done;

    if (!done) {
        rc = cl_init(CL_INIT_DEFAULT);

        if (rc != CL_SUCCESS) {
            scan_say(s, SCAN_DOWN, "libclamav: %s", cl_strerror(rc));
            return -1;
        }

        done = 1;
    }

    return 0;
}


/* Are there files of signatures?  cl_load() takes none for an error. */
static unsigned
lib_count_files(const char *path)
{
    DIR            *d;
    unsigned        n;
    const char     *dot;
    struct dirent  *e;

    static const char  *of[] = {
        ".cvd", ".cld", ".cud", ".ndb", ".ndu", ".hdb", ".hdu", ".hsb",
        ".hsu", ".mdb", ".mdu", ".msb", ".msu", ".ldb", ".ldu", ".db",
        ".cdb", ".cbc", ".yar", ".yara", NULL
    };
    const char        **ext;

    d = opendir(path);

    if (d == NULL) {
        return 0;
    }

    n = 0;

    while ((e = readdir(d)) != NULL) {
        dot = strrchr(e->d_name, '.');

        for (ext = of; dot && *ext; ext++) {
            if (strcmp(dot, *ext) == 0) {
                n++;
                break;
            }
        }
    }

    closedir(d);

    return n;
}


/* Our own signature.  libclamav reads files only, and goes by their names. */
static cl_error_t
lib_load_own(scan_t *s, struct cl_engine *engine, unsigned *signatures)
{
    char        *dir, *file;
    FILE        *f;
    cl_error_t   rc;

    dir = file = NULL;

    if (asprintf(&dir, "%s/clamav-own-XXXXXX",
                 s->cf.tmp[0] ? s->cf.tmp : "/tmp") < 0)
    {
        return CL_EMEM;
    }

    if (mkdtemp(dir) == NULL) {
        free(dir);
        return CL_ETMPDIR;
    }

    rc = CL_ETMPFILE;

    if (asprintf(&file, "%s/writeen.ndb", dir) >= 0) {
        f = fopen(file, "we");

        if (f && fputs(LIB_OWN, f) >= 0 && fflush(f) == 0) {
            rc = cl_load(file, engine, signatures, CL_DB_STDOPT);
        }

        if (f) {
            fclose(f);
        }

        unlink(file);
        free(file);
    }

    rmdir(dir);
    free(dir);

    return rc;
}


static cl_error_t
lib_settings(scan_t *s, struct cl_engine *engine)
{
    size_t      i;
    cl_error_t  rc;

    rc = CL_SUCCESS;

    for (i = 0; rc == CL_SUCCESS
                && i < sizeof(lib_limits) / sizeof(lib_limits[0]); i++)
    {
        rc = cl_engine_set_num(engine, lib_limits[i].field,
                               lib_limits[i].value);
    }

    if (rc == CL_SUCCESS && s->cf.tmp[0]) {
        rc = cl_engine_set_str(engine, CL_ENGINE_TMPDIR, s->cf.tmp);
    }

    return rc;
}


/* An engine that can scan, or NULL and why. */
static struct cl_engine *
lib_engine(scan_t *s, unsigned files)
{
    unsigned           signatures;
    cl_error_t         rc;
    struct cl_engine  *engine;

    engine = cl_engine_new();

    if (engine == NULL) {
        scan_say(s, SCAN_DOWN, "libclamav: no memory");
        return NULL;
    }

    signatures = 0;
    rc = lib_settings(s, engine);

    if (rc == CL_SUCCESS) {
        rc = lib_load_own(s, engine, &signatures);
    }

    if (rc == CL_SUCCESS && files) {
        rc = cl_load(s->cf.db, engine, &signatures, CL_DB_STDOPT);
    }

    if (rc == CL_SUCCESS) {
        rc = cl_engine_compile(engine);
    }

    if (rc != CL_SUCCESS) {
        scan_say(s, SCAN_DOWN, "libclamav: loading signatures%s%.180s: %s",
                 files ? " of " : "", files ? s->cf.db : "", cl_strerror(rc));
        cl_engine_free(engine);
        return NULL;
    }

    s->bare = files == 0;

    if (files) {
        snprintf(s->about, sizeof(s->about), "libclamav %.30s, %u signatures: "
                 "the EICAR test string and %u files of %.300s", cl_retver(),
                 signatures, files, s->cf.db);

    } else {
        snprintf(s->about, sizeof(s->about), "libclamav %.30s, the EICAR test "
                 "string alone: there are no signatures in %.300s",
                 cl_retver(), s->cf.db);
    }

    return engine;
}


/* What the directory is like, from now on. */
static void
lib_watch(scan_t *s, lib_t *lib)
{
    if (lib->watched) {
        cl_statfree(&lib->stat);
    }

    memset(&lib->stat, 0, sizeof(lib->stat));
    lib->watched = access(s->cf.db, R_OK | X_OK) == 0
                   && cl_statinidir(s->cf.db, &lib->stat) == CL_SUCCESS;
}


static int
lib_changed(scan_t *s, lib_t *lib)
{
    if (!lib->watched) {
        return access(s->cf.db, R_OK | X_OK) == 0;
    }

    return cl_statchkdir(&lib->stat) == 1;
}


static scan_rc_t
lib_prepare(scan_t *s, int *changed)
{
    lib_t             *lib;
    struct cl_engine  *engine;

    lib = s->engine;

    if (lib == NULL) {

        if (lib_init(s) != 0) {
            return SCAN_DOWN;
        }

        lib = calloc(1, sizeof(*lib));

        if (lib == NULL) {
            return scan_say(s, SCAN_DOWN, "no memory");
        }

        lib->options.general = CL_SCAN_GENERAL_HEURISTICS;

        /* not the hash of what a picture looks like: it decodes pictures of
         * any size, for signatures against phishing mail */
        lib->options.parse = ~(uint32_t) CL_SCAN_PARSE_IMAGE_FUZZY_HASH;
        lib->options.heuristic = CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE
                                 | CL_SCAN_HEURISTIC_ENCRYPTED_DOC
                                 | CL_SCAN_HEURISTIC_EXCEEDS_MAX
                                 | CL_SCAN_HEURISTIC_MACROS;
        s->engine = lib;
    }

    if (lib->engine && !lib_changed(s, lib)) {
        return SCAN_CLEAN;
    }

    /* looked at first: what changes while it is read is read again */
    lib_watch(s, lib);
    engine = lib_engine(s, lib_count_files(s->cf.db));

    if (engine == NULL) {

        /* a half written file: the old ones go on, and it is tried again when
         * it changes */
        return lib->engine ? SCAN_CLEAN : SCAN_DOWN;
    }

    if (lib->engine) {
        cl_engine_free(lib->engine);
    }

    lib->engine = engine;
    *changed = 1;

    return SCAN_CLEAN;
}


static scan_rc_t
lib_file(scan_t *s, int fd)
{
    lib_t          *lib;
    size_t          i;
    const char     *name;
    cl_error_t      rc;
    unsigned long   scanned;

    lib = s->engine;
    name = NULL;
    scanned = 0;
    rc = cl_scandesc(fd, NULL, &name, &scanned, lib->engine, &lib->options);

    if (rc == CL_VIRUS || (rc == CL_SUCCESS && name)) {
        return scan_finding(s, name ? name : "unnamed");
    }

    if (rc == CL_SUCCESS) {
        return SCAN_CLEAN;
    }

    for (i = 0; i < sizeof(lib_down) / sizeof(lib_down[0]); i++) {
        if (rc == lib_down[i]) {
            return scan_say(s, SCAN_DOWN, "libclamav: %s", cl_strerror(rc));
        }
    }

    return scan_say(s, SCAN_ERROR, "%s", cl_strerror(rc));
}


static void
lib_close(scan_t *s)
{
    lib_t  *lib;

    lib = s->engine;

    if (lib == NULL) {
        return;
    }

    if (lib->watched) {
        cl_statfree(&lib->stat);
    }

    if (lib->engine) {
        cl_engine_free(lib->engine);
    }

    free(lib);
}


const scan_ops_t  scan_libclamav_ops = {
    0, lib_prepare, lib_file, lib_close
};
