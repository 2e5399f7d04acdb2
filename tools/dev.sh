#!/bin/bash
#
# dev.sh: `make run` for who changes things: when a source is saved, it is
# built, and the part that it belongs to is started again.
#
# What web/ holds is served as it is: reload the page.  A build that fails is
# shown, and what ran before goes on running.

set -u

root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root" || exit 1

RUN_DIR=${RUN_DIR:-./run}
export RUN_DIR

stamp=build/dev.stamp
worker=build/writeen-worker
thumb=build/writeen-thumb
module=build/ngx_http_writeen_module.so
watched=(common worker ngx_writeen_module sql_or_mongo_scripts config Makefile)
settings=(tools/run.sh tools/run-setup.sh tools/nginx.conf.in)
runner=


say() {
    echo "dev: $*"
}


build() {
    # A change while this builds is newer than the stamp, and seen next time.
    touch $stamp
    make -s -j"$(nproc)" module worker
}


# What was built, to be compared.
built() {
    stat -c '%n %i %Y' $worker $thumb $module 2> /dev/null
}


changed() {
    [ -n "$(find "$@" -newer $stamp -type f ! -name '.*' -print -quit)" ]
}


start() {
    tools/run.sh &
    runner=$!
}


stop() {
    [ -z "$runner" ] || kill -TERM "$runner" 2> /dev/null
    wait
}


# shellcheck disable=SC2317  # traps call it
interrupted() {
    stop
    exit 0
}


# run.sh starts again what ends.
restart() {
    local pid

    read -r pid < "$RUN_DIR/$1.pid" || return
    say "restarting $1"
    kill -TERM "$pid"
}


rebuild() {
    local before after

    before=$(built)
    say "building"

    if ! build; then
        say "the build failed; what ran before goes on"
        return
    fi

    after=$(built)

    if [ "${before##*$'\n'}" != "${after##*$'\n'}" ]; then
        restart nginx
    fi

    if [ "${before%$'\n'*}" != "${after%$'\n'*}" ]; then
        restart worker
    fi

    [ "$before" != "$after" ] || say "nothing new"
}


trap interrupted HUP INT TERM

mkdir -p build
build || exit 1
start
say "watching: ${watched[*]}"

while kill -0 "$runner" 2> /dev/null; do

    if changed "${settings[@]}"; then
        say "settings changed, starting all of it again"
        touch $stamp
        stop
        start

    elif changed "${watched[@]}"; then
        rebuild
    fi

    sleep 0.5 &
    wait $!
done

# It has said why.
wait "$runner"
