/*
 * ngx_http_writeen_echo_module.c: `writeen_echo`, the endpoint that WebSocket
 * conformance tests need.
 *
 * A module of its own that is loaded after the chat module, which is tested as
 * it is shipped: handshake, token, frames, fragments, compression, UTF-8, queue
 * and closing are its code.  Only what is made of a whole message differs: it
 * goes back as it came, however short compressed, and nobody is said to be
 * there.
 */

#include "ngx_http_writeen.h"


/* Autobahn's largest message is 16 MiB; several may wait for the client. */
#define NGX_HTTP_WRITEEN_ECHO_MESSAGE  (17 * 1024 * 1024)
#define NGX_HTTP_WRITEEN_ECHO_QUEUE    (256 * 1024 * 1024)


static char *ngx_http_writeen_echo(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_http_writeen_echo_message(ngx_http_writeen_session_t *s,
    ngx_uint_t opcode, u_char *p, size_t n);


static ngx_command_t  ngx_http_writeen_echo_commands[] = {

    /* in a location, after writeen_websocket */

    { ngx_string("writeen_echo"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_writeen_echo,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_writeen_echo_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_writeen_echo_module = {
    NGX_MODULE_V1,
    &ngx_http_writeen_echo_module_ctx,     /* module context */
    ngx_http_writeen_echo_commands,        /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_writeen_echo(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_writeen_loc_conf_t  *wlcf;

    wlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_writeen_module);

    wlcf->raw = ngx_http_writeen_echo_message;
    wlcf->max_message = NGX_HTTP_WRITEEN_ECHO_MESSAGE;
    wlcf->send_queue = NGX_HTTP_WRITEEN_ECHO_QUEUE;
    wlcf->deflate = 1;
    wlcf->deflate_min = 0;

    return NGX_CONF_OK;
}


static void
ngx_http_writeen_echo_message(ngx_http_writeen_session_t *s,
    ngx_uint_t opcode, u_char *p, size_t n)
{
    ngx_http_writeen_msg_t  *msg;

    msg = ngx_http_writeen_msg_create(opcode, p, n);
    if (msg == NULL) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    ngx_http_writeen_output(s, msg);
    ngx_http_writeen_msg_unref(msg);
}
