#!/bin/bash
#
# test.sh [asan]: runs the suites one after the other, all of them, and adds
# up what they report.  `make test` installs what is missing first.
#
# A suite is a make target that writes <target>.txt with a line
# `passed=N failed=N` into TEST_RESULTS.  One that fails without saying so, or
# that reports no tests at all, counts as a failure.  Output and figures of a
# step stay in build/test-results/<step>/.
#
# Exit status 0 when everything passed.  The last line is the total.

set -u

root=$(cd "$(dirname "$0")/.." && pwd -P)
results=$root/build/test-results
steps=()
passed=0
failed=0

declare -A row=()

cd "$root" || exit 1


# step NAME TARGET [VAR=VALUE...]
step() {
    local name=$1 target=$2 dir=$results/$1 rc=0 p='' f='' begin=$SECONDS
    local reports note=''
    shift 2

    echo
    echo "==== $name"

    rm -rf "$dir"
    mkdir -p "$dir"

    make --no-print-directory "$target" TEST_RESULTS="$dir" "$@" 2>&1 \
        | tee "$dir/output"
    rc=${PIPESTATUS[0]}

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

    echo "passed=$p failed=$f" > "$results/$name.txt"

    row[$name]=$(printf '%-14s %7d %7d %6d s  %s' "$name" "$p" "$f" \
        $((SECONDS - begin)) "$note")
    steps+=("$name")
    passed=$((passed + p))
    failed=$((failed + f))
}


# sanitized NAME TARGET: the same on binaries that watch their memory.
sanitized() {
    local log=log_path=$results/$1/sanitizer

    ASAN_OPTIONS=detect_leaks=1:$log \
    UBSAN_OPTIONS=print_stacktrace=1:$log \
    LSAN_OPTIONS=suppressions=$root/tools/lsan.txt:print_suppressions=0 \
        step "$@" SANITIZE=1
}


# poll and the newest nginx in one: both differ from Debian's in what the
# module sees, and each run of t/ takes its time.
plain_steps() {
    step lint lint
    step unit unit
    step t t
    step t-poll t-poll NGINX_VERSION=1.28.3
    step e2e e2e
    step fault fault-short
    step load load-short
    step backlog backlog-short
    step flood flood-short
    step fuzz fuzz FUZZ_SECONDS=60
    step compile compile
}


asan_steps() {
    sanitized unit-asan unit
    sanitized t-asan t WRITEEN_T_DIR="$root/build/t/asan"
    sanitized e2e-asan e2e
}


# Without these there is nothing to test.
build() {
    echo "==== build"

    if ! make -s -j"$(nproc)" module worker "$@"; then
        echo "the build failed"
        echo "0 passed, 1 failed"
        exit 1
    fi
}


begin=$SECONDS
mkdir -p "$results"

case "${1:-all}" in

all)
    build
    plain_steps
    build SANITIZE=1
    asan_steps
    ;;

asan)
    build SANITIZE=1
    asan_steps
    ;;

*)
    echo "usage: test.sh [asan]" >&2
    exit 2
    ;;

esac

echo
printf '%-14s %7s %7s %8s\n' suite passed failed time

for name in "${steps[@]}"; do
    echo "${row[$name]}"
done

echo
echo "in $((SECONDS - begin)) s; output of each suite: build/test-results/"
echo "$passed passed, $failed failed"

[ "$failed" = 0 ]
