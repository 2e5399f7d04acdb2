/*
 * store_plan_change.c: what an event of kind 'e' changes: a message, a
 * conversation, a member.
 *
 * Whether it may be is settled: who emitted it has decided on the state that
 * the change was made for.  A change of a message that is not there, or is
 * deleted, has no object any more; the stores pass it over, its number stays
 * used.
 */

#include <string.h>

#include "worker/store/store_internal.h"


/* What comes again out of the dead letters has its old time. */
static void
change_time(const store_op_t *op)
{
    if (op->at > op->conv->changed_at) {
        op->conv->changed_at = op->at;
    }
}


/* A file was found infected: new content, and nobody edited anything. */
static const char *
change_file(store_op_t *op, const json_t *data)
{
    op->kind = STORE_OP_EDIT;
    op->on = 1;
    op->at = STORE_NO_TIME;
    op->content = json_object_get(json_object_get(data, "message"), "content");

    op->conv->edited = 1;

    return store_file_content(op->content)
           ? NULL : "message.content.fileInfo is not that of a file";
}


static const char *
change_edit(store_op_t *op, const json_t *data)
{
    const json_t  *msg;

    msg = json_object_get(data, "message");

    op->kind = STORE_OP_EDIT;
    op->user = store_plan_text(data, "editedBy");
    op->content = json_object_get(msg, "content");

    if (!store_plan_id(op->user)) {
        return "editedBy is not an id";
    }

    if (!json_is_object(op->content)) {
        return "message.content is not an object";
    }

    if (store_plan_time(msg, "editedAt", &op->at) != 0) {
        return "message.editedAt is not a time";
    }

    op->conv->edited = 1;
    change_time(op);

    return NULL;
}


static const char *
change_delete(store_op_t *op, const json_t *data)
{
    op->kind = STORE_OP_DELETE;
    op->user = store_plan_text(data, "deletedBy");

    if (!store_plan_id(op->user)) {
        return "deletedBy is not an id";
    }

    if (store_plan_time(data, "deletedAt", &op->at) != 0) {
        return "deletedAt is not a time";
    }

    op->conv->edited = 1;
    change_time(op);

    return NULL;
}


static const char *
change_react(store_op_t *op, const json_t *data)
{
    const char  *action;

    op->kind = STORE_OP_REACT;
    op->user = store_plan_text(data, "userId");
    op->emoji = store_plan_text(data, "emoji");
    op->at = STORE_NO_TIME;
    action = store_plan_text(data, "action");

    if (!store_plan_id(op->user)) {
        return "userId is not an id";
    }

    if (op->emoji == NULL || op->emoji[0] == '\0'
        || strlen(op->emoji) > WRT_EMOJI_MAX)
    {
        return "emoji is empty or too long";
    }

    if (action && strcmp(action, "added") == 0) {
        op->on = 1;
        return store_plan_time(data, "addedAt", &op->at) == 0
               ? NULL : "addedAt is not a time";
    }

    return action && strcmp(action, "removed") == 0
           ? NULL : "action is neither added nor removed";
}


static const char *
change_message(store_op_t *op, const json_t *data, int *made,
    const char *(*fn)(store_op_t *, const json_t *))
{
    op->id = store_plan_text(data, "messageId");

    if (!store_plan_id(op->id)) {
        return "messageId is not an id";
    }

    *made = 1;

    return fn(op, data);
}


static const char *
change_block(store_op_t *op, const json_t *block, int *made)
{
    const json_t  *on;

    if (block == NULL) {
        return NULL;
    }

    op->kind = STORE_OP_BLOCK;
    op->user = store_plan_text(block, "userId");
    op->by = store_plan_text(block, "by");
    on = json_object_get(block, "on");

    if (!store_plan_id(op->user) || !store_plan_id(op->by)
        || !json_is_boolean(on))
    {
        return "set.block has no userId, by, on";
    }

    if (!json_is_true(on)) {
        op->by = NULL;
    }

    *made = 1;

    return NULL;
}


/* What is not in `set` stays as it is. */
static const char *
change_conversation(store_op_t *op, const event_t *ev, const json_t *data,
    int *made)
{
    const char    *why;
    const json_t  *set, *title, *settings, *archived;

    set = json_object_get(ev->extra, "set");
    title = json_object_get(set, "title");
    settings = json_object_get(set, "settings");
    archived = json_object_get(set, "archived");

    if (!json_is_object(set)) {
        return "no set";
    }

    if (store_plan_time(json_object_get(data, "conversation"), "updatedAt",
                        &op->at)
        != 0)
    {
        return "conversation.updatedAt is not a time";
    }

    if (!store_plan_optional(set, "title", JSON_STRING)
        || (settings && !json_is_object(settings))
        || (archived && !json_is_boolean(archived)))
    {
        return "set.title, set.settings or set.archived is of the wrong"
               " type";
    }

    why = change_block(op, json_object_get(set, "block"), made);
    if (why) {
        return why;
    }

    change_time(op);

    if (title) {
        op->conv->title = title;
    }

    if (settings) {
        op->conv->settings = settings;
    }

    if (archived) {
        op->conv->archive = 1;
        op->conv->archived_at = json_is_true(archived) ? op->at
                                                       : STORE_NO_TIME;
    }

    return NULL;
}


const char *
store_plan_change(store_op_t *op, const event_t *ev, int *made)
{
    const char    *event;
    const json_t  *data;

    *made = 0;
    op->seq = ev->seq;

    event = store_plan_text(ev->body, "event");
    data = json_object_get(ev->body, "data");

    if (event == NULL) {
        return "a change without a name";
    }

    if (strcmp(event, "message_updated") == 0) {
        return change_message(op, data, made,
                              json_is_true(json_object_get(ev->extra, "file"))
                              ? change_file : change_edit);
    }

    if (strcmp(event, "message_deleted") == 0) {
        return change_message(op, data, made, change_delete);
    }

    if (strcmp(event, "reaction_updated") == 0) {
        return change_message(op, data, made, change_react);
    }

    if (strcmp(event, "conversation_updated") == 0) {
        return change_conversation(op, ev, data, made);
    }

    return "a change that this program does not know";
}
