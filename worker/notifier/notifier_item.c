/*
 * notifier_item.c: one item: who may have to be told, and of what.
 *
 * Members and cursors are asked of Redis, where they are right at once;
 * messages, devices and settings of the store, which has all that the item was
 * noted for.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/notifier/notifier.h"

#define ITEM_AGAIN_MS  (WRT_LEASE_USER_MS + WRT_PUSH_AGAIN_MS)

/* What is looked at. */
typedef struct {
    notifier_t    *n;
    item_t        *item;
    store_t       *store;
    char           words[NOTIFIER_WORDS][WRT_ID_MAX + 1];
    unsigned       nwords;
    const char    *conversation;
    const char    *user;            /* NULL: all */

    push_kind_t    kind;
    const char    *suffix;          /* of fields */
    const char    *who;
    const char    *what;
    int            minutes;
    char           tag[PUSH_TAG_MAX + 1];

    person_t      *people;
    unsigned       npeople;
    json_t        *docs;            /* owned, that texts are in */
    int            gone;            /* a message of these is deleted */
} look_t;


/* ---- who is in the room ---- */

/* The whole hash of the conversation; NULL: not now.  *none: there is no such
 * conversation. */
static reply_t *
item_hash(look_t *l, int *none)
{
    int          i;
    char         key[WRT_NAME_BUF];
    rds_t       *shard;
    size_t       len;
    reply_t     *r;
    store_rc_t   rc;

    *none = 0;
    len = strlen(l->conversation);
    wrt_key_conv(key, wrt_shard(&l->n->cf->names, l->conversation, len),
                 l->conversation, len);

    for (i = 0; i < 2; i++) {
        shard = notifier_shard(l->n, l->conversation);
        if (shard == NULL) {
            return NULL;
        }

        r = rds_call(shard, "HGETALL", key);

        if (r == NULL || reply_is_error(r)) {
            reply_free(r);
            return NULL;
        }

        if (reply_count(r) > 0) {
            return r;
        }

        reply_free(r);
        rc = load_conversation(l->store, shard, l->n->cf, l->conversation);

        if (rc != STORE_OK) {
            *none = rc == STORE_NOT_FOUND;
            role_store_result(l->n->role, rc == STORE_DOWN ? rc : STORE_OK);
            return NULL;
        }
    }

    return NULL;
}


/* "<permissions>|<role>|<join seq>" of who may read. */
static void
item_member(look_t *l, const char *user, const char *value)
{
    size_t       letters;
    person_t    *p;
    const char  *seq;

    letters = strcspn(value, "|");

    if (memchr(value, 'r', letters) == NULL
        || (l->user && strcmp(l->user, user) != 0)
        || strlen(user) > WRT_ID_MAX)
    {
        return;
    }

    seq = strrchr(value, '|');
    p = &l->people[l->npeople++];
    text_copy(p->user, sizeof(p->user), user);
    p->joined = seq ? atoll(seq + 1) : 0;
}


/* 1, 0: there is no such conversation, -1: not now. */
static int
item_people(look_t *l)
{
    int          none;
    size_t       i, n;
    reply_t     *r;
    const char  *name;

    r = item_hash(l, &none);
    if (r == NULL) {
        return none ? 0 : -1;
    }

    n = reply_count(r);
    l->people = mem_zero((n / 2 + 1) * sizeof(person_t));

    for (i = 0; i + 1 < n; i += 2) {
        name = reply_text(reply_at(r, i));

        if (strncmp(name, WRT_F_MEMBER, sizeof(WRT_F_MEMBER) - 1) == 0) {
            item_member(l, name + sizeof(WRT_F_MEMBER) - 1,
                        reply_text(reply_at(r, i + 1)));
        }
    }

    reply_free(r);

    return 1;
}


/* ---- one page of them ---- */

/* "<kind> <conversation> <user>[ <more>]" */
static void
item_text(const look_t *l, char out[NOTIFIER_ITEM], const char *user,
    const char *more)
{
    snprintf(out, NOTIFIER_ITEM, "%c %s %s%s%s", l->item->text[0],
             l->conversation, user, more ? " " : "", more ? more : "");
}


static void
item_want(look_t *l, const person_t *p, const json_t *device,
    const pushed_t *was)
{
    want_t        *w;
    const json_t  *content;

    w = notifier_want(l->n);
    w->kind = l->kind;
    w->services = was->seq == p->seq ? was->left : l->n->services;
    w->tries = was->tries;
    w->user = p->user;
    w->device = device;
    w->seq = p->seq;
    w->who = l->who;
    w->what = l->what;
    w->minutes = l->minutes;
    notifier_field(w->field, l->conversation, device, l->suffix);
    text_copy(w->tag, sizeof(w->tag), l->tag);
    item_text(l, w->again, p->user,
              l->nwords > 2 && l->item->text[0] != 'm' ? l->words[2] : NULL);

    if (p->message) {
        content = json_object_get(p->message, "content");
        w->who = json_string_value(json_object_get(json_object_get(
                     p->message, "sender"), "name"));
        w->what = json_string_value(json_object_get(content, "text"));

        if (w->what == NULL) {
            w->what = json_string_value(json_object_get(json_object_get(
                          content, "fileInfo"), "fileName"));
        }
    }
}


/* What a device shows is taken back. */
static void
item_unshow(look_t *l, const person_t *p, const json_t *device, int64_t seq)
{
    want_t  *w;

    w = notifier_want(l->n);
    w->kind = PUSH_WITHDRAW;
    w->services = l->n->services;
    w->user = p->user;
    w->device = device;
    w->seq = seq;
    notifier_field(w->field, l->conversation, device, "");
    text_copy(w->tag, sizeof(w->tag), l->tag);
    item_text(l, w->again, p->user, NULL);
}


/* Has the message been deleted that a device shows? */
static int
item_deleted(const look_t *l, int64_t seq)
{
    size_t   i;
    json_t  *m;

    if (seq == 0 || !l->gone) {
        return 0;
    }

    json_array_foreach(l->docs, i, m) {
        if (json_integer_value(json_object_get(m, "seq")) == seq) {
            return json_is_string(json_object_get(m, "deletedAt"));
        }
    }

    return 0;
}


/* What does this one want?  Queues on the hub what is to be looked at
 * later. */
static void
item_person(look_t *l, rds_t *hub, const person_t *p, int64_t now)
{
    int          known, told, gone;
    char         text[NOTIFIER_ITEM];
    size_t       i;
    json_t      *d;
    int64_t      until;
    unsigned     before;
    pushed_t     was;
    const char  *more;

    before = l->n->nwants;
    known = 0;
    more = l->nwords > 2 && l->item->text[0] != 'm' ? l->words[2] : NULL;
    until = notifier_quiet(p->push, now);
    told = !p->muted && (p->read < p->seq || l->kind != PUSH_MESSAGE);

    json_array_foreach(json_object_get(p->push, "devices"), i, d) {
        was = notifier_pushed(l->n, p, i);
        known += was.seq > 0;

        gone = item_deleted(l, was.seq);

        if (told && !p->open && until == 0
            && (gone || was.left > 0 || was.seq < p->seq))
        {
            item_want(l, p, d, &was);

        } else if (gone) {
            item_unshow(l, p, d, was.seq);
        }
    }

    if (l->kind == PUSH_MESSAGE && known == 0 && l->n->nwants == before) {
        /* nothing that could be withdrawn */
        snprintf(text, sizeof(text), "w %s %s", l->conversation, p->user);
        rds_queue(hub, "ZREM", WRT_KEY_PUSH_DUE, text);
    }

    if (!told) {
        return;
    }

    if (p->open) {
        /* the connection may be dead, which shows after a while */
        if (l->kind == PUSH_MESSAGE && l->nwords < 3) {
            item_text(l, text, p->user, "o");
            notifier_due(l->n, hub, text, now + ITEM_AGAIN_MS);
        }

        return;
    }

    if (until > 0) {
        item_text(l, text, p->user, more);
        notifier_due(l->n, hub, text, until);
    }
}


/* Of these the ones with devices that are not muted (but may show what is
 * deleted), in front.  Returns how many, or -1. */
static int
item_reach(look_t *l, person_t *people, unsigned count, json_t **push)
{
    unsigned     i, k;
    person_t     p;
    store_rc_t   rc;
    const char  *users[WRT_PUSH_PAGE];

    for (i = 0; i < count; i++) {
        users[i] = people[i].user;
    }

    rc = store_push(l->store, users, count, l->conversation, push);
    role_store_result(l->n->role, rc);

    if (rc != STORE_OK) {
        return -1;
    }

    for (i = 0, k = 0; i < count; i++) {
        people[i].push = json_object_get(*push, people[i].user);
        people[i].muted = l->kind != PUSH_WITHDRAW && l->kind != PUSH_FILE
                          && notifier_muted(people[i].push, now_ms());

        if (json_array_size(json_object_get(people[i].push, "devices")) == 0
            || (people[i].muted && !l->gone))
        {
            continue;
        }

        /* what is on its way has to arrive before anything else is said */
        if (notifier_flying(l->n, l->conversation, people[i].user)) {
            notifier_due(l->n, l->n->links[0].c, l->item->text,
                         now_ms() + WRT_PUSH_AGAIN_MS);
            continue;
        }

        p = people[k];
        people[k++] = people[i];
        people[i] = p;
    }

    return (int) k;
}


/* The shown ones that he has read are withdrawn. */
static void
item_withdraw(look_t *l, rds_t *hub, const person_t *p)
{
    int        known;
    size_t     i;
    json_t    *d;
    pushed_t   was;

    known = 0;

    json_array_foreach(json_object_get(p->push, "devices"), i, d) {
        was = notifier_pushed(l->n, p, i);
        known += was.seq > 0;

        if (was.seq > 0 && p->read >= was.seq) {
            item_unshow(l, p, d, was.seq);
        }
    }

    if (known == 0) {
        rds_queue(hub, "ZREM", WRT_KEY_PUSH_DUE, l->item->text);
    }
}


static int
item_page(look_t *l, person_t *people, unsigned count)
{
    int       rc, k, i;
    rds_t    *hub;
    json_t   *push;
    int64_t   now;

    hub = notifier_hub(l->n);
    if (hub == NULL) {
        return -1;
    }

    push = NULL;
    k = item_reach(l, people, count, &push);
    rc = k < 0 ? -1 : rds_drain(hub);

    if (rc == 0) {
        rc = notifier_look(l->n, l->conversation, people, (unsigned) k,
                           l->suffix, l->kind == PUSH_MESSAGE
                                      || l->kind == PUSH_WITHDRAW);
    }

    now = now_ms();

    for (i = 0; i < k && rc == 0; i++) {
        if (l->kind == PUSH_WITHDRAW) {
            item_withdraw(l, hub, &people[i]);
        } else {
            item_person(l, hub, &people[i], now);
        }
    }

    if (rc == 0) {
        rc = notifier_go(l->n, l->item, l->conversation);
    }

    if (k > 0) {
        notifier_looked(people, (unsigned) k);
    }

    json_decref(push);

    return rc;
}


/* Those who are to be told of something, or may be shown what is deleted, page
 * by page. */
static int
item_pages(look_t *l)
{
    int        rc;
    unsigned   i, k, n;
    person_t   p;

    /* to the front */
    for (i = 0, k = 0; i < l->npeople; i++) {
        if (l->people[i].seq > 0 || l->gone) {
            p = l->people[k];
            l->people[k++] = l->people[i];
            l->people[i] = p;
        }
    }

    rc = 0;

    for (i = 0; i < k && rc == 0; i += n) {
        n = k - i > WRT_PUSH_PAGE ? WRT_PUSH_PAGE : k - i;
        rc = item_page(l, l->people + i, n);
    }

    return rc;
}


/* ---- kinds ---- */

/* The newest message that is not his own, unless he has written since. */
static void
item_newest(const json_t *messages, person_t *p)
{
    size_t         i;
    json_t        *m;
    const char    *type, *sender;

    json_array_foreach(messages, i, m) {
        type = json_string_value(json_object_get(m, "type"));
        sender = json_string_value(json_object_get(m, "senderId"));

        if (type == NULL || sender == NULL || strcmp(type, "system") == 0
            || json_is_string(json_object_get(m, "deletedAt")))
        {
            continue;
        }

        if (strcmp(sender, p->user) != 0) {
            p->seq = json_integer_value(json_object_get(m, "seq"));
            p->message = m;

            if (p->seq <= p->joined) {
                p->seq = 0;
            }
        }

        return;
    }
}


static int
item_messages(look_t *l)
{
    int            more;
    unsigned       i;
    store_rc_t     rc;
    store_page_t   q;

    memset(&q, 0, sizeof(q));
    q.conversation = l->conversation;
    q.page = 1;
    q.limit = WRT_PUSH_LOOK;
    q.before_ms = -1;
    q.before_seq = -1;
    q.after_seq = -1;

    rc = store_messages(l->store, &q, &l->docs, &more);
    role_store_result(l->n->role, rc);

    if (rc != STORE_OK) {
        return rc == STORE_NOT_FOUND ? 0 : -1;
    }

    for (i = 0; i < json_array_size(l->docs); i++) {
        l->gone |= json_is_string(json_object_get(json_array_get(l->docs, i),
                                                  "deletedAt"));
    }

    for (i = 0; i < l->npeople; i++) {
        item_newest(l->docs, &l->people[i]);
    }

    return item_pages(l);
}


static int
item_invitation(look_t *l)
{
    json_t      *conv, *user;
    unsigned     i;
    store_rc_t   rc;

    rc = store_conversation(l->store, l->conversation, NULL, &conv);
    role_store_result(l->n->role, rc);

    if (rc != STORE_OK) {
        return rc == STORE_NOT_FOUND ? 0 : -1;
    }

    l->docs = json_array();
    json_array_append_new(l->docs, conv);
    l->what = json_string_value(json_object_get(conv, "title"));

    if (l->nwords > 2 && wrt_id_valid(l->words[2], strlen(l->words[2]))) {
        rc = store_user(l->store, l->words[2], &user, NULL);

        if (rc == STORE_OK) {
            json_array_append_new(l->docs, user);
            l->who = json_string_value(json_object_get(user, "name"));
        }
    }

    for (i = 0; i < l->npeople; i++) {
        l->people[i].seq = l->people[i].joined + 1;
    }

    return item_pages(l);
}


/* When the consultation begins, 0: it does not. */
static int64_t
item_scheduled(const json_t *conv)
{
    int64_t      ms;
    const char  *s;

    /* not once it has begun, was cancelled... */
    s = json_string_value(json_object_get(conv, "consultationStatus"));

    if (s && strcmp(s, "confirmed") != 0) {
        return 0;
    }

    s = json_string_value(json_object_get(json_object_get(conv, "context"),
                                          "scheduledAt"));

    if (s == NULL || json_is_true(json_object_get(conv, "isArchived"))
        || wrt_time_parse(s, strlen(s), &ms) != 0)
    {
        return 0;
    }

    return ms;
}


/* Kept as due until a day after the consultation, so that one that is moved is
 * found. */
static int
item_reminder(look_t *l)
{
    rds_t       *hub;
    int64_t      now, begins, due;
    unsigned     i;
    store_rc_t   rc;

    if (l->n->cf->push_reminder_m == 0) {
        return 0;
    }

    rc = store_conversation(l->store, l->conversation, NULL, &l->docs);
    role_store_result(l->n->role, rc);

    if (rc != STORE_OK) {
        return rc == STORE_NOT_FOUND ? 0 : -1;
    }

    now = now_ms();
    begins = item_scheduled(l->docs);
    due = begins - (int64_t) l->n->cf->push_reminder_m * 60000;
    hub = notifier_hub(l->n);

    if (begins == 0 || now > begins + 86400000) {
        return 0;
    }

    if (hub == NULL) {
        return -1;
    }

    if (l->user == NULL) {
        notifier_due(l->n, hub, l->item->text,
                     now < due ? due : begins + 86400000);

        if (rds_drain(hub) != 0) {
            return -1;
        }
    }

    if (now < due || now >= begins) {
        return 0;
    }

    l->what = json_string_value(json_object_get(json_object_get(l->docs,
                                    "context"), "topic"));
    l->minutes = (int) ((begins - now + 59999) / 60000);

    for (i = 0; i < l->npeople; i++) {
        l->people[i].seq = begins / 1000;
    }

    return item_pages(l);
}


static int
item_file(look_t *l)
{
    unsigned     i;
    store_rc_t   rc;

    rc = store_file(l->store, l->words[2], &l->docs);
    role_store_result(l->n->role, rc);

    if (rc != STORE_OK) {
        return rc == STORE_NOT_FOUND ? 0 : -1;
    }

    l->what = json_string_value(json_object_get(l->docs, "fileName"));

    for (i = 0; i < l->npeople; i++) {
        l->people[i].seq = 1;
    }

    return item_pages(l);
}


static int
item_shown(look_t *l)
{
    unsigned  i;

    if (l->npeople == 0) {
        /* he has left: what was in there is his no more */
        text_copy(l->people[0].user, sizeof(l->people[0].user), l->user);
        l->people[0].read = INT64_MAX;
        l->npeople = 1;
    }

    for (i = 0; i < l->npeople; i++) {
        l->people[i].seq = 1;
    }

    return item_pages(l);
}


/* Words behind the kind.  0, or -1: it is none of ours. */
static int
item_parse(look_t *l, const char *text)
{
    size_t  n;

    for (text++; *text == ' '; text += n) {
        text++;
        n = strcspn(text, " ");

        if (l->nwords == NOTIFIER_WORDS || n == 0 || n > WRT_ID_MAX) {
            return -1;
        }

        memcpy(l->words[l->nwords], text, n);
        l->words[l->nwords++][n] = '\0';
    }

    l->conversation = l->words[0];
    l->user = l->nwords > 1 ? l->words[1] : NULL;

    return *text == '\0' && l->nwords > 0
           && wrt_id_valid(l->words[0], strlen(l->words[0])) ? 0 : -1;
}


static int
item_kind(look_t *l, char suffix[WRT_ID_MAX + 4])
{
    l->suffix = suffix;
    suffix[0] = '\0';
    text_copy(l->tag, sizeof(l->tag), l->conversation);

    switch (l->item->text[0]) {

    case 'm':
        l->kind = PUSH_MESSAGE;
        return item_messages(l);

    case 'i':
        l->kind = PUSH_INVITATION;
        snprintf(suffix, WRT_ID_MAX + 4, ":i");
        return item_invitation(l);

    case 'r':
        l->kind = PUSH_REMINDER;
        snprintf(suffix, WRT_ID_MAX + 4, ":r");
        snprintf(l->tag, sizeof(l->tag), "r-%.62s", l->conversation);
        return item_reminder(l);

    case 'f':
        l->kind = PUSH_FILE;
        snprintf(suffix, WRT_ID_MAX + 4, ":f:%s", l->words[2]);
        snprintf(l->tag, sizeof(l->tag), "f-%.62s", l->words[2]);
        return l->nwords == 3 ? item_file(l) : 0;

    case 'w':
        l->kind = PUSH_WITHDRAW;
        return l->user ? item_shown(l) : 0;
    }

    return 0;
}


int
notifier_item(notifier_t *n, item_t *it)
{
    int      rc;
    char     suffix[WRT_ID_MAX + 4];
    look_t   l;

    memset(&l, 0, sizeof(l));
    l.n = n;
    l.item = it;
    l.store = role_store(n->role);

    if (l.store == NULL) {
        return -1;
    }

    if (item_parse(&l, it->text) != 0) {
        log_error("push_item", "item=\"%.200s\" error=\"not an item\"",
                  it->text);
        return 0;
    }

    rc = item_people(&l);

    if (rc == 1) {
        rc = item_kind(&l, suffix);
    }

    free(l.people);
    json_decref(l.docs);

    return rc;
}
