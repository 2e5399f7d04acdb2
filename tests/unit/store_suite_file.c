/*
 * store_suite_file.c: records of files, and the messages that bring them.  See
 * store_suite.c.
 *
 * Without these a file that was found infected, or whose message is deleted,
 * could be served again by a late record, or its bytes be removed while another
 * file needs them.
 */

#include "tests/unit/store_suite.h"

#include "common/wrt_bus.h"

/* 16 and 48 digits */
#define ZEROS   "000000000000000000000000000000000000000000000000"
#define HASH_A  "aaaaaaaaaaaaaaaa" ZEROS
#define HASH_B  "bbbbbbbbbbbbbbbb" ZEROS


static json_t *
get_file(const char *id)
{
    json_t  *v;

    assert_int_equal(store_file(st, id, &v), STORE_OK);

    return v;
}


static int64_t
refs(const char *hash)
{
    int64_t  n;

    assert_int_equal(store_file_refs(st, hash, &n), STORE_OK);

    return n;
}


static const char *
listed(const char *scan, const char *hash, const char *conversation,
    const char *not_engine, int present, int oldest)
{
    json_t         *v;
    int64_t         total;
    store_files_t   q = { scan, hash, conversation, not_engine, present,
                          oldest, 1, 100 };

    assert_int_equal(store_files(st, &q, &v, &total), STORE_OK);
    assert_int_equal(total, json_array_size(v));

    return ids_of(v);
}


/* Two rooms, three files of two contents. */
static void
three(events_t *l)
{
    events_create(l, "c1", "group", "s1 t1", 0);
    events_create(l, "c2", "group", "s1 t1", 0);
    events_file(l, "c1", "f1", 1, "s1", HASH_A, "scanning", 1000);
    events_file(l, "c1", "f1", 2, "s1", HASH_A, "clean", 1100);
    events_content(l, "c1", 1, "f1", "s1", "image",
                   events_file_content("f1", "clean"), 1200);
    events_file(l, "c1", "f2", 2, "t1", HASH_A, "clean", 2000);
    events_content(l, "c1", 2, "f2", "t1", "file",
                   events_file_content("f2", "clean"), 2100);
    events_file(l, "c2", "f3", 2, "s1", HASH_B, "clean", 3000);
    events_content(l, "c2", 1, "f3", "s1", "file",
                   events_file_content("f3", "clean"), 3100);
}


static void
records(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_file(&l, "c1", "f1", 1, "s1", HASH_A, "scanning", 1000);
    events_put(st, &l);

    expect_json(get_file("f1"),
                "{'id':'f1','rev':1,'conversationId':'c1','messageId':null,"
                "'uploadedBy':'s1','fileName':'f1.png','originalFileName':"
                "'f1.png','fileSize':12,'mimeType':'image/png','fileHash':'"
                HASH_A "','storage':null,'security':{'scanStatus':'scanning',"
                "'scanResult':null,'scannedAt':null,'isEncrypted':false},"
                "'isPublic':false,'downloadCount':0,'lastAccessedAt':null,"
                "'width':0,'height':0,'pages':0,'thumbnails':[],"
                "'createdAt':'2024-01-15T10:00:01.000Z',"
                "'updatedAt':'2024-01-15T10:00:01.000Z','deletedAt':null}");
    assert_int_equal(refs(HASH_A), 0);

    events_file(&l, "c1", "f1", 2, "s1", HASH_A, "clean", 1100);
    /* too late */
    events_file(&l, "c1", "f1", 1, "s1", HASH_A, "scanning", 1200);
    events_put(st, &l);

    expect_json(get_file("f1"),
                "{'id':'f1','rev':2,'conversationId':'c1','messageId':'f1',"
                "'uploadedBy':'s1','fileName':'f1.png','originalFileName':"
                "'f1.png','fileSize':12,'mimeType':'image/png','fileHash':'"
                HASH_A "','storage':{'provider':'local','key':'" HASH_A "'},"
                "'security':{'scanStatus':'clean','scanResult':{'engine':'e1'"
                "},'scannedAt':'2024-01-15T10:00:01.100Z','isEncrypted':false"
                "},'isPublic':false,'downloadCount':0,'lastAccessedAt':null,"
                "'width':3,'height':4,'pages':0,'thumbnails':[{'size':'small'"
                ",'key':'k'}],'createdAt':'2024-01-15T10:00:01.000Z',"
                "'updatedAt':'2024-01-15T10:00:01.100Z','deletedAt':null}");
    assert_int_equal(refs(HASH_A), 1);

    assert_int_equal(store_file(st, "f2", &v), STORE_NOT_FOUND);
    assert_null(v);
}


static void
messages(void **state)
{
    events_t  l = { 0 };

    (void) state;

    three(&l);
    events_put(st, &l);

    expect_json(pick(get_msg("c1", "f1"), "content", NULL),
                "{'text':'look','fileInfo':{'fileId':'f1','fileName':"
                "'f1.png','fileSize':12,'fileType':'image/png','downloadUrl':"
                "'/f','thumbnailUrl':null,'scanStatus':'clean'}}");
    expect_json(pick(get_msg("c1", "f1"), "type", NULL), "'image'");
    expect_json(pick(get_conv("c1"), "lastMessage", "content"), "'look'");
    expect_json(pick(get_conv("c1"), "metadata", "messageCount"), "2");
}


static void
accesses(void **state)
{
    size_t     n;
    events_t   l = { 0 };

    (void) state;

    three(&l);
    events_accessed(&l, "c1", "f1", "1705312800000-0", 5000);
    events_accessed(&l, "c1", "f1", "1705312800000-1", 5001);
    events_accessed(&l, "c1", "f1", "1705312800007-0", 4000);
    events_accessed(&l, "c1", "nobody", "1705312800008-0", 4000);

    for (n = 0; n < 3; n++) {
        assert_int_equal(events_apply(st, &l, 0, l.n), 0);
        assert_int_equal(events_apply(st, &l, l.n - 3, l.n), 0);
        assert_int_equal(events_apply(st, &l, l.n - 4, l.n - 2), 0);
    }

    expect_json(pick(get_file("f1"), "downloadCount", NULL), "3");
    expect_json(pick(get_file("f1"), "lastAccessedAt", NULL),
                "'2024-01-15T10:00:05.001Z'");
    expect_json(pick(get_file("f2"), "downloadCount", NULL), "0");

    /* a later record keeps the count */
    events_free(&l);
    events_file(&l, "c1", "f1", 3, "s1", HASH_A, "infected", 6000);
    events_put(st, &l);
    expect_json(pick(get_file("f1"), "downloadCount", NULL), "3");
}


/* One event alone says whether it is public; records do not take it back. */
static void
publicity(void **state)
{
    size_t     n, bad;
    events_t   l = { 0 };

    (void) state;

    three(&l);
    n = l.n;
    events_public(&l, "c1", "f1", 1, 5000);
    events_public(&l, "c1", "nobody", 1, 5000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, n, l.n), 0);
    expect_json(pick(get_file("f1"), "isPublic", NULL), "true");
    expect_json(pick(get_file("f1"), "updatedAt", NULL),
                "'2024-01-15T10:00:05.000Z'");
    expect_json(pick(get_file("f2"), "isPublic", NULL), "false");

    events_free(&l);
    events_file(&l, "c1", "f1", 9, "s1", HASH_A, "infected", 6000);
    events_put(st, &l);
    expect_json(pick(get_file("f1"), "isPublic", NULL), "true");
    expect_json(pick(get_file("f1"), "rev", NULL), "9");

    events_public(&l, "c1", "f1", 0, 5500);
    events_put(st, &l);
    expect_json(pick(get_file("f1"), "isPublic", NULL), "false");
    expect_json(pick(get_file("f1"), "updatedAt", NULL),
                "'2024-01-15T10:00:06.000Z'");

    events_public(&l, "c1", "f1", 1, 7000);
    json_object_set_new(l.ev[0].body, "isPublic", json_integer(1));
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
    events_free(&l);

    events_public(&l, "c1", "no id", 1, 7000);
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
    events_free(&l);
}


/* With its message goes the file, and no record brings it back. */
static void
file_deletions(void **state)
{
    events_t  l = { 0 };

    (void) state;

    three(&l);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(refs(HASH_A), 2);

    events_delete(&l, "c1", 3, "f1", "s1", 5000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(refs(HASH_A), 1);
    assert_int_equal(refs(HASH_B), 1);
    expect_json(pick(get_file("f1"), "deletedAt", NULL),
                "'2024-01-15T10:00:05.000Z'");
    expect_json(pick(get_file("f2"), "deletedAt", NULL), "null");

    events_free(&l);
    events_file(&l, "c1", "f1", 3, "s1", HASH_A, "clean", 6000);
    events_put(st, &l);
    expect_json(pick(get_file("f1"), "rev", NULL), "3");
    expect_json(pick(get_file("f1"), "deletedAt", NULL),
                "'2024-01-15T10:00:05.000Z'");
    assert_int_equal(refs(HASH_A), 1);
}


/* An upload that ended without a message leaves nothing that needs bytes, in
 * whatever state it was; of what was found in it the record stays. */
static void
given_up(void **state)
{
    size_t     bad;
    events_t   l = { 0 };

    (void) state;

    three(&l);
    events_file(&l, "c1", "f4", 1, "s1", HASH_B, "scanning", 3000);
    events_file(&l, "c1", "f5", 4, "s1", HASH_B, "infected", 3000);
    events_file(&l, "c1", "f6", 4, "s1", HASH_B, "error", 3000);
    events_given_up(&l, "c2", "f3", 4000);
    events_given_up(&l, "c1", "f4", 4000);
    events_given_up(&l, "c1", "f5", 4000);
    events_given_up(&l, "c1", "f6", 4000);
    events_given_up(&l, "c1", "nobody", 4000);
    /* said twice, by who did not know that it had been */
    events_given_up(&l, "c1", "f4", 4500);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);

    expect_json(pick(get_file("f3"), "deletedAt", NULL),
                "'2024-01-15T10:00:04.000Z'");
    expect_json(pick(get_file("f3"), "updatedAt", NULL),
                "'2024-01-15T10:00:04.000Z'");
    expect_json(pick(get_file("f4"), "deletedAt", NULL),
                "'2024-01-15T10:00:04.000Z'");
    expect_json(pick(get_file("f5"), "deletedAt", NULL), "null");
    expect_json(pick(get_file("f6"), "deletedAt", NULL), "null");
    expect_json(pick(get_file("f1"), "deletedAt", NULL), "null");
    assert_int_equal(refs(HASH_B), 0);
    assert_int_equal(refs(HASH_A), 2);
    events_free(&l);

    /* no record that comes late brings it back */
    events_file(&l, "c1", "f4", 2, "s1", HASH_B, "clean", 5000);
    events_put(st, &l);
    assert_int_equal(refs(HASH_B), 0);

    events_given_up(&l, "c1", "no id", 1);
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
    events_free(&l);
}


static void
found_infected(void **state)
{
    json_t    *v;
    int64_t    upto;
    events_t   l = { 0 };

    (void) state;

    three(&l);
    events_found(&l, "c1", 3, "f2", 5000);
    events_file(&l, "c1", "f2", 3, "t1", HASH_A, "infected", 5000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);

    assert_int_equal(refs(HASH_A), 1);
    expect_json(pick(get_file("f2"), "storage", NULL), "null");
    expect_json(pick(pick(get_msg("c1", "f2"), "content", "fileInfo"),
                     "scanStatus", NULL), "'infected'");
    expect_json(pick(get_msg("c1", "f2"), "editedAt", NULL), "null");

    assert_int_equal(store_message_full(st, "c1", "f2", &v), STORE_OK);
    expect_json(json_incref(json_object_get(v, "editHistory")), "[]");
    expect_json(json_incref(json_object_get(v, "changeSeq")), "3");
    json_decref(v);

    /* those who come back are told */
    assert_int_equal(store_changes(st, "c1", 2, 10, &v, &upto), STORE_OK);
    assert_int_equal(upto, 3);
    assert_string_equal(ids_of(v), "f2");

    events_free(&l);
}


static void
lists(void **state)
{
    json_t         *v;
    int64_t         total;
    events_t        l = { 0 };
    store_files_t   page = { NULL, HASH_A, NULL, NULL, 0, 0, 2, 1 };

    (void) state;

    three(&l);
    events_file(&l, "c2", "f4", 2, "s1", HASH_B, "infected", 4000);
    events_file(&l, "c2", "f5", 2, "s1", HASH_B, "error", 500);
    events_delete(&l, "c1", 3, "f1", "s1", 5000);
    events_put(st, &l);

    assert_string_equal(listed("clean", NULL, NULL, NULL, 0, 0), "f3 f2 f1");
    assert_string_equal(listed("clean", NULL, NULL, NULL, 1, 0), "f3 f2");
    assert_string_equal(listed("clean", NULL, NULL, NULL, 0, 1), "f1 f2 f3");
    assert_string_equal(listed(NULL, HASH_A, NULL, NULL, 0, 0), "f2 f1");
    assert_string_equal(listed("infected", NULL, NULL, NULL, 0, 0), "f4");
    assert_string_equal(listed(NULL, NULL, "c2", NULL, 0, 0), "f4 f3 f5");
    assert_string_equal(listed("clean", NULL, NULL, "e1", 0, 1), "");
    assert_string_equal(listed("clean", NULL, NULL, "e2", 0, 1),
                        "f1 f2 f3");

    assert_int_equal(store_files(st, &page, &v, &total), STORE_OK);
    assert_int_equal(total, 2);
    assert_string_equal(ids_of(v), "f1");
}


static void
bad_records(void **state)
{
    size_t     i, bad;
    json_t    *file, *v;
    events_t   l = { 0 };

    static const struct {
        const char  *path;
        const char  *value;
    } wrong[] = {
        { "id", "'no id!'" }, { "id", "null" }, { "rev", "0" },
        { "rev", "'1'" }, { "conversationId", "'c2'" },
        { "uploadedBy", "null" }, { "messageId", "'no id!'" },
        { "fileHash", "'abc'" }, { "fileHash", "null" },
        { "fileName", "null" }, { "fileSize", "-1" }, { "mimeType", "7" },
        { "security", "{'scanStatus':'fine'}" }, { "security", "null" },
        { "storage", "'x'" }, { "thumbnails", "{}" },
        { "createdAt", "'today'" }, { "updatedAt", "null" },
        { "deletedAt", "1" }
    };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_put(st, &l);

    for (i = 0; i < UNIT_COUNT(wrong); i++) {
        events_file(&l, "c1", "f1", 2, "s1", HASH_A, "clean", 1000);
        file = json_object_get(l.ev[0].body, "file");
        json_object_set_new(file, wrong[i].path, json_of(wrong[i].value));
        assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
        assert_int_equal(bad, 0);
        events_free(&l);
    }

    events_content(&l, "c1", 1, "f1", "s1", "file",
                   json_of("{'text':'x'}"), 1000);
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
    events_free(&l);

    assert_int_equal(store_file(st, "f1", &v), STORE_NOT_FOUND);
}


const struct CMUnitTest  suite_file[] = {
    SUITE_TEST(records),
    SUITE_TEST(messages),
    SUITE_TEST(accesses),
    SUITE_TEST(publicity),
    SUITE_TEST(file_deletions),
    SUITE_TEST(given_up),
    SUITE_TEST(found_infected),
    SUITE_TEST(lists),
    SUITE_TEST(bad_records)
};

const size_t  suite_file_count = UNIT_COUNT(suite_file);
