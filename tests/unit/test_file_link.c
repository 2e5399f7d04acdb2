/*
 * test_file_link.c: links that open one file without a token.
 *
 * Without it a link could be made longer-lived, used for another file or by
 * another user, or be guessed digit by digit.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include "worker/files/file_link.h"

#define KEY     "000102030405060708090a0b0c0d0e0f"                           \
                "101112131415161718191a1b1c1d1e1f"

/* Python's hmac.new(bytes(range(32)), b"f1\nu1\n1700000000", sha256) */
#define SIGN    "e5545a32c6f90fec4a704f662a0910c1"                           \
                "f8548dcdbe3a91660cfb6502abc8fd22"
/* the same of b"f1\nu1\n1700000000\nstaff" */
#define STAFF   "626b5d20edb9ee2d51d5c17a1e18c977"                           \
                "79eb5a9805c6e6a03ace77caa1a4a39a"

#define UNTIL   1700000000

static unsigned  compared;          /* signatures */


int __real_CRYPTO_memcmp(const void *a, const void *b, size_t n);
int __wrap_CRYPTO_memcmp(const void *a, const void *b, size_t n);

int
__wrap_CRYPTO_memcmp(const void *a, const void *b, size_t n)
{
    assert_int_equal(n, FILE_LINK_SIGN);
    compared++;

    return __real_CRYPTO_memcmp(a, b, n);
}


static file_link_rc_t
check(const char *sign)
{
    return file_link_check(KEY, "f1", "u1", "1700000000", sign, UNTIL - 1);
}


static void
vectors(void **state)
{
    char  out[FILE_LINK_SIZE];

    (void) state;

    assert_int_equal(file_link_make(KEY, "f1", "u1", UNTIL, 0, out), 0);
    assert_string_equal(out, "u=u1&e=1700000000&s=" SIGN);
    assert_int_equal(check(SIGN), FILE_LINK_USER);

    assert_int_equal(file_link_make(KEY, "f1", "u1", UNTIL, 1, out), 0);
    assert_string_equal(out, "u=u1&e=1700000000&s=" STAFF);
    assert_int_equal(check(STAFF), FILE_LINK_STAFF);
}


static void
longest(void **state)
{
    char  id[WRT_ID_MAX + 1], out[FILE_LINK_SIZE], sign[FILE_LINK_SIGN + 1];

    (void) state;

    memset(id, 'x', WRT_ID_MAX);
    id[WRT_ID_MAX] = '\0';

    assert_int_equal(file_link_make(KEY, id, id, 999999999999, 1, out), 0);
    snprintf(sign, sizeof(sign), "%s", strstr(out, "&s=") + 3);
    assert_int_equal(strlen(sign), FILE_LINK_SIGN);
    assert_int_equal(file_link_check(KEY, id, id, "999999999999", sign,
                                     UNTIL), FILE_LINK_STAFF);

    assert_int_equal(file_link_make(KEY, id, id, 1000000000000, 1, out), -1);
}


static void
expiry(void **state)
{
    (void) state;

    assert_int_equal(file_link_check(KEY, "f1", "u1", "1700000000", SIGN, 0),
                     FILE_LINK_USER);
    assert_int_equal(file_link_check(KEY, "f1", "u1", "1700000000", SIGN,
                                     UNTIL), FILE_LINK_BAD);
    assert_int_equal(file_link_check(KEY, "f1", "u1", "1700000000", SIGN,
                                     UNTIL + 1), FILE_LINK_BAD);
}


static void
changed(void **state)
{
    char    other[2][FILE_LINK_SIGN + 1];
    size_t  i, k;

    static const char *const  signs[] = { SIGN, STAFF };

    (void) state;

    for (k = 0; k < UNIT_COUNT(signs); k++) {
        for (i = 0; i < FILE_LINK_SIGN; i++) {
            strcpy(other[0], signs[k]);
            other[0][i] = other[0][i] == '0' ? '1' : '0';
            assert_int_equal(check(other[0]), FILE_LINK_BAD);
        }
    }

    /* digits are written in one way */
    strcpy(other[0], SIGN);
    other[0][0] = 'E';
    assert_int_equal(check(other[0]), FILE_LINK_BAD);
    assert_int_equal(check(""), FILE_LINK_BAD);
    assert_int_equal(check(SIGN "0"), FILE_LINK_BAD);
    snprintf(other[1], sizeof(other[1]), "%.63s", SIGN);
    assert_int_equal(check(other[1]), FILE_LINK_BAD);
}


static void
of_another(void **state)
{
    size_t  i;

    static const struct {
        const char  *key;
        const char  *file;
        const char  *user;
        const char  *expires;
        const char  *sign;
    } wrong[] = {
        { KEY, "f2", "u1", "1700000000", SIGN },
        { KEY, "f1", "u2", "1700000000", SIGN },
        { KEY, "f1", "u1", "1700000001", SIGN },
        { KEY, "f1", "u1", "01700000000", SIGN },
        { KEY, "f1", "u1", "17000000000", SIGN },
        { KEY, "f1", "u1", "", SIGN },
        { KEY, "f1", "u1", "-1", SIGN },
        { KEY, "f1", "u1", "1700000000 ", SIGN },
        { KEY, "f1", "u1", "1700000000\nstaff", STAFF },
        { KEY, "f1", "u1", "9999999999999", SIGN },
        { KEY, "f1\nu1", "u1", "1700000000", SIGN },
        { KEY, "", "u1", "1700000000", SIGN },
        { KEY, "f1", "", "1700000000", SIGN },
        { KEY, "f1", NULL, "1700000000", SIGN },
        { KEY, "f1", "u1", NULL, SIGN },
        { KEY, "f1", "u1", "1700000000", NULL },
        { "0" KEY, "f1", "u1", "1700000000", SIGN },
        { "", "f1", "u1", "1700000000", SIGN },
        { "100102030405060708090a0b0c0d0e0f"
          "101112131415161718191a1b1c1d1e1f", "f1", "u1", "1700000000", SIGN }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(wrong); i++) {
        assert_int_equal(file_link_check(wrong[i].key, wrong[i].file,
                                         wrong[i].user, wrong[i].expires,
                                         wrong[i].sign, 1), FILE_LINK_BAD);
    }
}


/* All digits are looked at, whichever is the first that is wrong: by the one
 * function that takes the same time for all. */
static void
comparison(void **state)
{
    char      other[FILE_LINK_SIGN + 1];
    size_t    i;
    unsigned  before;

    (void) state;

    for (i = 0; i < FILE_LINK_SIGN; i++) {
        strcpy(other, SIGN);
        other[i] = 'x';
        before = compared;
        assert_int_equal(check(other), FILE_LINK_BAD);
        assert_int_equal(compared - before, 2);
    }

    before = compared;
    assert_int_equal(check(SIGN), FILE_LINK_USER);
    assert_int_equal(compared - before, 2);

    /* whether it is too old does not show before either */
    before = compared;
    assert_int_equal(file_link_check(KEY, "f1", "u1", "1700000000", STAFF,
                                     UNTIL), FILE_LINK_BAD);
    assert_int_equal(compared - before, 2);
}


static void
keys(void **state)
{
    char  a[FILE_LINK_KEY + 1], b[FILE_LINK_KEY + 1], out[FILE_LINK_SIZE];

    (void) state;

    assert_int_equal(file_link_key(a), 0);
    assert_int_equal(file_link_key(b), 0);
    assert_int_equal(strlen(a), FILE_LINK_KEY);
    assert_string_not_equal(a, b);
    assert_int_equal(file_link_make(a, "f1", "u1", UNTIL, 0, out), 0);
    assert_int_equal(file_link_check(b, "f1", "u1", "1700000000",
                                     strstr(out, "&s=") + 3, 1),
                     FILE_LINK_BAD);
    assert_int_equal(file_link_check(a, "f1", "u1", "1700000000",
                                     strstr(out, "&s=") + 3, 1),
                     FILE_LINK_USER);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(longest),
        cmocka_unit_test(expiry),
        cmocka_unit_test(changed),
        cmocka_unit_test(of_another),
        cmocka_unit_test(comparison),
        cmocka_unit_test(keys)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
