/*
 * store_mongo_bson.c: jansson <-> BSON.
 */


#include "worker/store/mongo/store_mongo.h"


static void
check(bool ok)
{
    /* appending fails at 2 GiB or without memory; lengths are bounded */
    if (!ok) {
        store_oom();
    }
}


void
mg_append_slice(bson_t *b, const char *key, const char *p, size_t n)
{
    check(bson_append_utf8(b, key, -1, p, (int) n));
}


void
mg_append_text(bson_t *b, const char *key, const char *s)
{
    if (s) {
        check(bson_append_utf8(b, key, -1, s, -1));

    } else {
        check(bson_append_null(b, key, -1));
    }
}


void
mg_append_time(bson_t *b, const char *key, int64_t ms)
{
    if (ms >= 0) {
        check(bson_append_date_time(b, key, -1, ms));

    } else {
        check(bson_append_null(b, key, -1));
    }
}


static void
append_array(bson_t *b, const char *key, const json_t *v)
{
    char         buf[16];
    size_t       i;
    bson_t       sub;
    json_t      *e;
    const char  *index;

    check(bson_append_array_begin(b, key, -1, &sub));

    json_array_foreach(v, i, e) {
        bson_uint32_to_string((uint32_t) i, &index, buf, sizeof(buf));
        mg_append_json(&sub, index, e);
    }

    check(bson_append_array_end(b, &sub));
}


static void
append_object(bson_t *b, const char *key, const json_t *v)
{
    bson_t       sub;
    json_t      *e;
    const char  *k;

    check(bson_append_document_begin(b, key, -1, &sub));

    /* the iteration does not change the object; jansson lacks const here */

    json_object_foreach((json_t *) v, k, e) {
        mg_append_json(&sub, k, e);
    }

    check(bson_append_document_end(b, &sub));
}


static void
append_integer(bson_t *b, const char *key, int64_t n)
{
    if (n >= INT32_MIN && n <= INT32_MAX) {
        check(bson_append_int32(b, key, -1, (int32_t) n));

    } else {
        check(bson_append_int64(b, key, -1, n));
    }
}


void
mg_append_json(bson_t *b, const char *key, const json_t *v)
{
    switch (v ? json_typeof(v) : JSON_NULL) {

    case JSON_OBJECT:
        append_object(b, key, v);
        break;

    case JSON_ARRAY:
        append_array(b, key, v);
        break;

    case JSON_STRING:
        mg_append_slice(b, key, json_string_value(v), json_string_length(v));
        break;

    case JSON_INTEGER:
        append_integer(b, key, json_integer_value(v));
        break;

    case JSON_REAL:
        check(bson_append_double(b, key, -1, json_real_value(v)));
        break;

    case JSON_TRUE:
    case JSON_FALSE:
        check(bson_append_bool(b, key, -1, json_is_true(v)));
        break;

    case JSON_NULL:
    default:
        check(bson_append_null(b, key, -1));
    }
}


void
mg_append_permissions(bson_t *b, const char *key, unsigned bits)
{
    json_t  *list;

    list = store_permissions_json(bits);
    append_array(b, key, list);
    json_decref(list);
}


void
mg_append_in(bson_t *b, const char *key, const json_t *keys)
{
    char         buf[16];
    bson_t       sub, list;
    json_t      *v;
    uint32_t     i;
    const char  *k, *index;

    check(bson_append_document_begin(b, key, -1, &sub));
    check(bson_append_array_begin(&sub, "$in", -1, &list));

    i = 0;

    json_object_foreach((json_t *) keys, k, v) {
        (void) v;
        bson_uint32_to_string(i++, &index, buf, sizeof(buf));
        mg_append_text(&list, index, k);
    }

    check(bson_append_array_end(&sub, &list));
    check(bson_append_document_end(b, &sub));
}


json_t *
mg_value(const bson_iter_t *it)
{
    json_t        *v, *e;
    uint32_t       len;
    const char    *s;
    bson_iter_t    sub;

    switch (bson_iter_type(it)) {

    case BSON_TYPE_UTF8:
        s = bson_iter_utf8(it, &len);
        return json_stringn_nocheck(s, len);

    case BSON_TYPE_INT32:
        return json_integer(bson_iter_int32(it));

    case BSON_TYPE_INT64:
        return json_integer(bson_iter_int64(it));

    case BSON_TYPE_DATE_TIME:
        return json_integer(bson_iter_date_time(it));

    case BSON_TYPE_DOUBLE:
        return json_real(bson_iter_double(it));

    case BSON_TYPE_BOOL:
        return json_boolean(bson_iter_bool(it));

    case BSON_TYPE_DOCUMENT:
    case BSON_TYPE_ARRAY:
        v = BSON_ITER_HOLDS_ARRAY(it) ? json_array() : json_object();

        if (bson_iter_recurse(it, &sub)) {
            while (bson_iter_next(&sub)) {
                e = mg_value(&sub);

                if (BSON_ITER_HOLDS_ARRAY(it)) {
                    store_doc_append(v, e);

                } else {
                    store_doc_set(v, bson_iter_key(&sub), e);
                }
            }
        }

        return v;

    default:
        /* nothing that we wrote; null among it */
        return json_null();
    }
}


json_t *
mg_row(const bson_t *doc)
{
    json_t       *row;
    bson_iter_t   it;

    row = json_object();

    if (bson_iter_init(&it, doc)) {
        while (bson_iter_next(&it)) {
            store_doc_set(row, bson_iter_key(&it), mg_value(&it));
        }
    }

    return row;
}


const char *
mg_text(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}


int64_t
mg_int(const json_t *row, const char *key)
{
    return json_integer_value(json_object_get(row, key));
}


int64_t
mg_time(const json_t *row, const char *key)
{
    const json_t  *v;

    v = json_object_get(row, key);

    return json_is_integer(v) ? json_integer_value(v) : STORE_NO_TIME;
}
