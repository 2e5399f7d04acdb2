/*
 * refusal.h: what tests of common/wrt_envelope.h look for in a result.
 */

#ifndef REFUSAL_H
#define REFUSAL_H

#include "tests/unit/unit.h"

#include <string.h>

#include "common/wrt_envelope.h"

static void
check_slice(wrt_slice_t s, const char *want)
{
    assert_non_null(s.p);

    if (s.n != strlen(want) || memcmp(s.p, want, s.n) != 0) {
        fail_msg("\"%.*s\", not \"%s\"", (int) s.n, s.p, want);
    }
}


/* A refusal: code and field as given, a message that goes into JSON as is. */
static void
check_refusal(const wrt_refusal_t *why, const char *code, const char *field,
    const char *word)
{
    const char  *p;

    assert_non_null(why->code);
    assert_string_equal(why->code, code);

    if (field) {
        assert_non_null(why->field);
        assert_string_equal(why->field, field);

    } else {
        assert_null(why->field);
    }

    assert_non_null(why->message);

    if (strstr(why->message, word) == NULL) {
        fail_msg("\"%s\" says nothing of \"%s\"", why->message, word);
    }

    for (p = why->message; *p; p++) {
        assert_true(*p >= ' ' && *p < 0x7F && *p != '"' && *p != '\\');
    }
}

#endif
