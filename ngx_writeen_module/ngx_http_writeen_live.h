/*
 * ngx_http_writeen_live.h: what lives for the moment: receipts, typing,
 * presence.  Part of ngx_http_writeen.h.
 */

#ifndef _NGX_HTTP_WRITEEN_LIVE_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_LIVE_H_INCLUDED_


/* ngx_http_writeen_receipt.c: mark_read, mark_delivered */

void ngx_http_writeen_receipt_read(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
void ngx_http_writeen_receipt_delivered(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
void ngx_http_writeen_receipt_exit(ngx_http_writeen_worker_t *wk);


#endif /* _NGX_HTTP_WRITEEN_LIVE_H_INCLUDED_ */
