#!/bin/sh
# run.sh SUITE JOBS FILE...: runs test files with prove and writes
# $TEST_RESULTS/SUITE.txt with a line "passed=N failed=N".  Called by t.mk.

set -u

suite=$1 jobs=$2
shift 2

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1

results=${TEST_RESULTS:-$root/build/test-results}
log=$results/$suite.log
mkdir -p "$results"

if [ -n "${NGINX_BIN:-}" ]; then
    export TEST_NGINX_BINARY="$NGINX_BIN"
    export TEST_NGINX_LOAD_MODULES="${NGINX_MODULE-}"
fi
export WRITEEN_T_DIR="${WRITEEN_T_DIR:-$root/build/t/$suite}"

# Without it, nginx would refuse each configuration, with a minute of retries.
event=${TEST_NGINX_EVENT_TYPE:-}
if [ -n "$event" ] \
    && ! "${TEST_NGINX_BINARY:-nginx}" -V 2>&1 | grep -q -- "$event"
then
    echo "${TEST_NGINX_BINARY:-nginx} is built without $event" >&2
    echo "passed=0 failed=1" > "$results/$suite.txt"
    exit 1
fi

# Files of the same suite share a folder, so suites must not run twice at the
# same time; different suites may.
prove -j "$jobs" --merge -v "$@" > "$log" 2>&1
status=$?

awk -v status=$status '
    /^ok /     { passed++ }
    /^not ok / { failed++; print }
    /^#/ && !/^# Looks like/ && failed { print }
    /^(Bailout|Result|Files=)|No plan found|Parse errors|Dubious/ { print }
    END {
        # a file that ended early counts, whatever its last line said
        if (status != 0 && failed == 0) failed = 1
        printf "passed=%d failed=%d\n", passed, failed
    }' "$log" > "$results/$suite.out"

tail -n 1 "$results/$suite.out" > "$results/$suite.txt"
cat "$results/$suite.out"
echo "the whole output: $log"

exit $status
