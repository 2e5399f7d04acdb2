#!/bin/bash
#
# run.sh: starts Redis, the worker pool and nginx, restarts what dies, stops
# all of it on Ctrl-C or TERM.  `make run` builds first and then comes here.
# docs/run.md has the table of variables; run-setup.sh checks them, and makes
# redis.conf and nginx.conf of them.  With --check it stops before it starts
# anything: the settings are checked, and nginx.conf by nginx -t.
#
# Whatever is wrong, now or later, is said in one line with what to do about it.
#
# It owns RUN_DIR: nginx.conf and redis.conf (written anew at each start),
# data/, spool/, logs/, tmp/ and the pid files run, redis, worker and nginx.
#
# Every part runs in a session of its own (setsid), so that Ctrl-C reaches
# this script alone and it stops the parts in order: nginx first, which tells
# its clients to come back, then the worker, which finishes its batch, then
# Redis.  A part's session id is the number in its pid file; children that
# outlive a killed parent are found by it.

set -u
export LC_ALL=C

root=$(cd "$(dirname "$0")/.." && pwd)

PORT=${PORT:-8080}
BIND=${BIND:-127.0.0.1}
RUN_DIR=${RUN_DIR:-./run}
STORE=${STORE:-sqlite}
STORAGE=${STORAGE:-local}
SHARDS=${SHARDS:-16}
NGINX_WORKERS=${NGINX_WORKERS:-auto}

nginx_bin=${NGINX_BIN:-$(PATH=$PATH:/usr/sbin command -v nginx)}
nginx_module=${NGINX_MODULE-$root/build/ngx_http_writeen_module.so}
worker_bin=${WORKER_BIN:-$root/build/writeen-worker}
token_bin=${TOKEN_BIN:-$root/build/writeen-token}

# The default of build/writeen-token, too; everybody can read it.
dev_secret=writeen-dev-secret-change-me-0123456789

start_limit_ms=60000    # until /healthz is 200
start_tries=3           # deaths before that, of one part
restart_gap_ms=1000     # between two starts of one part
nginx_stop_ms=4000      # drain, then the fast way
worker_stop_ms=8000
redis_stop_ms=10000
log_keep_bytes=16777216 # larger logs are moved to .1 at the start
look_ms=3000            # between two looks at /healthz, once it was ready
disk_start_kb=65536     # free space below which it does not start ...
disk_full_kb=8192       # ... and below which what goes wrong is blamed on it

declare -A pid=() started=() deaths=()
parts=()
stop=
ready=


# shellcheck source=tools/run-setup.sh
. "$root/tools/run-setup.sh"


say() {
    echo "run: $*"
}


die() {
    echo "run: $*" >&2
    shutdown
    exit 1
}


now_ms() {
    local t=${EPOCHREALTIME/./}
    now=${t%???}
}


# Sleep for a moment without a process of its own; a signal ends it.
tick() {
    read -rt 0.2 -u "$tick_fd" || :

    if [ -n "$stop" ]; then
        say "stopping"
        shutdown
        exit 0
    fi
}


# ---- processes ----

# The live processes of a session.
session_pids() {
    local sid=$1 f line
    local -a stat

    for f in /proc/[0-9]*/stat; do
        { read -r line < "$f"; } 2> /dev/null || continue

        # pid (name) state ppid pgrp session: a name may hold anything
        read -ra stat <<< "${line##*) }"

        if [ "${stat[3]}" = "$sid" ] && [ "${stat[0]}" != Z ]; then
            f=${f#/proc/}
            echo "${f%/stat}"
        fi
    done
}


# Is this process the named part?  A pid file may be older than a reboot, so
# numbers read from one must fit by working directory, too.
is_ours() {
    local name=$1 p=$2 cmd

    cmd=$(tr '\0' ' ' 2> /dev/null < "/proc/$p/cmdline") || return 1

    if [ -z "${pid[$name]:-}" ]; then
        case "$(readlink "/proc/$p/cwd")/" in
        "$RUN_DIR"/*) ;;
        *)            return 1 ;;
        esac
    fi

    case "$name:$cmd" in
    nginx:*nginx*)            return 0 ;;
    redis:*redis-server*)     return 0 ;;
    worker:*writeen-worker*)  return 0 ;;
    esac

    return 1
}


# End whatever is left of a part: what it wrote is safe (that is the point of
# the design), so there is nothing to be gentle about.  One process that is
# known as ours vouches for its session.
sweep() {
    local name=$1 sid=$2 members p i

    swept=0
    members=$(session_pids "$sid")

    for p in $members; do
        if is_ours "$name" "$p"; then
            swept=1
        fi
    done

    [ $swept = 1 ] || return

    for p in $members; do
        kill -KILL "$p" 2> /dev/null
    done

    # A killed process holds its port until the kernel has buried it.
    for ((i = 0; i < 100; i++)); do
        [ -n "$(session_pids "$sid")" ] || break
        read -rt 0.02 -u "$tick_fd" || :
    done
}


# After a kill -9 of this script its parts live on; they would hold the port
# and the data.
sweep_leftovers() {
    local name sid

    for name in nginx worker redis; do
        { read -r sid < "$RUN_DIR/$name.pid"; } 2> /dev/null || continue

        case "$sid" in
        '' | *[!0-9]*)  ;;
        *)
            sweep $name "$sid"
            [ "$swept" = 0 ] || say "ended $name left by an earlier run"
            ;;
        esac

        rm -f "$RUN_DIR/$name.pid"
    done
}


launch() {
    local name=$1
    shift

    # The lock of this script must not live on in its parts.
    (
        cd "$RUN_DIR" || exit 1
        exec setsid "$@" < /dev/null >> "logs/$name.log" 2>&1 \
            {lock_fd}>&- {tick_fd}>&-
    ) &

    pid[$name]=$!
    disown
    now_ms
    started[$name]=$now
    echo "${pid[$name]}" > "$RUN_DIR/$name.pid"
}


start() {
    case $1 in
    redis)   launch redis redis-server "$RUN_DIR/redis.conf" ;;
    worker)  launch worker "$worker_bin" ;;
    nginx)   launch nginx "$nginx_bin" -p "$RUN_DIR" \
                 -e "$RUN_DIR/logs/error.log" -c "$RUN_DIR/nginx.conf" ;;
    esac
}


alive() {
    [ -n "${pid[$1]:-}" ] && kill -0 "${pid[$1]}" 2> /dev/null
}


log_tail() {
    local f

    for f in "$RUN_DIR/logs/$1.log" "$RUN_DIR/logs/error.log"; do
        [ -s "$f" ] || continue
        echo "---- $f" >&2
        tail -n 8 "$f" >&2
        [ "$1" = nginx ] || break
    done
}


# What a pool that does not start said last, for the line that newcomers read:
# it names the setting and what is allowed.  Of this run, not of one before.
last_error() {
    local events='settings\|pid_file\|redis_[a-z]*\|store_unusable'

    [ "$1" = worker ] || return 0
    tail -c +$((worker_log_at + 1)) "$RUN_DIR/logs/worker.log" | tail -n 8 \
        | sed -n "s/^[^ ]* error [^ ]* \\($events\\) /: /p" | tail -n 1
}


# Restart which of the named parts died.
watch() {
    local name

    now_ms

    for name in "$@"; do

        if alive "$name" || [ $((now - started[$name])) -lt $restart_gap_ms ]
        then
            continue
        fi

        deaths[$name]=$((${deaths[$name]:-0} + 1))

        if [ -z "$ready" ] && [ "${deaths[$name]}" -ge $start_tries ]; then
            log_tail "$name"
            die "$name does not stay up, see $RUN_DIR/logs$(last_error "$name")"
        fi

        sweep "$name" "${pid[$name]}"
        say "$name died, starting it again"
        start "$name"
    done
}


# stop_part NAME SIGNAL LIMIT_MS: then, harder.
stop_part() {
    local name=$1 sig=$2 limit=$3 end

    [ -n "${pid[$name]:-}" ] || return
    alive "$name" && kill "-$sig" "${pid[$name]}" 2> /dev/null

    now_ms
    end=$((now + limit))

    while alive "$name" && [ "$now" -lt $end ]; do
        read -rt 0.05 -u "$tick_fd" || :
        now_ms
    done

    if alive "$name"; then
        say "$name did not stop within $((limit / 1000)) s, ending it"
    fi

    sweep "$name" "${pid[$name]}"
    unset "pid[$name]"
    rm -f "$RUN_DIR/$name.pid"
}


shutdown() {
    trap '' INT TERM HUP

    stop_part nginx QUIT $nginx_stop_ms
    stop_part worker TERM $worker_stop_ms

    if [ -n "${flusher:-}" ]; then
        kill "$flusher" 2> /dev/null
    fi

    stop_part redis TERM $redis_stop_ms

    if [ -n "${sock_dir:-}" ]; then
        rmdir "$sock_dir" 2> /dev/null
    fi

    if [ -n "${locked:-}" ]; then
        rm -f "$RUN_DIR/run.pid"
    fi
}


# ---- its place ----

# Free space where RUN_DIR is, in KB; what cannot be known is no problem.
disk_free() {
    free=$(df -Pk "$RUN_DIR" 2> /dev/null | awk 'END { print $4 }')

    case "$free" in
    '' | *[!0-9]*)  free=$((1 << 40)) ;;
    esac
}


# One supervisor per RUN_DIR.  The lock goes with the process, however that
# ends.
take_run_dir() {
    local other f

    if ! mkdir -p "$RUN_DIR" || [ ! -w "$RUN_DIR" ]; then
        die "cannot write $RUN_DIR; give another place: make run RUN_DIR=..."
    fi

    RUN_DIR=$(cd "$RUN_DIR" && pwd) || exit 1
    disk_free

    if [ "$free" -lt $disk_start_kb ]; then
        die "only $((free / 1024)) MB are free in $RUN_DIR, and messages and" \
            "files need room ($((disk_start_kb / 1024)) MB to begin with);" \
            "make some, or give another place: make run RUN_DIR=..."
    fi

    case "$RUN_DIR" in
    *[!A-Za-z0-9_./@+,\ -]*)
        die "RUN_DIR has characters that nginx.conf cannot hold: $RUN_DIR"
        ;;
    esac

    exec {lock_fd}> "$RUN_DIR/run.lock"

    if ! flock -n "$lock_fd"; then
        other=$(cat "$RUN_DIR/run.pid" 2> /dev/null)
        die "another copy (pid ${other:-unknown}) runs on $RUN_DIR;" \
            "give this one its own RUN_DIR and PORT"
    fi

    locked=1

    mkdir -p "$RUN_DIR"/{data/redis,logs,tmp} || die "cannot write $RUN_DIR"

    # A pipe that nobody writes to, for tick().
    rm -f "$RUN_DIR/tmp/tick"
    mkfifo "$RUN_DIR/tmp/tick" || die "cannot make a fifo in $RUN_DIR"
    exec {tick_fd}<> "$RUN_DIR/tmp/tick"
    rm -f "$RUN_DIR/tmp/tick"

    sweep_leftovers

    echo $$ > "$RUN_DIR/run.pid"

    for f in "$RUN_DIR"/logs/*.log; do
        if [ -f "$f" ] && [ "$(stat -c %s "$f")" -gt $log_keep_bytes ]; then
            mv "$f" "$f.1"
        fi
    done
}


check_port() {
    if { exec {fd}<> "/dev/tcp/$address/$PORT"; } 2> /dev/null; then
        exec {fd}>&-
        die "port $PORT is in use; choose another: make run" \
            "PORT=$((PORT + 1))"
    fi
}


# fdatasync of the append-only files, once a second (see redis.conf).  Ends
# with the script that started it, however that ends.
flush_redis() {
    local files

    exec {lock_fd}>&- {tick_fd}>&-
    trap - INT TERM HUP

    while sleep 1 && kill -0 $$ 2> /dev/null; do
        files=("$RUN_DIR"/data/redis/appendonlydir/*.aof)
        [ -f "${files[0]}" ] && sync -d "${files[@]}" 2> /dev/null
    done
}


# Until it has read its files; that may take a while, and it says so.
wait_redis() {
    local reply end

    now_ms
    end=$((now + start_limit_ms))

    while :; do
        reply=$(redis-cli -s "$redis_sock" ping 2>&1)
        now_ms

        case "$reply" in
        PONG)      return ;;
        *LOADING*) end=$((now + start_limit_ms)) ;;
        esac

        if [ "$now" -gt "$end" ]; then
            log_tail redis
            die "redis does not answer: $reply"
        fi

        tick
        watch redis
    done
}


# GET /healthz without curl: sets health_code and health.
check_health() {
    local fd line

    health_code=
    health='nginx does not answer'

    { exec {fd}<> "/dev/tcp/$address/$PORT"; } 2> /dev/null || return

    printf 'GET /healthz HTTP/1.0\r\nHost: %s\r\n\r\n' "$host" >&"$fd"

    if read -rt "$health_s" -u "$fd" line; then
        line=${line#* }
        health_code=${line%% *}

        while read -rt "$health_s" -u "$fd" line; do
            [ "$line" != $'\r' ] || break
        done

        IFS= read -rt "$health_s" -d '' -u "$fd" health || :
    fi

    exec {fd}>&-
}


# Says when it is no longer well, and when it is again.  A part that is being
# started anew is no news: only what two looks have found.
look() {
    local was=$health_now

    now_ms
    [ $((now - looked)) -ge $look_ms ] || return 0
    looked=$now

    check_health
    disk_free
    health_now=$health

    case "$health_code:$health" in
    200:*'"status":"ok"'*)  health_now=ok ;;
    esac

    [ "$free" -ge $disk_full_kb ] || health_now="full, $health_now"

    if [ "$health_now" != "$was" ] || [ "$health_now" = "$health_told" ]; then
        return 0
    fi

    health_told=$health_now

    case "$health_now" in
    ok)          say "/healthz is ok again" ;;
    'full, ok')  advise ;;
    *)           say "/healthz says: $health"
                 advise ;;
    esac
}


# What to do about it.
advise() {
    disk_free

    if [ "$free" -lt $disk_full_kb ]; then
        say "the disk is full ($((free / 1024)) MB free in $RUN_DIR): make" \
            "room, and it goes on by itself; do not stop it before"
        return
    fi

    case "$health" in
    *'"redis":"ok"'*)
        ;;
    *'"redis":'*)
        if [ "${parts[0]}" = redis ]; then
            say "Redis does not answer, see $RUN_DIR/logs/redis.log"
        else
            say "Redis does not answer (${REDIS_URL##*@}): is it running?"
        fi
        return
        ;;
    *)
        say "see $RUN_DIR/logs/error.log"
        return
        ;;
    esac

    case "$health" in
    *'"worker":"ok"'*'"store":"ok"'*)
        say "see $RUN_DIR/logs/error.log"
        ;;
    *'"worker":"ok"'*)
        case "$STORE" in
        mongo)  say "MongoDB does not answer (${MONGODB_URI##*@}): is it" \
                    "running? Chat goes on, and is stored when it is back" ;;
        *)      say "$SQLITE_PATH cannot be used, see" \
                    "$RUN_DIR/logs/worker.log" ;;
        esac
        ;;
    *)
        say "the worker pool does not answer; the end of" \
            "$RUN_DIR/logs/worker.log:"
        tail -n 2 "$RUN_DIR/logs/worker.log"
        ;;
    esac
}


# ---- main ----

trap 'stop=1' INT TERM HUP

case "$BIND" in
0.0.0.0 | '*')  host=127.0.0.1 ;;
'[::]')         host='[::1]' ;;
*)              host=$BIND ;;
esac

# as /dev/tcp wants it
address=${host#[}
address=${address%]}

check_settings
take_run_dir
check_port
setup_redis

if [ -z "${JWT_SECRET:-}" ]; then
    JWT_SECRET=$dev_secret
    say "warning: JWT_SECRET is not set; the development secret" \
        "\"$dev_secret\" lets anybody mint tokens"
else
    say "tokens are made with JWT_SECRET; build/writeen-token reads it, too"
fi

# nginx makes it; writeen_spool in nginx.conf is the same.
SPOOL=$RUN_DIR/spool

export REDIS_URL STORE STORAGE JWT_SECRET SHARDS SPOOL
unset PID_FILE
[[ ${FCM_CREDENTIALS:-/} = /* ]] || export FCM_CREDENTIALS=$PWD/$FCM_CREDENTIALS

if [ "$STORE" = sqlite ]; then
    export SQLITE_PATH=${SQLITE_PATH:-$RUN_DIR/data/writeen.db}
fi

if [ "$STORAGE" = local ]; then
    export STORAGE_PATH=${STORAGE_PATH:-$RUN_DIR/data/files}
fi

setup_files
setup_dev
setup_nginx

if [ "${1:-}" = --check ]; then
    say "settings and $RUN_DIR/nginx.conf are good"
    shutdown
    exit 0
fi

check_uploads

parts+=(worker nginx)

say "data and logs in $RUN_DIR, store $STORE, files $STORAGE," \
    "redis ${REDIS_URL##*@}"

if [ "${parts[0]}" = redis ]; then
    start redis
    flush_redis &
    flusher=$!
    disown

    wait_redis
fi

worker_log_at=$(stat -c %s "$RUN_DIR/logs/worker.log" 2> /dev/null || echo 0)

start worker
start nginx

now_ms
begin=$now
told=$now
health_s=3

# Ready is 200, ten times: each nginx process answers for itself while it
# connects.  One that is "degraded" gets a while to become "ok": the worker
# is still connecting, most often.  A part that is dead is not ready, whatever
# /healthz says: what a pool of an earlier run left in Redis speaks for it for
# some seconds.
row=0

while :; do
    tick
    watch "${parts[@]}"
    check_health
    now_ms

    for name in "${parts[@]}"; do
        alive "$name" || health_code=
    done

    case "$health_code:$health" in
    200:*'"status":"ok"'*)
        row=$((row + 1))
        [ $row -lt 10 ] || break
        continue
        ;;
    200:*)
        [ $((now - begin)) -lt 15000 ] || break
        ;;
    esac

    row=0

    if [ $((now - begin)) -gt $start_limit_ms ]; then
        log_tail nginx
        log_tail worker
        die "/healthz did not become 200: $health$(last_error worker)"
    fi

    if [ $((now - told)) -gt 5000 ]; then
        say "waiting for /healthz: $health$(last_error worker)"
        told=$now
    fi
done

ready=1
health_s=1
looked=$now
health_now=ok
health_told=ok
echo "ready: http://$host:$PORT"

case "$health" in
*'"status":"ok"'*) ;;
*)
    say "/healthz says: $health"
    advise
    health_now=$health
    health_told=$health
    ;;
esac

while :; do
    tick
    watch "${parts[@]}"
    look
done
