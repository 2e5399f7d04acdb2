/*
 * store_scripts.c: finds and reads the numbered migrations of
 * sql_or_mongo_scripts/{sqlite,mongo}/.  What they do is the stores' affair.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/store_internal.h"

#define SCRIPT_DIGITS  3
#define SCRIPT_MAX     (1024 * 1024)    /* bytes of one script */


/* NNN_<words>.<ext> gives NNN, anything else 0. */
static int
script_version(const char *name, const char *ext)
{
    int     i, v;
    size_t  len, ext_len;

    v = 0;

    for (i = 0; i < SCRIPT_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9') {
            return 0;
        }

        v = v * 10 + (name[i] - '0');
    }

    len = strlen(name);
    ext_len = strlen(ext);

    if (name[SCRIPT_DIGITS] != '_' || len < SCRIPT_DIGITS + 2 + ext_len
        || name[len - ext_len - 1] != '.'
        || strcmp(name + len - ext_len, ext) != 0)
    {
        return 0;
    }

    return v;
}


static int
script_cmp(const void *a, const void *b)
{
    const store_script_t  *x = a, *y = b;

    return x->version - y->version;
}


void
store_scripts_free(store_script_t *s, int n)
{
    int  i;

    for (i = 0; i < n; i++) {
        free(s[i].path);
    }

    free(s);
}


static void
script_add(store_script_t **list, int n, const char *dir, const char *kind,
    const char *name, int version)
{
    size_t           size;
    store_script_t  *s;

    s = realloc(*list, ((size_t) n + 1) * sizeof(store_script_t));
    if (s == NULL) {
        store_oom();
    }

    *list = s;
    s += n;

    size = strlen(dir) + strlen(kind) + strlen(name) + 3;

    s->path = malloc(size);
    if (s->path == NULL) {
        store_oom();
    }

    snprintf(s->path, size, "%s/%s/%s", dir, kind, name);
    s->name = s->path + size - 1 - strlen(name);
    s->version = version;
}


int
store_scripts_list(const char *dir, const char *kind, const char *ext,
    store_script_t **out, char *err, size_t err_size)
{
    DIR             *d;
    int              i, n, version;
    char             path[1024];
    struct dirent   *e;
    store_script_t  *list;

    snprintf(path, sizeof(path), "%s/%s", dir, kind);

    d = opendir(path);
    if (d == NULL) {
        snprintf(err, err_size, "SCRIPTS_DIR: cannot read %s: %s; it must be"
                 " the program's sql_or_mongo_scripts directory", path,
                 strerror(errno));
        return -1;
    }

    n = 0;
    list = NULL;

    while ((e = readdir(d)) != NULL) {
        version = script_version(e->d_name, ext);

        if (version > 0) {
            script_add(&list, n, dir, kind, e->d_name, version);
            n++;
        }
    }

    closedir(d);

    if (n == 0) {
        snprintf(err, err_size, "SCRIPTS_DIR: no NNN_name.%s in %s; it must"
                 " be the program's sql_or_mongo_scripts directory", ext,
                 path);
        return -1;
    }

    qsort(list, (size_t) n, sizeof(store_script_t), script_cmp);

    for (i = 0; i < n; i++) {
        if (list[i].version != i + 1) {
            snprintf(err, err_size, "SCRIPTS_DIR: %s: expected number %03d,"
                     " found %s; scripts are numbered from 001 without holes"
                     " or repeats", path, i + 1, list[i].name);
            store_scripts_free(list, n);
            return -1;
        }
    }

    *out = list;

    return n;
}


char *
store_scripts_read(const store_script_t *s, size_t *len, char *err,
    size_t err_size)
{
    FILE    *f;
    char    *text;
    size_t   n;

    text = malloc(SCRIPT_MAX + 1);
    if (text == NULL) {
        store_oom();
    }

    f = fopen(s->path, "r");
    n = f ? fread(text, 1, SCRIPT_MAX, f) : 0;

    if (f == NULL || ferror(f) || !feof(f)) {
        snprintf(err, err_size, "SCRIPTS_DIR: cannot read %s: %s", s->path,
                 f && !ferror(f) ? "larger than 1 MiB" : strerror(errno));
        if (f) {
            fclose(f);
        }
        free(text);
        return NULL;
    }

    fclose(f);

    text[n] = '\0';
    *len = n;

    return text;
}


int
store_scripts_judge(const char *setting, const char *where, int found,
    int known, int migrate, char *err, size_t err_size)
{
    if (found > known) {
        snprintf(err, err_size, "%s: the schema of %s has version %d, this"
                 " program knows up to %d; run the writeen-worker that made"
                 " it or a newer one", setting, where, found, known);
        return -1;
    }

    if (found < known && !migrate) {
        snprintf(err, err_size, "%s: the schema of %s has version %d, this"
                 " program needs %d; start writeen-worker, which brings it up"
                 " to date", setting, where, found, known);
        return -1;
    }

    return 0;
}
