#!/bin/bash
#
# test.sh [asan]: runs the suites, all of them, and adds up what they report.
# `make test` installs what is missing first.
#
# A suite is a make target that writes <target>.txt with a line
# `passed=N failed=N` into TEST_RESULTS.  One that fails without saying so,
# that reports no tests at all, or that leaves a process behind, counts as a
# failure.  What a step says is shown when it has ended; it and the figures
# stay in build/test-results/<step>/.
#
# Steps that mostly wait run beside steps that compute (see `beside`): the
# whole takes two cores, and nothing that is timed shares them with its equal.
#
# Exit status 0 when everything passed.  The last line is the total.

set -u

root=$(cd "$(dirname "$0")/.." && pwd -P)
results=$root/build/test-results
leash=$root/tools/leash.py
child=                  # what this shell waits for, to be ended with it
nice=                   # how the steps of this lane are run

cd "$root" || exit 1


# shellcheck disable=SC2317  # traps call it
interrupted() {
    # shellcheck disable=SC2086  # several
    [ -z "$child" ] || kill $child 2> /dev/null
    wait
    exit 130
}

trap interrupted HUP INT TERM


# step NAME TARGET [VAR=VALUE...]
step() {
    local name=$1 target=$2 dir=$results/$1 rc=0 p='' f='' begin=$SECONDS
    local reports note='' cpu
    shift 2

    rm -rf "$dir"
    mkdir -p "$dir"
    echo "$name ..."

    # shellcheck disable=SC2086  # a command and its option, or nothing
    $nice "$leash" --cpu "$dir/cpu" make --no-print-directory -j2 "$target" \
        TEST_RESULTS="$dir" "$@" > "$dir/output" 2>&1 < /dev/null &
    child=$!
    wait "$child"
    rc=$?
    child=

    if [ -f "$dir/$target.txt" ]; then
        p=$(sed -n 's/.*passed=\([0-9]*\).*/\1/p' "$dir/$target.txt")
        f=$(sed -n 's/.*failed=\([0-9]*\).*/\1/p' "$dir/$target.txt")
    fi

    if [ "${p:-0}${f:-0}" = 00 ]; then
        note='no tests reported'
        p=0
        f=1
    fi

    if [ "$rc" != 0 ] && [ "$f" = 0 ]; then
        note="make $target failed"
        f=1
    fi

    # Sanitizers write a file for each process that did something wrong; t/
    # finds those of its blocks by itself.
    reports=$(find "$dir" -name 'sanitizer*' | wc -l)

    if [ "$reports" != 0 ]; then
        note="$reports sanitizer reports in $dir"
        [ "$f" != 0 ] || f=$reports
    fi

    # which one, for who sees the table only
    [ "$f" = 0 ] || note=${note:-$(grep -m 1 -E '^(not ok|FAILED|E  )' \
                                   "$dir/output" | cut -c 1-90)}

    cpu=$(cat "$dir/cpu")
    echo "passed=$p failed=$f" > "$results/$name.txt"
    printf '%-14s %7d %7d %6d s %6d s  %s\n' "$name" "$p" "$f" \
        $((SECONDS - begin)) "$cpu" "$note" > "$dir/row"

    # one at a time
    flock "$results/output.lock" cat <(printf '\n==== %s\n' "$name") \
        "$dir/output" <(echo "==== $name: $p passed, $f failed")
}


# sanitized NAME TARGET [VAR=VALUE...]: the same on binaries that watch their
# memory.
sanitized() {
    local log=log_path=$results/$1/sanitizer

    ASAN_OPTIONS=detect_leaks=1:$log \
    UBSAN_OPTIONS=print_stacktrace=1:$log \
    LSAN_OPTIONS=suppressions=$root/tools/lsan.txt:print_suppressions=0 \
        step "$@" SANITIZE=1
}


# beside LANE LANE: two functions at the same time, the second with what the
# first leaves of the processors.
beside() {
    (trap interrupted HUP INT TERM; "$1") &
    child=$!
    # shellcheck disable=SC2030  # of this lane
    (trap interrupted HUP INT TERM; nice='nice -n 15'; "$2") &
    child="$child $!"
    wait
    child=
}


# poll and the newest nginx in one: both differ from Debian's in what the
# module sees, and each run of t/ takes its time.  `compile` builds the same
# nginx, so one comes after the other.
waiting() {
    step t-poll t-poll NGINX_VERSION=1.28.3
    step t t
    step e2e e2e E2E_JOBS=6     # it waits more than it computes
    step fault fault-short
    step load load-short
    step flood flood-short
    step abuse abuse-short
    step browser browser
    step backlog backlog-short
}


computing() {
    step lint lint
    step ops ops
    step unit unit

    until [ -f "$results/t-poll/row" ]; do
        sleep 1
    done

    step compile compile
    unit_asan
    step fuzz fuzz FUZZ_SECONDS=60      # two at a time
    sanitized soak soak-short
    step autobahn autobahn-short
}


unit_asan() {
    build SANITIZE=1
    sanitized unit-asan unit
}


# asan_steps E2E-TARGET
asan_steps() {
    # with sanitizers t/ needs the processors for itself: it looks at moments
    sanitized t-asan t WRITEEN_T_DIR="$root/build/t/asan"
    sanitized e2e-asan "$1" E2E_JOBS=6      # nothing runs beside it
}


# Without these there is nothing to test.
build() {
    echo "build${*:+ $*} ..."

    # shellcheck disable=SC2086,SC2031  # words or nothing, of this lane
    $nice "$leash" make -s -j2 module worker "$@" &
    child=$!

    if ! wait "$child"; then
        echo "the build failed"
        echo "0 passed, 1 failed"
        exit 1
    fi

    child=
}


begin=$SECONDS
mkdir -p "$results"
rm -f "$results"/*/row

case "${1:-all}" in

all)
    steps=(lint ops unit t t-poll e2e browser fault load flood autobahn
           abuse backlog compile fuzz unit-asan t-asan e2e-asan soak)
    build
    beside waiting computing
    build SANITIZE=1        # all of it is there, unless that failed
    # all tests were run on both stores before: without sanitizers
    asan_steps e2e-short
    ;;

asan)
    steps=(unit-asan t-asan e2e-asan soak)
    unit_asan
    asan_steps e2e
    sanitized soak soak-short
    ;;

*)
    echo "usage: test.sh [asan]" >&2
    exit 2
    ;;

esac

passed=0
failed=0

echo
printf '%-14s %7s %7s %8s %8s\n' suite passed failed time processor

for name in "${steps[@]}"; do
    if [ -f "$results/$name/row" ]; then
        cat "$results/$name/row"
        read -r _ p f _ < "$results/$name/row"
    else
        p=0
        f=1
        echo "$name did not run"
    fi

    passed=$((passed + p))
    failed=$((failed + f))
done

echo
echo "in $((SECONDS - begin)) s; output of each suite: build/test-results/"
echo "$passed passed, $failed failed"

[ "$failed" = 0 ]
