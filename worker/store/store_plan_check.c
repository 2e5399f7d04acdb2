/*
 * store_plan_check.c: what the files that plan a batch check and read JSON
 * with.
 */

#include <string.h>

#include "common/wrt_utf8.h"
#include "worker/store/store_internal.h"


static const char *const  permission_names[] = {
    "read", "write", "upload", "download", NULL
};


int
store_plan_id(const char *s)
{
    return s && wrt_id_valid(s, strlen(s));
}


const char *
store_plan_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}


int
store_plan_time(const json_t *object, const char *key, int64_t *ms)
{
    const json_t  *v;

    v = json_object_get(object, key);

    if (!json_is_string(v)
        || wrt_time_parse(json_string_value(v), json_string_length(v), ms)
           != 0
        || *ms < 0)
    {
        return -1;
    }

    return 0;
}


int
store_plan_optional(const json_t *object, const char *key, json_type type)
{
    const json_t  *v;

    v = json_object_get(object, key);

    return v == NULL || json_is_null(v) || json_typeof(v) == type;
}


const char *
store_permission_name(unsigned i)
{
    return i < 4 ? permission_names[i] : NULL;
}


unsigned
store_permissions_parse(const json_t *list)
{
    size_t       i;
    unsigned     bits, k;
    json_t      *v;

    if (!json_is_array(list)) {
        return STORE_P_ALL;
    }

    bits = 0;

    json_array_foreach(list, i, v) {
        for (k = 0; permission_names[k] && json_is_string(v); k++) {
            if (strcmp(permission_names[k], json_string_value(v)) == 0) {
                bits |= 1u << k;
            }
        }
    }

    return bits;
}


static const char *
file_id(const json_t *content)
{
    return store_plan_text(json_object_get(content, "fileInfo"), "fileId");
}


/*
 * As it was sent: of one that was edited since the history has the text, as
 * long as it goes back so far; of a file's the file is the same, whatever was
 * found in it.  One that was deleted before is not what was sent.
 */
int
store_plan_again(const store_op_t *op, const store_msg_row_t *m)
{
    const char    *text, *was;
    const json_t  *first;

    if (strcmp(op->type, m->type) != 0
        || strcmp(op->reply_to ? op->reply_to : "",
                  m->reply_to ? m->reply_to : "") != 0
        || (m->deleted_at >= 0 && m->change_seq < op->seq))
    {
        return 0;
    }

    if (file_id(op->content) && file_id(m->content)) {
        return strcmp(file_id(op->content), file_id(m->content)) == 0;
    }

    first = json_array_get(m->history, 0);

    if (first == NULL) {
        return json_equal(op->content, m->content);
    }

    text = store_plan_text(op->content, "text");
    was = store_plan_text(first, "previousContent");

    return json_array_size(m->history) < WRT_EDITS_MAX && text && was
           && strcmp(text, was) == 0;
}


const char *
store_plan_preview(const char *type, const json_t *content, size_t *n)
{
    const char    *s;
    const json_t  *v;

    v = json_object_get(content, "text");

    if (json_string_length(v) > 0) {
        s = json_string_value(v);
        *n = wrt_utf8_cut((const uint8_t *) s, json_string_length(v),
                          WRT_PREVIEW_MAX);
        return s;
    }

    s = store_plan_text(json_object_get(content, "systemMessage"), "action");

    if (s == NULL) {
        s = store_plan_text(json_object_get(content, "fileInfo"), "fileName");
    }

    if (s == NULL) {
        s = strcmp(type, "sticker") == 0 ? "Sticker" : "";
    }

    *n = strlen(s);

    return s;
}
