/*
 * notifier_note.c: what there may be to push, noted for the notifier
 * (notifier.h has the items).
 *
 * Part of what follows from a stored event: may be done twice, and costs one
 * command.  That somebody has read is noted only where something waits for
 * it, which Redis decides (XX).
 */

#include <string.h>

#include "worker/notifier/notifier.h"


/* how: NX, XX, or NULL */
static void
note(rds_t *hub, cmd_t *cmd, const char *how, const char *lower, int64_t at,
    const char *item)
{
    cmd_begin(cmd, "ZADD");
    cmd_text(cmd, WRT_KEY_PUSH_DUE);

    if (how) {
        cmd_text(cmd, how);
    }

    if (lower) {
        cmd_text(cmd, lower);
    }

    cmd_num(cmd, at);
    cmd_text(cmd, item);
    rds_push(hub, cmd);
}


static void
note_words(rds_t *hub, cmd_t *cmd, const char *how, int64_t at, char kind,
    const char *a, const char *b, const char *c)
{
    char  item[NOTIFIER_ITEM];

    snprintf(item, sizeof(item), "%c %s%s%s%s%s", kind, a, b ? " " : "",
             b ? b : "", c ? " " : "", c ? c : "");
    note(hub, cmd, how, NULL, at, item);
}


/* What he was shown, if that is so, is to be looked at. */
static void
note_shown(rds_t *hub, cmd_t *cmd, const char *conversation,
    const char *user, int64_t now)
{
    char  item[NOTIFIER_ITEM];

    snprintf(item, sizeof(item), "w %s %s", conversation, user);
    note(hub, cmd, "XX", "LT", now, item);
}


/* A room with others in it: they are invited.  Who has made it knows, unless
 * it was made for him by a consultation's confirmation. */
static void
note_create(rds_t *hub, cmd_t *cmd, const conf_t *cf, const entry_t *e,
    int64_t now)
{
    int          consultation;
    size_t       i;
    json_t      *v;
    const char  *type, *user;

    type = json_string_value(json_object_get(e->ev.body, "type"));
    consultation = type && strcmp(type, "consultation") == 0;

    if (type == NULL || strcmp(type, "direct") == 0) {
        return;
    }

    json_array_foreach(json_object_get(e->ev.body, "participants"), i, v) {
        user = json_string_value(json_object_get(v, "userId"));

        if (user && wrt_id_valid(user, strlen(user))
            && (consultation || strcmp(user, e->actor) != 0))
        {
            note_words(hub, cmd, "NX", now + cf->push_grace_ms, 'i',
                       e->conversation, user, e->actor[0] ? e->actor : "-");
        }
    }

    if (consultation) {
        note_words(hub, cmd, NULL, now, 'r', e->conversation, NULL, NULL);
    }
}


/* What is deleted may be on a screen.  What is said of the room may have moved
 * its consultation. */
static void
note_change(rds_t *hub, cmd_t *cmd, const entry_t *e, int64_t now)
{
    const char    *event;
    const json_t  *conv;

    event = json_string_value(json_object_get(e->ev.body, "event"));

    if (event && strcmp(event, "message_deleted") == 0) {
        note_words(hub, cmd, "NX", now, 'm', e->conversation, NULL, NULL);
    }

    if (event == NULL || strcmp(event, "conversation_updated") != 0) {
        return;
    }

    conv = json_object_get(json_object_get(e->ev.body, "data"),
                           "conversation");
    note_words(hub, cmd,
               json_is_object(json_object_get(conv, "context")) ? NULL : "XX",
               now, 'r', e->conversation, NULL, NULL);
}


void
notifier_note(rds_t *hub, cmd_t *cmd, const conf_t *cf, const entry_t *e)
{
    char         key[WRT_NAME_BUF];
    int64_t      now;
    const char  *text;

    if (push_services(&cf->push) == 0) {
        return;
    }

    now = now_ms();

    switch (e->ev.kind) {

    case WRT_EV_MESSAGE:
        text = json_string_value(json_object_get(json_object_get(
                   json_object_get(e->ev.body, "data"), "message"), "type"));

        if (text && strcmp(text, "system") != 0) {
            note_words(hub, cmd, "NX", now + cf->push_grace_ms, 'm',
                       e->conversation, NULL, NULL);
        }

        break;

    case WRT_EV_STATUS:
        text = json_string_value(json_object_get(e->ev.extra, "kind"));

        if (text && text[0] == 'r') {
            note_shown(hub, cmd, e->conversation, e->actor, now);
        }

        break;

    case WRT_EV_LEAVE:
        note_shown(hub, cmd, e->conversation, e->target, now);
        break;

    case WRT_EV_CREATE:
        note_create(hub, cmd, cf, e, now);
        break;

    case WRT_EV_JOIN:
        if (strcmp(e->target, e->actor) != 0) {
            note_words(hub, cmd, "NX", now + cf->push_grace_ms, 'i',
                       e->conversation, e->target,
                       e->actor[0] ? e->actor : "-");
        }

        break;

    case WRT_EV_CHANGE:
        note_change(hub, cmd, e, now);
        break;

    case WRT_EV_DEVICE:
        text = json_string_value(json_object_get(e->ev.body, "op"));

        if (text && strcmp(text, "forget") == 0) {
            wrt_key_user_pushed(key, e->actor, strlen(e->actor));
            rds_queue(hub, "DEL", key);
        }

        break;
    }
}


int
notifier_note_file(rds_t *hub, cmd_t *cmd, const conf_t *cf,
    const char *conversation, const char *user, const char *file,
    int64_t since)
{
    if (push_services(&cf->push) == 0
        || now_ms() - since < WRT_UPLOAD_WAIT_MS)
    {
        return 0;
    }

    if (hub == NULL) {
        return -1;
    }

    note_words(hub, cmd, "NX", now_ms() + cf->push_grace_ms, 'f',
               conversation, user, file);

    return rds_drain(hub);
}
