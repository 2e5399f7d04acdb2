/*
 * store_sqlite_vfs.c: a rest between the writes of a commit, and whether the
 * files that are open are still there.
 *
 * A commit writes hundreds of pages, and the checkpoint that one in some brings
 * with it thousands, in one go, which keeps a processor for milliseconds that
 * nginx and Redis may wait for.  SQLite offers no place to rest in between but
 * the one where it writes a page: so the database is opened by a VFS that is
 * the system's own in all things, only that what writes the database's file
 * and its WAL says store_worked() after each page.  There a lock of writers is
 * held, and no reader waits for one.
 *
 * A file that somebody has removed, or put another one in the place of, can be
 * written as long as it is open: everything would succeed, Redis would forget
 * what is stored, and with the process it would be gone.  SQLite looks at
 * that (SQLITE_FCNTL_HAS_MOVED) for a rollback journal only.
 */

#include <stdio.h>
#include <sys/stat.h>

#include "worker/store/sqlite/store_sqlite.h"


static int  vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file,
    int flags, int *out);
static void vfs_watch(sq_methods_t *m, sqlite3_file *file, const char *name);
static int  vfs_write(sqlite3_file *file, const void *data, int n,
    sqlite3_int64 at);


const char *
sq_vfs_init(store_sqlite_t *st)
{
    sq_vfs_t  *v;

    v = &st->vfs;
    v->system = sqlite3_vfs_find(NULL);

    v->vfs = *v->system;
    v->vfs.pNext = NULL;
    v->vfs.zName = v->name;
    v->vfs.xOpen = vfs_open;
    v->database.st = &st->base;
    v->wal.st = &st->base;

    /* a name of its own for each store that is open */
    snprintf(v->name, sizeof(v->name), "writeen-%p", (void *) st);

    return sqlite3_vfs_register(&v->vfs, 0) == SQLITE_OK ? v->name : NULL;
}


void
sq_vfs_free(store_sqlite_t *st)
{
    sqlite3_vfs_unregister(&st->vfs.vfs);
}


static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
    int *out)
{
    int        rc;
    sq_vfs_t  *v;

    v = (sq_vfs_t *) vfs;
    rc = v->system->xOpen(v->system, name, file, flags, out);

    if (rc == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB)) {
        vfs_watch(&v->database, file, name);

    } else if (rc == SQLITE_OK && (flags & SQLITE_OPEN_WAL)) {
        vfs_watch(&v->wal, file, name);
    }

    return rc;
}


/* The file is the system's, and so are its methods, but for this one.  The
 * table of methods is all that a file knows of us. */
static void
vfs_watch(sq_methods_t *m, sqlite3_file *file, const char *name)
{
    struct stat  sb;

    m->methods = *file->pMethods;
    m->write = m->methods.xWrite;
    m->methods.xWrite = vfs_write;

    file->pMethods = &m->methods;

    /* the name is ours until the file is closed */
    if (stat(name, &sb) == 0) {
        m->path = name;
        m->dev = sb.st_dev;
        m->ino = sb.st_ino;
    }
}


static int
vfs_is_there(const sq_methods_t *m)
{
    struct stat  sb;

    return m->path == NULL
           || (stat(m->path, &sb) == 0 && sb.st_dev == m->dev
               && sb.st_ino == m->ino);
}


store_rc_t
sq_vfs_check(store_sqlite_t *st)
{
    const sq_methods_t  *m;

    m = vfs_is_there(&st->vfs.database) ? &st->vfs.wal : &st->vfs.database;

    if (vfs_is_there(m)) {
        return STORE_OK;
    }

    return store_fail(&st->base, STORE_DOWN, "SQLite: %s was removed, moved or"
                      " replaced while it is in use; put it back, or stop the"
                      " pool, restore the database and start again", m->path);
}


static int
vfs_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
    int            rc;
    sq_methods_t  *m;

    /* the methods are its first member */
    m = (sq_methods_t *) file->pMethods;
    rc = m->write(file, data, n, at);

    store_worked(m->st);

    return rc;
}
