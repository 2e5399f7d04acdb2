#!/bin/sh
# run.sh <results file> <test program>...
#
# Runs cmocka programs one after the other and adds up what they say.  A
# program that dies or says nothing counts as one failure: no test can get
# lost unnoticed.

results=$1
shift

passed=0
failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

for bin in "$@"; do
    "$bin" >"$out" 2>&1
    rc=$?

    p=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s).*/\1/p' "$out" |
        tail -n 1)
    f=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test(s).*/\1/p' "$out" |
        tail -n 1)
    p=${p:-0}
    f=${f:-0}

    if [ "$f" -eq 0 ] && { [ "$rc" -ne 0 ] || [ "$p" -eq 0 ]; }; then
        f=1
    fi

    if [ "$f" -ne 0 ]; then
        cat "$out"
        echo "not ok: $bin (exit status $rc)"
    else
        printf 'ok: %-40s %3d tests\n' "$bin" "$p"
    fi

    passed=$((passed + p))
    failed=$((failed + f))
done

mkdir -p "$(dirname "$results")"
echo "passed=$passed failed=$failed" >"$results"
echo "unit: $passed passed, $failed failed"

[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
