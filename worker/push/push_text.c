/*
 * push_text.c: what a push shows, in Indonesian and English.
 *
 * Whoever has the phone in front of him reads it, locked or not, and the
 * service in between may: without leave it is who wrote, not what.
 */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/wrt_utf8.h"
#include "worker/push/push.h"

typedef struct {
    const char  *title;             /* NULL: who */
    const char  *body;              /* when the content is not shown */
} text_t;

static const text_t  text_id[] = {
    [PUSH_MESSAGE]    = { NULL, "Mengirim pesan kepada Anda" },
    [PUSH_INVITATION] = { NULL, "Mengundang Anda ke percakapan" },
    [PUSH_FILE]       = { "Berkas siap", "Berkas Anda sudah terkirim" },
    [PUSH_REMINDER]   = { "Konsultasi segera dimulai", NULL }
};

static const text_t  text_en[] = {
    [PUSH_MESSAGE]    = { NULL, "Sent you a message" },
    [PUSH_INVITATION] = { NULL, "Invited you to a conversation" },
    [PUSH_FILE]       = { "File ready", "Your file has been sent" },
    [PUSH_REMINDER]   = { "Consultation starts soon", NULL }
};


/* As much as fits, whole characters, on one line. */
static void
text_fit(char *out, size_t max, const char *s)
{
    char    *p;
    size_t   n;

    n = strlen(s);

    if (n > max) {
        n = wrt_utf8_cut((const uint8_t *) s, n, max - 3);
        memcpy(out, s, n);
        memcpy(out + n, "\xE2\x80\xA6", 4);

    } else {
        memcpy(out, s, n + 1);
    }

    for (p = out; *p; p++) {
        if ((unsigned char) *p < ' ' || *p == 0x7F) {
            *p = ' ';
        }
    }
}


void
push_text(push_kind_t kind, const char *locale, const char *who,
    const char *what, int minutes, char title[WRT_PUSH_TITLE_MAX + 1],
    char body[WRT_PUSH_BODY_MAX + 1])
{
    int            en;
    char           line[64];
    const text_t  *t;

    en = locale && tolower((unsigned char) locale[0]) == 'e'
         && tolower((unsigned char) locale[1]) == 'n';
    t = en ? &text_en[kind] : &text_id[kind];

    text_fit(title, WRT_PUSH_TITLE_MAX,
             t->title ? t->title : who && who[0] ? who : "Writeen");

    if (what && what[0]) {
        text_fit(body, WRT_PUSH_BODY_MAX, what);

    } else if (t->body) {
        text_fit(body, WRT_PUSH_BODY_MAX, t->body);

    } else {
        snprintf(line, sizeof(line), en ? "In %d min" : "%d menit lagi",
                 minutes);
        text_fit(body, WRT_PUSH_BODY_MAX, line);
    }
}
