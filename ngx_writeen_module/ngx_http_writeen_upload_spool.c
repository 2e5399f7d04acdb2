/*
 * ngx_http_writeen_upload_spool.c: the spool, into which the bodies of uploads
 * are written.
 *
 * A spool is a directory that nginx shares with the files roles of the worker
 * pool on this machine.  The file "id" in it names it: whoever comes first
 * makes it, and the stream of its uploads (wrt:files:<id>) is called after
 * it.  A body is written under a temporary name (ten digits) and takes the
 * upload's id as its name once it is whole; what a killed nginx leaves behind
 * is removed by the files role.
 *
 * Directory and id are seen to while the configuration is read, so that
 * `nginx -t` finds what is wrong.
 */

#include "ngx_http_writeen_upload.h"

#include <sys/random.h>


#define NGX_HTTP_WRITEEN_SPOOL_MODE  0770
#define NGX_HTTP_WRITEEN_BODY_MODE   0660
#define NGX_HTTP_WRITEEN_ID_MODE     0644


static ngx_int_t ngx_http_writeen_spool_dir(ngx_conf_t *cf, ngx_str_t *name);
static ngx_int_t ngx_http_writeen_spool_reach(ngx_conf_t *cf,
    ngx_str_t *name);
static ngx_int_t ngx_http_writeen_spool_id(ngx_conf_t *cf,
    ngx_http_writeen_spool_t *spool);
static ngx_int_t ngx_http_writeen_spool_read_id(ngx_conf_t *cf, u_char *file,
    ngx_http_writeen_spool_t *spool);
static ngx_int_t ngx_http_writeen_spool_make_id(ngx_conf_t *cf,
    ngx_str_t *dir, u_char *file);


/*
 * writeen_spool directory;
 * http, server, location; default: none
 *
 * Without it uploads are answered 503.  The directory is made when its parent
 * is there; nginx gives it to the user of its worker processes, as it does
 * with client_body_temp_path.
 */

char *
ngx_http_writeen_conf_spool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value, name;
    ngx_path_t                   *path;
    ngx_http_writeen_spool_t     *spool;
    ngx_http_writeen_loc_conf_t  *wlcf = conf;

    if (wlcf->spool != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;
    name = value[1];

    if (name.len == 0
        || name.len > NGX_MAX_PATH / 2
        || ngx_strchr(name.data, '$') != NULL)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"writeen_spool\": the "
                           "path of a directory without variables is allowed",
                           &name);
        return NGX_CONF_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, &name, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    while (name.len > 1 && name.data[name.len - 1] == '/') {
        name.data[--name.len] = '\0';
    }

    spool = ngx_pcalloc(cf->pool, sizeof(ngx_http_writeen_spool_t));
    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));

    if (spool == NULL || path == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_writeen_spool_dir(cf, &name) != NGX_OK
        || ngx_http_writeen_spool_reach(cf, &name) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    path->name = name;
    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;

    spool->path = path;

    if (ngx_http_writeen_spool_id(cf, spool) != NGX_OK
        || ngx_add_path(cf, &spool->path) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    spool->key_len = wrt_key_files(spool->key, spool->id, WRT_OID_LEN);
    wlcf->spool = spool;

    return NGX_CONF_OK;
}


/* It is there, or is made. */

static ngx_int_t
ngx_http_writeen_spool_dir(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_file_info_t  fi;

    if (ngx_create_dir(name->data, NGX_HTTP_WRITEEN_SPOOL_MODE)
        != NGX_FILE_ERROR)
    {
        /* whatever the umask is */

        if (chmod((char *) name->data, NGX_HTTP_WRITEEN_SPOOL_MODE) == -1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               "chmod(\"%V\") of \"writeen_spool\" failed",
                               name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (ngx_errno != NGX_EEXIST) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the directory \"%V\" of \"writeen_spool\" can "
                           "not be made; make it, writable for the user that "
                           "nginx runs as: install -d -m 2770 -o USER -g "
                           "GROUP %V", name, name);
        return NGX_ERROR;
    }

    if (ngx_file_info(name->data, &fi) == NGX_FILE_ERROR || !ngx_is_dir(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"writeen_spool\" is not a directory; "
                           "name one, or move what is there away", name);
        return NGX_ERROR;
    }

    /* as root: nginx gives it to its worker's user once all is read */

    if (access((char *) name->data, R_OK|W_OK|X_OK) == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the directory \"%V\" of \"writeen_spool\" is not "
                           "writable; allow it: chown or chmod u+rwx,g+rwxs "
                           "%V", name, name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Started as root, nginx could pass through directories that its worker
 * processes can not.  Of other groups than the main one nothing is known here,
 * and nothing of the user when it is named after the http block.
 */

static ngx_int_t
ngx_http_writeen_spool_reach(ngx_conf_t *cf, ngx_str_t *name)
{
    u_char           *p, saved;
    ngx_int_t         rc;
    ngx_uint_t        barred;
    ngx_core_conf_t  *ccf;
    ngx_file_info_t   fi;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);

    if (geteuid() != 0
        || ccf->user == (ngx_uid_t) NGX_CONF_UNSET_UINT
        || ccf->user == 0)
    {
        return NGX_OK;
    }

    for (p = name->data + 1; *p; p++) {

        if (*p != '/') {
            continue;
        }

        saved = *p;
        *p = '\0';
        rc = ngx_file_info(name->data, &fi);

        if (rc == NGX_FILE_ERROR) {
            barred = 1;

        } else if (fi.st_uid == ccf->user) {
            barred = !(fi.st_mode & S_IXUSR);

        } else if (fi.st_gid == ccf->group) {
            barred = !(fi.st_mode & S_IXGRP);

        } else {
            barred = !(fi.st_mode & (S_IXGRP|S_IXOTH));
        }

        if (barred) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the user \"%s\" of nginx's worker processes "
                               "can not get through \"%s\", in which the "
                               "directory of \"writeen_spool\" is; allow it "
                               "with chmod o+x, or choose another place",
                               ccf->username, name->data);
        }

        *p = saved;

        if (barred) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Who comes first makes it; link(2) lets one win, and nobody reads it half
 * written. */

static ngx_int_t
ngx_http_writeen_spool_id(ngx_conf_t *cf, ngx_http_writeen_spool_t *spool)
{
    u_char     *file;
    ngx_int_t   rc;
    ngx_str_t  *dir;

    dir = &spool->path->name;

    file = ngx_pnalloc(cf->temp_pool, dir->len + sizeof("/id"));
    if (file == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(file, "%V/id%Z", dir);

    rc = ngx_http_writeen_spool_read_id(cf, file, spool);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_writeen_spool_make_id(cf, dir, file) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_writeen_spool_read_id(cf, file, spool);

    return (rc == NGX_OK) ? NGX_OK : NGX_ERROR;
}


/* NGX_DECLINED: there is none. */

static ngx_int_t
ngx_http_writeen_spool_read_id(ngx_conf_t *cf, u_char *file,
    ngx_http_writeen_spool_t *spool)
{
    int         fd;
    char        buf[WRT_OID_LEN + 2];
    size_t      i;
    ssize_t     n;

    fd = open((char *) file, O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_NOFOLLOW);

    if (fd == -1 && ngx_errno == NGX_ENOENT) {
        return NGX_DECLINED;
    }

    n = -1;

    if (fd != -1) {
        n = read(fd, buf, sizeof(buf));
        (void) close(fd);
    }

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"%s\", which names the directory of "
                           "\"writeen_spool\", can not be read; chmod a+r it",
                           file);
        return NGX_ERROR;
    }

    if (n == WRT_OID_LEN + 1 && buf[WRT_OID_LEN] == '\n') {
        n--;
    }

    for (i = 0; n == WRT_OID_LEN && i < WRT_OID_LEN; i++) {
        if (!((buf[i] >= '0' && buf[i] <= '9')
              || (buf[i] >= 'a' && buf[i] <= 'f')))
        {
            n = 0;
        }
    }

    if (n != WRT_OID_LEN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s\", which names the directory of "
                           "\"writeen_spool\", does not hold %d hexadecimal "
                           "digits; remove it when no upload waits there",
                           file, WRT_OID_LEN);
        return NGX_ERROR;
    }

    ngx_memcpy(spool->id, buf, WRT_OID_LEN);
    spool->id[WRT_OID_LEN] = '\0';

    return NGX_OK;
}


static ngx_int_t
ngx_http_writeen_spool_make_id(ngx_conf_t *cf, ngx_str_t *dir, u_char *file)
{
    int         fd;
    u_char     *temp, random[WRT_OID_LEN / 2], id[WRT_OID_LEN];
    ngx_err_t   err;
    ngx_int_t   rc;

    temp = ngx_pnalloc(cf->temp_pool, dir->len + sizeof("/.id.")
                                      + WRT_OID_LEN);
    if (temp == NULL) {
        return NGX_ERROR;
    }

    if (getrandom(random, sizeof(random), 0) != (ssize_t) sizeof(random)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno, "getrandom() failed");
        return NGX_ERROR;
    }

    ngx_hex_dump(id, random, sizeof(random));
    ngx_sprintf(temp, "%V/.id.%*s%Z", dir, (size_t) WRT_OID_LEN, id);

    fd = open((char *) temp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC,
              NGX_HTTP_WRITEEN_ID_MODE);

    if (fd == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "no file can be made in the directory \"%V\" of "
                           "\"writeen_spool\"; allow it with chown or chmod",
                           dir);
        return NGX_ERROR;
    }

    /* whatever the umask is; and not empty after a power failure */

    rc = NGX_OK;
    err = 0;

    if (fchmod(fd, NGX_HTTP_WRITEEN_ID_MODE) == -1
        || write(fd, id, WRT_OID_LEN) != WRT_OID_LEN
        || fsync(fd) == -1)
    {
        err = ngx_errno;
        rc = NGX_ERROR;
    }

    (void) close(fd);

    if (rc == NGX_OK && link((char *) temp, (char *) file) == -1
        && ngx_errno != NGX_EEXIST)
    {
        err = ngx_errno;
        rc = NGX_ERROR;
    }

    (void) ngx_delete_file(temp);

    if (rc != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "\"%s\", which names the directory of "
                           "\"writeen_spool\", can not be written", file);
    }

    return rc;
}


/* -- bodies -- */

ngx_int_t
ngx_http_writeen_spool_open(ngx_http_writeen_spooled_t *sp,
    ngx_http_writeen_spool_t *spool, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_temp_file_t  *tf;

    tf = &sp->temp;

    tf->file.fd = NGX_INVALID_FILE;
    tf->file.log = log;
    tf->path = spool->path;
    tf->pool = pool;
    tf->persistent = 1;
    tf->clean = 1;
    tf->access = NGX_HTTP_WRITEEN_BODY_MODE;

    if (ngx_create_temp_file(&tf->file, tf->path, tf->pool, tf->persistent,
                             tf->clean, tf->access)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    sp->cleanup = pool->cleanup;    /* the newest is the file's */

    /* whatever the umask is: the files role may be another user */

    if (fchmod(tf->file.fd, NGX_HTTP_WRITEEN_BODY_MODE) == -1) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      "fchmod(\"%V\") failed", &tf->file.name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_writeen_spool_write(ngx_http_writeen_spooled_t *sp, ngx_chain_t *in)
{
    off_t         size;
    ngx_chain_t  *cl;

    size = 0;

    for (cl = in; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size == 0) {
        return NGX_OK;
    }

    if (ngx_write_chain_to_temp_file(&sp->temp, in) != (ssize_t) size) {
        return NGX_ERROR;
    }

    sp->temp.offset += size;
    sp->size += size;

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
    }

    return NGX_OK;
}


/*
 * From here on its old name may be somebody else's: the cleanup closes the file
 * and removes nothing.
 */

ngx_int_t
ngx_http_writeen_spool_keep(ngx_http_writeen_spooled_t *sp,
    ngx_http_writeen_spool_t *spool, const char *id)
{
    u_char  name[NGX_MAX_PATH + 1];

    ngx_snprintf(name, NGX_MAX_PATH, "%V/%s%Z", &spool->path->name, id);

    if (ngx_rename_file(sp->temp.file.name.data, name) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_CRIT, sp->temp.file.log, ngx_errno,
                      ngx_rename_file_n " \"%V\" to \"%s\" failed",
                      &sp->temp.file.name, name);
        return NGX_ERROR;
    }

    sp->cleanup->handler = ngx_pool_cleanup_file;
    ngx_http_writeen_spool_drop(sp);

    return NGX_OK;
}


void
ngx_http_writeen_spool_drop(ngx_http_writeen_spooled_t *sp)
{
    ngx_pool_cleanup_t  *cln;

    cln = sp->cleanup;

    if (cln == NULL) {
        return;
    }

    sp->cleanup = NULL;
    sp->temp.file.fd = NGX_INVALID_FILE;

    cln->handler(cln->data);
    cln->handler = NULL;
}


void
ngx_http_writeen_spool_remove(ngx_http_writeen_spool_t *spool, const char *id,
    ngx_log_t *log)
{
    u_char  name[NGX_MAX_PATH + 1];

    ngx_snprintf(name, NGX_MAX_PATH, "%V/%s%Z", &spool->path->name, id);

    if (ngx_delete_file(name) == NGX_FILE_ERROR && ngx_errno != NGX_ENOENT) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      ngx_delete_file_n " \"%s\" failed", name);
    }
}
