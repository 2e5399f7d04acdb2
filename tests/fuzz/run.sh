#!/bin/sh
# run.sh <results file> <seconds> <fuzz program>...
#
# Runs libFuzzer programs for so many seconds each, two at a time.  The seeds
# of the repository are read, never written; new inputs are kept beside the
# program.

results=$1
seconds=$2
shift 2

here=$(dirname "$0")

run_one() {
    bin=$1
    name=${bin##*/fuzz_}
    dir=${bin%/*}
    dict=$here/$name.dict

    mkdir -p "$dir/corpus/$name"
    set -- -max_total_time="$seconds" -timeout=30 -rss_limit_mb=1024 \
        -max_len=8192 -print_final_stats=1 -artifact_prefix="$dir/$name-"
    [ -f "$dict" ] && set -- "$@" -dict="$dict"

    "$bin" "$@" "$dir/corpus/$name" "$here/corpus/$name" \
        >"$dir/$name.log" 2>&1
}

passed=0
failed=0

finish() {
    name=${1##*/fuzz_}
    log=${1%/*}/$name.log

    if wait "$2"; then
        passed=$((passed + 1))
        printf 'ok: fuzz %-10s %s s, %s inputs\n' "$name" "$seconds" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    else
        failed=$((failed + 1))
        tail -n 60 "$log"
        echo "not ok: fuzz $name, see $log"
    fi
}

while [ $# -gt 0 ]; do
    run_one "$1" &
    a=$!
    b=

    if [ $# -gt 1 ]; then
        run_one "$2" &
        b=$!
    fi

    finish "$1" "$a"
    [ -n "$b" ] && finish "$2" "$b"
    shift
    [ -n "$b" ] && shift
done

mkdir -p "$(dirname "$results")"
echo "passed=$passed failed=$failed" >"$results"
echo "fuzz: $passed passed, $failed failed"

[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
