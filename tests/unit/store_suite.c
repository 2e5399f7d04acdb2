/*
 * store_suite.c: what every store has to do, in the same words for each.
 *
 * Without it the stores could drift apart: an installation that moves from
 * SQLite to MongoDB would count unread messages differently, page in another
 * order or lose a message that a repeated batch brings again.  All expected
 * documents are written out; none is computed by the code under test.
 */

#include "tests/unit/store_suite.h"

const backend_t  *be;
store_t          *st;


int
suite_setup(void **state)
{
    (void) state;
    st = backend_open(be);

    return 0;
}


int
suite_teardown(void **state)
{
    (void) state;
    store_close(st);
    st = NULL;

    return 0;
}


json_t *
get_conv(const char *id)
{
    json_t  *v;

    assert_int_equal(store_conversation(st, id, NULL, &v), STORE_OK);

    return v;
}


json_t *
get_state(const char *id)
{
    json_t  *v;

    assert_int_equal(store_conversation_state(st, id, &v), STORE_OK);

    return v;
}


json_t *
get_msg(const char *conversation, const char *id)
{
    json_t  *v;

    assert_int_equal(store_message(st, conversation, id, &v), STORE_OK);

    return v;
}


json_t *
get_msgs(const char *conversation)
{
    int           more;
    json_t       *v, *state, *again;
    store_page_t  q = { conversation, 1, 200, -1, -1, -1, NULL, 0, 0 };

    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_int_equal(more, 0);

    /* what the caller knows changes nothing */

    assert_int_equal(store_conversation_state(st, conversation, &state),
                     STORE_OK);
    q.applied = json_integer_value(json_object_get(state, "seq"));
    q.consults = json_object_get(state, "consultationId") != NULL;
    json_decref(state);

    assert_int_equal(store_messages(st, &q, &again, &more), STORE_OK);
    expect_equal(again, v, conversation);
    json_decref(again);

    return v;
}


/* A member of a member ... of a document, which is dropped. */
json_t *
pick(json_t *doc, const char *a, const char *b)
{
    json_t  *v;

    v = json_object_get(doc, a);
    if (b) {
        v = json_object_get(v, b);
    }

    assert_non_null(v);
    json_incref(v);
    json_decref(doc);

    return v;
}


int
store_suite(const backend_t *b, const struct CMUnitTest *more, size_t n)
{
    int                 failed;
    size_t              i, count;
    struct CMUnitTest  *all;

    const struct {
        const struct CMUnitTest  *test;
        size_t                    n;
    } list[] = {
        { suite_write, suite_write_count },
        { suite_once, suite_once_count },
        { suite_read, suite_read_count },
        { suite_page, suite_page_count },
        { suite_change, suite_change_count },
        { suite_file, suite_file_count },
        { suite_life, suite_life_count },
        { suite_device, suite_device_count },
        { suite_session, suite_session_count },
        { suite_search, suite_search_count },
        { suite_reject, suite_reject_count },
        { more, n }
    };

    for (i = 0, count = 0; i < UNIT_COUNT(list); i++) {
        count += list[i].n;
    }

    all = calloc(count, sizeof(struct CMUnitTest));
    if (all == NULL) {
        return 1;
    }

    count = 0;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        memcpy(all + count, list[i].test,
               list[i].n * sizeof(struct CMUnitTest));
        count += list[i].n;
    }

    be = b;
    failed = _cmocka_run_group_tests(b->name, all, count, NULL, NULL);
    free(all);

    return failed;
}
