/*
 * store_test_file.c: events of files, and files in a snapshot (store_test.h).
 */

#include "tests/unit/store_test.h"

#include <stdlib.h>

#include "common/wrt_bus.h"
#include "common/wrt_id.h"

#define HASH  "c000000000000000000000000000000000000000000000000000000000000000"


static json_t *
time_text(int64_t at)
{
    char  buf[WRT_TIME_LEN + 1];

    wrt_time_format(STORE_TEST_T0 + at, buf);

    return json_string(buf);
}


json_t *
events_file_content(const char *id, const char *scan)
{
    return json_pack("{s:s, s:{s:s, s:o, s:i, s:s, s:s, s:n, s:s}}", "text",
                     "look", "fileInfo", "fileId", id, "fileName",
                     json_sprintf("%s.png", id), "fileSize", 12, "fileType",
                     "image/png", "downloadUrl", "/f", "thumbnailUrl",
                     "scanStatus", scan);
}


void
events_file(events_t *l, const char *conversation, const char *id, int rev,
    const char *user, const char *hash, const char *scan, int64_t at)
{
    int      clean, done;
    json_t  *f, *security;

    clean = strcmp(scan, "clean") == 0;
    done = clean || strcmp(scan, "scanning") != 0;

    f = json_pack("{s:s, s:i, s:s, s:s?, s:s, s:o, s:o, s:i, s:s, s:s}",
                  "id", id, "rev", rev, "conversationId", conversation,
                  "messageId", clean ? id : NULL, "uploadedBy", user,
                  "fileName", json_sprintf("%s.png", id), "originalFileName",
                  json_sprintf("%s.png", id), "fileSize", 12, "mimeType",
                  "image/png", "fileHash", hash);
    assert_non_null(f);

    json_object_set_new(f, "storage", !clean ? json_null()
                        : json_pack("{s:s, s:s}", "provider", "local", "key",
                                    hash));

    security = json_pack("{s:s, s:o, s:o, s:b}", "scanStatus", scan,
                         "scanResult", done ? json_pack("{s:s}", "engine",
                                                        "e1") : json_null(),
                         "scannedAt", done ? time_text(at) : json_null(),
                         "isEncrypted", 0);
    json_object_set_new(f, "security", security);
    json_object_set_new(f, "isPublic", json_false());
    json_object_set_new(f, "width", json_integer(clean ? 3 : 0));
    json_object_set_new(f, "height", json_integer(clean ? 4 : 0));
    json_object_set_new(f, "pages", json_integer(0));
    json_object_set_new(f, "thumbnails", !clean ? json_array()
                        : json_pack("[{s:s, s:s}]", "size", "small", "key",
                                    "k"));
    json_object_set_new(f, "createdAt", time_text(at));
    json_object_set_new(f, "updatedAt", time_text(at));
    json_object_set_new(f, "deletedAt", json_null());

    events_add(l, WRT_EV_FILE, conversation, 0, user, "",
               json_pack("{s:s, s:o}", "op", "put", "file", f), NULL);
}


void
events_accessed(events_t *l, const char *conversation, const char *id,
    const char *entry, int64_t at)
{
    events_add(l, WRT_EV_FILE, conversation, 0, "", "",
               json_pack("{s:s, s:s, s:o}", "op", "accessed", "fileId", id,
                         "at", time_text(at)), NULL);
    l->ev[l->n - 1].entry_id = entry;
}


void
events_public(events_t *l, const char *conversation, const char *id, int on,
    int64_t at)
{
    events_add(l, WRT_EV_FILE, conversation, 0, "", "",
               json_pack("{s:s, s:s, s:b, s:o}", "op", "public", "fileId", id,
                         "isPublic", on, "at", time_text(at)), NULL);
}


void
events_given_up(events_t *l, const char *conversation, const char *id,
    int64_t at)
{
    events_add(l, WRT_EV_FILE, conversation, 0, "", "",
               json_pack("{s:s, s:s, s:o}", "op", "given_up", "fileId", id,
                         "at", time_text(at)), NULL);
}


void
events_found(events_t *l, const char *conversation, int64_t seq,
    const char *id, int64_t at)
{
    json_t  *msg;

    msg = json_pack("{s:s, s:o, s:o}", "id", id, "content",
                    events_file_content(id, "infected"), "updatedAt",
                    time_text(at));

    events_add(l, WRT_EV_CHANGE, conversation, seq, "", "",
               json_pack("{s:s, s:{s:s, s:I, s:s, s:n, s:o}}", "event",
                         "message_updated", "data", "conversationId",
                         conversation, "seq", (json_int_t) seq, "messageId",
                         id, "editedBy", "message", msg),
               json_pack("{s:b}", "file", 1));
}


void
events_files(events_t *l, const char *conversation, const char *user)
{
    events_file(l, conversation, "f1", 1, user, HASH, "scanning", 6000);
    events_file(l, conversation, "f1", 2, user, HASH, "clean", 6100);
    events_file(l, conversation, "f2", 2, user, HASH, "clean", 6200);
    events_accessed(l, conversation, "f1", "7-0", 6300);
    events_file(l, conversation, "f3", 1, user, HASH, "scanning", 6400);
    events_given_up(l, conversation, "f3", 6500);
    events_accessed(l, conversation, "f1", "7-1", 6400);
    events_public(l, conversation, "f2", 1, 6450);
    events_public(l, conversation, "f1", 1, 6450);
    events_public(l, conversation, "f1", 0, 6460);
    events_file(l, conversation, "f2", 3, user, HASH, "infected", 6500);
    events_life(l, conversation, user);
    events_devices(l, conversation, user);
}


void
snapshot_files(store_t *st, const char *conversation, json_t *into)
{
    json_t         *list, *v;
    size_t          i;
    int64_t         total, n;
    store_files_t   q = { NULL, NULL, conversation, NULL, 0, 0, 1, 100 };

    assert_int_equal(store_files(st, &q, &list, &total), STORE_OK);

    json_array_foreach(list, i, v) {
        assert_int_equal(store_file_refs(st, json_string_value(
                             json_object_get(v, "fileHash")), &n), STORE_OK);
        json_object_set_new(v, "refs", json_integer(n));
    }

    if (json_array_size(list) > 0) {
        assert_int_equal(store_file(st, json_string_value(json_object_get(
                             json_array_get(list, 0), "id")), &v), STORE_OK);
        json_decref(v);
    }

    json_object_set_new(into, "files", list);
}
