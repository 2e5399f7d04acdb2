#!/bin/bash
#
# compile.sh: what `make` does not compile by itself, each without a warning:
# everything with clang, and the module compiled into the newest nginx that
# it is made for.  What was built must also accept the example configuration.

set -u

root=$(cd "$(dirname "$0")/.." && pwd -P)
results=${TEST_RESULTS:-$root/build/test-results}
newest=1.28.3
passed=0
failed=0
export TEST_RESULTS=$results

cd "$root" || exit 1
mkdir -p "$results"


try() {
    local what=$1
    shift

    if "$@" > "$results/compile.log" 2>&1; then
        echo "ok: $what"
        passed=$((passed + 1))
    else
        echo "not ok: $what"
        tail -n 30 "$results/compile.log"
        failed=$((failed + 1))
    fi
}


# accepts NGINX MODULE: nginx -t of tools/nginx.conf.in, as run.sh fills it in.
accepts() {
    local dir rc=0

    dir=$(mktemp -d)

    # with a Redis of its own, which --check does not start
    env -u REDIS_URL NGINX_BIN="$1" NGINX_MODULE="$2" RUN_DIR="$dir" PORT=1 \
        "$root/tools/run.sh" --check || rc=$?

    rm -rf "$dir"
    return $rc
}


try "clang: worker, common" make -s worker BUILD=build/clang CC=clang
try "clang: dynamic module" env CC=clang tools/nginx.sh dynamic \
    build/clang/nginx-dyn build/clang/ngx_http_writeen_module.so
try "clang: the module loads" accepts "$NGINX_BIN" \
    "$root/build/clang/ngx_http_writeen_module.so"
try "gcc: compiled into nginx $newest" tools/nginx.sh static \
    "build/static/$newest" "build/static/nginx-$newest" "$newest"
try "nginx $newest accepts the example" accepts \
    "$root/build/static/nginx-$newest" ""

echo "passed=$passed failed=$failed" > "$results/compile.txt"
echo "compile: $passed passed, $failed failed"

[ "$failed" = 0 ]
