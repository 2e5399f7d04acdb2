#!/bin/bash
# run.sh <results file> <test program>...
#
# Runs cmocka programs, UNIT_JOBS (4) at a time, and adds up what they say.  A
# program that dies or says nothing counts as one failure: no test can get
# lost unnoticed.

results=$1
shift

passed=0
failed=0
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
trap 'wait; exit 1' HUP INT TERM


# run N PROGRAM: its output and exit status into files.
run() {
    # bash lets what runs in the background ignore it
    trap - INT
    "$2" > "$out/$1" 2>&1
    echo $? > "$out/$1.rc"
}


# report N PROGRAM
report() {
    local n=$1 bin=$2 rc p f

    rc=$(cat "$out/$n.rc" 2> /dev/null || echo unknown)
    p=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s).*/\1/p' "$out/$n" |
        tail -n 1)
    f=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test(s).*/\1/p' "$out/$n" |
        tail -n 1)
    p=${p:-0}
    f=${f:-0}

    if [ "$f" -eq 0 ] && { [ "$rc" != 0 ] || [ "$p" -eq 0 ]; }; then
        f=1
    fi

    if [ "$f" -ne 0 ]; then
        cat "$out/$n"
        echo "not ok: $bin (exit status $rc)"
    else
        printf 'ok: %-40s %3d tests\n' "$bin" "$p"
    fi

    passed=$((passed + p))
    failed=$((failed + f))
}


n=0

for bin in "$@"; do
    [ "$n" -lt "${UNIT_JOBS:-4}" ] || wait -n
    n=$((n + 1))
    run "$n" "$bin" &
done

wait
n=0

for bin in "$@"; do
    n=$((n + 1))
    report "$n" "$bin"
done

mkdir -p "$(dirname "$results")"
echo "passed=$passed failed=$failed" > "$results"
echo "unit: $passed passed, $failed failed"

[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
