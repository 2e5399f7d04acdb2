/*
 * test_transcript.c: transcripts: what is in them, what is found when they
 * were altered, and that the chain still holds when content was taken out.
 *
 * Without it a field could be left out of the hash, and a transcript be
 * altered there for ever unnoticed.
 */

#include "tests/unit/transcript_fixture.h"

#include <unistd.h>

static json_t *
make_of(const char *name)
{
    json_t  *doc, *t;

    doc = fixture_load(name);
    t = fixture_transcript(doc);
    json_decref(doc);

    return t;
}


/* A short one: four messages, one of them deleted. */
static json_t *
make_short(void)
{
    json_t                   *doc, *t;

    static const char *const  lines[] = {
        "a:Halo \"Pak\"\n\t\\ \xC3\xA9", "b:Tolong kirim bab 1 besok.",
        "a:rahasia", "a:Baik"
    };

    doc = fixture_talk(lines, UNIT_COUNT(lines));
    json_object_set_new(json_array_get(json_object_get(doc, "messages"), 2),
                        "deletedAt", json_string("2026-11-23T02:03:00Z"));
    t = fixture_transcript(doc);
    json_decref(doc);

    return t;
}


static json_t *
verify(const json_t *t)
{
    char    *p;
    size_t   n;
    json_t  *report;

    p = transcript_write(t, &n);
    assert_non_null(p);
    report = transcript_verify(p, n, NULL);
    free(p);

    return report;
}


static int
is_intact(const json_t *report)
{
    return json_is_true(json_object_get(report, "intact"));
}


/* Is entry i among those that have a problem? */
static int
blames(const json_t *report, json_int_t i)
{
    size_t         k;
    const json_t  *v;

    json_array_foreach(json_object_get(report, "problems"), k, v) {
        v = json_object_get(v, "entry");

        if (json_is_integer(v) && json_integer_value(v) == i) {
            return 1;
        }
    }

    return 0;
}


static void
made(void **state)
{
    char    *p, *again;
    size_t   f, i, n, m;
    json_t  *t, *twice, *report;

    static const char *const  files[] = {
        "session_id.json", "session_en.json"
    };

    (void) state;

    for (f = 0; f < 2; f++) {
        t = make_of(files[f]);
        report = verify(t);

        assert_true(is_intact(report));

        /* opened, two participants, 71 messages, closed */
        assert_int_equal(json_integer_value(json_object_get(report,
                                                            "entries")), 75);
        assert_int_equal(json_array_size(json_object_get(report, "erased")),
                         0);

        /* the same bytes with the same key */
        twice = make_of(files[f]);
        p = transcript_write(t, &n);
        again = transcript_write(twice, &m);
        assert_int_equal(n, m);
        assert_memory_equal(p, again, n);

        /* what changes by itself is not in it */
        for (i = 0; i + 11 < n; i++) {
            assert_true(memcmp(p + i, "downloadUrl", 11) != 0);
        }

        free(p);
        free(again);
        json_decref(twice);
        json_decref(report);
        json_decref(t);
    }
}


/* Salts are chance where no key is given: two transcripts, two chains. */
static void
random_salts(void **state)
{
    char                 err[TRANSCRIPT_ERROR_SIZE];
    json_t              *doc, *session, *a, *b;
    transcript_input_t   in;

    (void) state;

    doc = fixture_talk(NULL, 0);
    session = json_object();
    memset(&in, 0, sizeof(in));
    in.session = session;
    in.participants = json_object_get(doc, "participants");
    in.messages = json_object_get(doc, "messages");

    a = transcript_make(&in, err);
    b = transcript_make(&in, err);
    assert_non_null(a);
    assert_non_null(b);
    assert_false(json_equal(json_object_get(a, "head"),
                            json_object_get(b, "head")));

    json_decref(a);
    json_decref(b);
    json_decref(session);
    json_decref(doc);
}


/* The hash of the documentation's worked example, by other programs. */
static void
example(void **state)
{
    char           hash[TRANSCRIPT_HASH_LEN + 1];
    json_t        *v;
    session_buf_t  b;

    (void) state;

    transcript_sha256("abc", 3, hash);
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a"
                        "9cb410ff61f20015ad");

    v = json_loads("{\"b\":[1,2.50,-0.125,-3.0,true,false,null],"
                   "\"a\":\"\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\\u00e9\","
                   "\"B\":{}}", 0, NULL);
    memset(&b, 0, sizeof(b));
    assert_int_equal(transcript_canon(&b, v), 0);
    assert_string_equal(b.p, "{\"B\":{},\"a\":\"\\u0001\\u001f\\b\\f\\n\\r\\t"
                        "\\\"\\\\/\xC3\xA9\",\"b\":[1,2.5,-0.125,-3,true,"
                        "false,null]}");
    free(b.p);
    json_decref(v);

    /* printf '00000000000000000000000000000000\n{"text":"Halo"}' | sha256sum */
    v = json_pack("{s:s}", "text", "Halo");
    assert_int_equal(transcript_content_hash(v,
                         "00000000000000000000000000000000", hash), 0);
    assert_string_equal(hash, "eeec1b17344e901ec9cd2b1f6959cdb9b1462a9bb8ee46"
                        "adb9dc4c6dd61a0ce9");
    json_decref(v);
}


static void
not_canonical(void **state)
{
    size_t         i;
    json_t        *v;
    session_buf_t  b;

    static const char *const  list[] = {
        "[0.0001]", "[1e300]", "[\"a\\u0000b\"]",
        "[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]"
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        v = json_loads(list[i], JSON_ALLOW_NUL, NULL);
        assert_non_null(v);
        memset(&b, 0, sizeof(b));
        assert_int_equal(transcript_canon(&b, v), -1);
        free(b.p);
        json_decref(v);
    }
}


/* Every byte of the file, with each of its bits turned. */
static void
any_byte(void **state)
{
    char    *p, *more;
    int      bit;
    size_t   i, n;
    json_t  *t, *report;

    (void) state;

    t = make_short();
    p = transcript_write(t, &n);

    for (i = 0; i < n; i++) {
        for (bit = 0; bit < 8; bit++) {
            p[i] = (char) (p[i] ^ 1 << bit);
            report = transcript_verify(p, n, NULL);

            if (is_intact(report)) {
                fail_msg("byte %zu, bit %d: not found", i, bit);
            }

            assert_true(json_array_size(json_object_get(report, "problems"))
                        > 0);
            json_decref(report);
            p[i] = (char) (p[i] ^ 1 << bit);
        }
    }

    /* a byte less, a byte more */

    report = transcript_verify(p, n - 1, NULL);
    assert_false(is_intact(report));
    json_decref(report);

    more = malloc(n + 1);
    assert_non_null(more);
    memcpy(more, p, n);
    more[n] = ' ';
    report = transcript_verify(more, n + 1, NULL);
    assert_false(is_intact(report));
    json_decref(report);

    free(more);
    free(p);
    json_decref(t);
}


/* Each member of each entry: removed, and given another value. */
static void
any_member(void **state)
{
    size_t       i, n;
    json_t      *t, *bad, *entry, *report;
    const char  *name;
    const json_t *v;

    (void) state;

    t = make_of("session_id.json");
    n = json_array_size(json_object_get(t, "entries"));

    for (i = 0; i < n; i++) {
        json_object_foreach(json_array_get(json_object_get(t, "entries"), i),
                            name, v)
        {
            bad = json_deep_copy(t);
            entry = json_array_get(json_object_get(bad, "entries"), i);
            json_object_set_new(entry, name, json_string("else"));
            report = verify(bad);
            assert_false(is_intact(report));
            assert_true(blames(report, (json_int_t) i));
            assert_true(json_is_string(v) || !blames(report,
                                                     (json_int_t) i + 1));
            json_decref(report);

            json_object_del(entry, name);
            report = verify(bad);
            assert_false(is_intact(report));
            assert_true(blames(report, (json_int_t) i));
            json_decref(report);
            json_decref(bad);
        }
    }

    json_decref(t);
}


/* Entries taken out, doubled, swapped; ends cut off. */
static void
any_order(void **state)
{
    size_t   i, n;
    json_t  *t, *bad, *list, *report, *e;

    (void) state;

    t = make_short();
    n = json_array_size(json_object_get(t, "entries"));
    assert_int_equal(n, 8);

    for (i = 0; i < n; i++) {
        bad = json_deep_copy(t);
        list = json_object_get(bad, "entries");
        json_array_remove(list, i);
        report = verify(bad);
        assert_false(is_intact(report));
        assert_true(i + 1 == n || blames(report, (json_int_t) i));
        json_decref(report);
        json_decref(bad);

        bad = json_deep_copy(t);
        list = json_object_get(bad, "entries");
        json_array_insert(list, i, json_array_get(list, i));
        report = verify(bad);
        assert_false(is_intact(report));
        assert_true(blames(report, (json_int_t) i + 1));
        json_decref(report);
        json_decref(bad);

        if (i + 1 < n) {
            bad = json_deep_copy(t);
            list = json_object_get(bad, "entries");
            e = json_incref(json_array_get(list, i));
            json_array_remove(list, i);
            json_array_insert_new(list, i + 1, e);
            report = verify(bad);
            assert_false(is_intact(report));
            assert_true(blames(report, (json_int_t) i));
            json_decref(report);
            json_decref(bad);
        }
    }

    /* the end cut off, and the head made to fit */

    bad = json_deep_copy(t);
    list = json_object_get(bad, "entries");
    json_array_remove(list, n - 1);
    json_object_set(bad, "head", json_object_get(json_array_get(list, n - 2),
                                                 "hash"));
    report = verify(bad);
    assert_false(is_intact(report));
    json_decref(report);
    json_decref(bad);
    json_decref(t);
}


/* An entry altered and its hash made to fit: the next one tells; and all of
 * them made to fit: the head that was noted tells. */
static void
made_to_fit(void **state)
{
    char         hash[TRANSCRIPT_HASH_LEN + 1], *p;
    size_t       i, n;
    json_t      *t, *e, *list, *report, *head;

    (void) state;

    t = make_short();
    head = json_incref(json_object_get(t, "head"));
    list = json_object_get(t, "entries");
    e = json_array_get(list, 3);
    json_object_set_new(e, "createdAt", json_string("2026-11-23T02:00:01Z"));
    assert_int_equal(transcript_entry_hash(e, hash), 0);
    json_object_set_new(e, "hash", json_string(hash));

    report = verify(t);
    assert_false(is_intact(report));
    assert_true(blames(report, 4));
    json_decref(report);

    for (i = 4; i < json_array_size(list); i++) {
        e = json_array_get(list, i);
        json_object_set_new(e, "previousHash", json_string(hash));
        assert_int_equal(transcript_entry_hash(e, hash), 0);
        json_object_set_new(e, "hash", json_string(hash));
    }

    json_object_set_new(t, "head", json_string(hash));

    p = transcript_write(t, &n);
    report = transcript_verify(p, n, json_string_value(head));
    assert_false(is_intact(report));
    json_decref(report);

    report = transcript_verify(p, n, hash);
    assert_true(is_intact(report));
    json_decref(report);

    free(p);
    json_decref(head);
    json_decref(t);
}


/* The same document written in another way. */
static void
written_otherwise(void **state)
{
    char    *p;
    json_t  *t, *report;

    (void) state;

    t = make_short();
    p = json_dumps(t, JSON_INDENT(2));
    report = transcript_verify(p, strlen(p), NULL);
    assert_false(is_intact(report));
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(
            json_object_get(report, "problems"), 0), "text")),
        "what it says is untouched, but it is not written as it was: byte 1");

    json_decref(report);
    free(p);
    json_decref(t);
}


static int
has(const json_t *t, const char *text)
{
    int      found;
    char    *p;
    size_t   n;

    p = transcript_write(t, &n);
    assert_non_null(p);
    found = strstr(p, text) != NULL;
    free(p);

    return found;
}


static int
is_id(void *data, const char *id, json_int_t seq)
{
    (void) seq;

    return strcmp(data, id) == 0;
}


static int
add_text(void *data, const char *p, size_t n)
{
    session_add(data, p, n);

    return 0;
}


/* A message out of it; how many entries lost their content. */
static size_t
erase_message(json_t **t, const char *id)
{
    char                  err[TRANSCRIPT_ERROR_SIZE], *p, gone[32];
    size_t                n, erased;
    session_buf_t         out;
    transcript_eraser_t  *er;

    memset(&out, 0, sizeof(out));
    snprintf(gone, sizeof(gone), "%s", id);
    p = transcript_write(*t, &n);
    assert_non_null(p);

    er = transcript_erase_begin(is_id, gone, 0, add_text, &out);
    assert_int_equal(transcript_erase_add(er, p, n), 0);
    assert_int_equal(transcript_erase_end(er, &erased), 0);
    assert_true(erased > 0 || (out.n == n && memcmp(out.p, p, n) == 0));

    json_decref(*t);
    *t = transcript_read(out.p, out.n, err);
    assert_non_null(*t);
    free(out.p);
    free(p);

    return erased;
}


static void
erasure(void **state)
{
    json_t  *t, *report, *head;

    (void) state;

    t = make_of("session_en.json");
    head = json_incref(json_object_get(t, "head"));

    /* a message, and the summary that may quote it */

    assert_true(has(t, "by Friday"));
    assert_int_equal(erase_message(&t, "6a3f0000000000000000001a"), 2);
    assert_false(has(t, "by Friday"));
    assert_int_equal(erase_message(&t, "6a3f0000000000000000001a"), 0);
    assert_int_equal(erase_message(&t, "nobody"), 0);

    report = verify(t);
    assert_true(is_intact(report));
    assert_int_equal(json_array_size(json_object_get(report, "erased")), 2);
    assert_true(json_equal(json_object_get(report, "head"), head));
    json_decref(report);

    /* a user: his name, and all of his 33 messages */

    assert_true(has(t, "u-daniel") && has(t, "Daniel Carter"));
    assert_int_equal(transcript_erase_user(t, "u-daniel"), 34);
    assert_false(has(t, "u-daniel"));
    assert_false(has(t, "Daniel Carter"));
    assert_false(has(t, "NVivo, the university"));
    assert_true(has(t, "Maria Lopez"));
    assert_int_equal(transcript_erase_user(t, "u-daniel"), 0);

    report = verify(t);
    assert_true(is_intact(report));
    assert_int_equal(json_array_size(json_object_get(report, "erased")), 36);
    assert_true(json_equal(json_object_get(report, "head"), head));
    json_decref(report);

    /* nothing else may be put in its place */

    json_object_set_new(json_array_get(json_object_get(t, "entries"), 3),
                        "salt", json_string("0000"));
    report = verify(t);
    assert_false(is_intact(report));
    assert_true(blames(report, 3));
    json_decref(report);

    json_decref(head);
    json_decref(t);
}


/* What was deleted before is not in it. */
static void
deleted_before(void **state)
{
    json_t  *t, *report;

    (void) state;

    t = make_short();
    assert_false(has(t, "rahasia"));
    report = verify(t);
    assert_true(is_intact(report));
    assert_int_equal(json_array_size(json_object_get(report, "erased")), 0);
    json_decref(report);
    json_decref(t);
}


static void
refused(void **state)
{
    char                 err[TRANSCRIPT_ERROR_SIZE];
    size_t               i;
    json_t              *session, *messages, *people;
    transcript_input_t   in;

    static const struct {
        const char  *session;
        const char  *participants;
        const char  *messages;
        const char  *err;
    } list[] = {
        { "[]", "[]", "[]", "session and document must be objects,"
          " participants an array" },
        { "{}", "[]", "{}", "messages must be an array of at most 20000" },
        { "{}", "[]", "[{\"id\":\"m\"}]",
          "messages[0] must have id, senderId and seq" },
        { "{}", "[{}]", "[]",
          "participants[0].userId must be an id that is not there yet" },
        { "{\"startTime\":[]}", "[]", "[]",
          "session.startTime must be null, a whole number or a string of at"
          " most 64 bytes" },
        { "{\"title\":0.00001}", "[]", "[]",
          "opened: must have numbers of at most three decimals and be nested"
          " at most 16 deep" },
        { "{}", "[]", "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"a\"}]",
          "messages: content must be an object" },
        { "{}", "[]", "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"a\","
          "\"content\":{\"text\":\"a\\u0000b\"}}]",
          "message: must have numbers of at most three decimals and be nested"
          " at most 16 deep" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        session = json_loads(list[i].session, 0, NULL);
        people = json_loads(list[i].participants, 0, NULL);
        messages = json_loads(list[i].messages, JSON_ALLOW_NUL, NULL);
        memset(&in, 0, sizeof(in));
        in.session = session;
        in.participants = people;
        in.messages = messages;

        assert_null(transcript_make(&in, err));
        assert_string_equal(err, list[i].err);

        json_decref(session);
        json_decref(people);
        json_decref(messages);
    }
}


static void
not_a_transcript(void **state)
{
    size_t   i;
    json_t  *report;

    static const char *const  list[] = {
        "", "{", "[]", "null", "{}", "\"\\u0000\"",
        "{\"format\":\"writeen-transcript\",\"version\":1,\"entries\":[],"
        "\"head\":\"\"}",
        "{\"entries\":[],\"format\":\"writeen-transcript\",\"head\":\""
        TRANSCRIPT_ZERO "\",\"version\":1}\n",
        "{\"entries\":[1,[],null],\"format\":\"writeen-transcript\",\"head\":"
        "\"" TRANSCRIPT_ZERO "\",\"version\":1}\n"
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        report = transcript_verify(list[i], strlen(list[i]), NULL);
        assert_false(is_intact(report));
        assert_true(json_array_size(json_object_get(report, "problems")) > 0);
        json_decref(report);
    }
}


/* What --verify-transcript prints, and its exit status. */
static const char *
command(const char *path, const char *head, int *rc)
{
    FILE         *out;
    size_t        n;
    static char   buf[4096];

    out = tmpfile();
    assert_non_null(out);
    *rc = transcript_verify_file(path, head, out);
    rewind(out);
    n = fread(buf, 1, sizeof(buf) - 1, out);
    buf[n] = '\0';
    fclose(out);

    return buf;
}


static void
by_command(void **state)
{
    int          fd, rc;
    char         path[] = "/tmp/wrt-transcript-XXXXXX", want[512], *p, *at;
    size_t       n;
    json_t      *t;
    const char  *head;

    (void) state;

    t = make_short();
    head = json_string_value(json_object_get(t, "head"));
    p = transcript_write(t, &n);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);

    snprintf(want, sizeof(want), "intact: 8 entries\nhead: %s\n", head);
    assert_string_equal(command(path, NULL, &rc), want);
    assert_int_equal(rc, 0);
    assert_string_equal(command(path, head, &rc), want);
    assert_int_equal(rc, 0);

    assert_string_equal(command(path, TRANSCRIPT_ZERO, &rc),
                        "altered: the file does not have the head that was"
                        " given\n");
    assert_int_equal(rc, 1);
    command(path, "xyz", &rc);
    assert_int_equal(rc, 2);
    command("/nowhere/at/all", NULL, &rc);
    assert_int_equal(rc, 2);

    at = strstr(p, "besok");
    assert_non_null(at);
    assert_int_equal(pwrite(fd, "lusa!", 5, at - p), 5);
    assert_string_equal(command(path, NULL, &rc),
                        "altered: entry 4 its content was altered\n");
    assert_int_equal(rc, 1);

    close(fd);
    unlink(path);
    free(p);
    json_decref(t);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(made),
        cmocka_unit_test(random_salts),
        cmocka_unit_test(example),
        cmocka_unit_test(not_canonical),
        cmocka_unit_test(any_byte),
        cmocka_unit_test(any_member),
        cmocka_unit_test(any_order),
        cmocka_unit_test(made_to_fit),
        cmocka_unit_test(written_otherwise),
        cmocka_unit_test(erasure),
        cmocka_unit_test(deleted_before),
        cmocka_unit_test(refused),
        cmocka_unit_test(not_a_transcript),
        cmocka_unit_test(by_command)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
