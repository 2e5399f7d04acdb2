/*
 * test_scan_libclamav.c: the engine in this process.
 *
 * Without it a file that was not looked at could be called clean, or new
 * signatures could wait for a restart.
 */

#define _GNU_SOURCE

#include "tests/unit/scan_suite.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Any text can be a signature. */
#define WORD      "abracadabra-hocus-pocus"
#define WORD_HEX  "6162726163616461627261" "2d686f6375732d706f637573"

static char      dir[] = "/tmp/wrt-lib-XXXXXX";
static scan_t   *scanner;


static void
put(const char *name, const char *text)
{
    char   path[128], last[128];
    FILE  *f;

    snprintf(path, sizeof(path), "%s/db/%s.new", dir, name);
    snprintf(last, sizeof(last), "%s/db/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(path, last), 0);
}


static void
starts(void **state)
{
    scan_t  *s;

    s = *state;
    assert_int_equal(scan_prepare(s), SCAN_CLEAN);
    assert_non_null(strstr(scan_about(s), "libclamav"));
    assert_non_null(strstr(scan_about(s), "the EICAR test string alone"));
    assert_true(scan_bare(s));
    assert_string_equal(scan_text(s), "");
}


/* Nothing of what was unpacked lies about. */
static void
leaves_nothing(void **state)
{
    int             n;
    DIR            *d;
    char            path[64];
    struct dirent  *e;

    (void) state;

    snprintf(path, sizeof(path), "%s/tmp", dir);
    d = opendir(path);
    assert_non_null(d);

    for (n = 0; (e = readdir(d)) != NULL; n++) {
        /* void */
    }

    closedir(d);
    assert_int_equal(n, 2);
}


static void
reloads(void **state)
{
    char     path[64], before[SCAN_ABOUT_SIZE];
    scan_t  *s;

    s = *state;
    assert_int_equal(scan_once(s, scan_file_of(WORD, strlen(WORD))),
                     SCAN_CLEAN);
    snprintf(before, sizeof(before), "%s", scan_about(s));

    /* the directory comes, then a file in it, then another one */
    snprintf(path, sizeof(path), "%s/db", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(scan_once(s, scan_file_of(WORD, strlen(WORD))),
                     SCAN_CLEAN);

    put("words.ndb", "Test.Word:0:*:" WORD_HEX "\n");
    assert_int_equal(scan_once(s, scan_file_of(WORD, strlen(WORD))),
                     SCAN_INFECTED);
    assert_non_null(strstr(scan_text(s), "Test.Word"));
    assert_non_null(strstr(scan_about(s), "1 files of"));
    assert_false(scan_bare(s));
    assert_string_not_equal(scan_about(s), before);
    assert_int_equal(scan_once(s, scan_file_eicar()), SCAN_INFECTED);

    /* one that is broken changes nothing, and says so */
    put("broken.ndb", "this is no signature\n");
    assert_int_equal(scan_prepare(s), SCAN_CLEAN);
    assert_non_null(strstr(scan_text(s), "loading signatures"));
    assert_non_null(strstr(scan_about(s), "1 files of"));
    assert_int_equal(scan_once(s, scan_file_of(WORD, strlen(WORD))),
                     SCAN_INFECTED);

    put("broken.ndb", "Test.Other:0:*:" "6e6f7468696e67207472756520696e"
        "2069740a\n");
    assert_int_equal(scan_prepare(s), SCAN_CLEAN);
    assert_string_equal(scan_text(s), "");
    assert_non_null(strstr(scan_about(s), "2 files of"));
}


/* Signatures that cannot be loaded at the start: down, not clean. */
static void
broken_start(void **state)
{
    scan_t       *s;
    scan_conf_t   cf;

    (void) state;

    memset(&cf, 0, sizeof(cf));
    snprintf(cf.db, sizeof(cf.db), "%s/db", dir);
    put("broken.ndb", "this is no signature\n");

    s = scan_open(&cf);
    assert_int_equal(scan_once(s, scan_file_of("x", 1)), SCAN_DOWN);
    assert_non_null(strstr(scan_text(s), "loading signatures"));

    put("broken.ndb", "Test.Word:0:*:" WORD_HEX "\n");
    assert_int_equal(scan_once(s, scan_file_of("x", 1)), SCAN_CLEAN);
    scan_close(s);

    /* nowhere to unpack to */
    snprintf(cf.tmp, sizeof(cf.tmp), "%s/none", dir);
    s = scan_open(&cf);
    assert_int_equal(scan_once(s, scan_file_of("x", 1)), SCAN_DOWN);
    scan_close(s);
}


static void
off(void **state)
{
    scan_t       *s;
    scan_conf_t   cf;

    (void) state;

    memset(&cf, 0, sizeof(cf));
    cf.kind = SCAN_NOTHING;
    s = scan_open(&cf);
    assert_int_equal(scan_prepare(s), SCAN_OFF);
    assert_int_equal(scan_once(s, scan_file_eicar()), SCAN_OFF);
    scan_close(s);
    scan_close(NULL);
}


static int
setup(void **state)
{
    char         path[64];
    scan_conf_t  cf;

    if (mkdtemp(dir) == NULL) {
        return -1;
    }

    snprintf(path, sizeof(path), "%s/tmp", dir);
    memset(&cf, 0, sizeof(cf));
    snprintf(cf.db, sizeof(cf.db), "%s/db", dir);
    snprintf(cf.tmp, sizeof(cf.tmp), "%s", path);
    scanner = scan_open(&cf);
    *state = scanner;

    return scanner == NULL || mkdir(path, 0700) != 0;
}


static int
teardown(void **state)
{
    size_t  i;
    char    path[128];

    static const char  *names[] = {
        "db/words.ndb", "db/broken.ndb", "db", "tmp", ""
    };

    (void) state;

    scan_close(scanner);

    for (i = 0; i < UNIT_COUNT(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        remove(path);
    }

    return access(dir, F_OK) == 0 ? -1 : 0;
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(starts),
        SCAN_SUITE,
        cmocka_unit_test(leaves_nothing),
        cmocka_unit_test(reloads),
        cmocka_unit_test(broken_start),
        cmocka_unit_test(off)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
