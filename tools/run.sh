#!/bin/bash
#
# run.sh: starts Redis, the worker pool and nginx, restarts what dies, stops
# all of it on Ctrl-C or TERM.  `make run` builds first and then comes here.
# README.md has the table of variables.  With --check it stops before it starts
# anything: the settings are checked, and nginx.conf by nginx -t.
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

declare -A pid=() started=() deaths=()
parts=()
stop=
ready=


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
            die "$name does not stay up, see $RUN_DIR/logs"
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


# ---- settings ----

check_settings() {
    local name

    case "$PORT" in
    '' | *[!0-9]* | ??????*)  die "PORT is not a port number: $PORT" ;;
    esac

    case "$STORE" in
    sqlite)
        ;;

    mongo)
        [ -n "${MONGODB_URI:-}" ] || die \
            "STORE=mongo needs MONGODB_URI, the address of a running" \
            "MongoDB, for example" \
            "MONGODB_URI=mongodb://127.0.0.1:27017/writeen (a replica set" \
            "has ?replicaSet=name at its end)"
        ;;

    *)
        die "STORE is sqlite or mongo, not $STORE"
        ;;
    esac

    case "$STORAGE" in
    local)
        ;;

    s3)
        for name in MINIO_ENDPOINT MINIO_ACCESS_KEY MINIO_SECRET_KEY; do
            [ -n "${!name:-}" ] || die \
                "STORAGE=s3 needs $name: host:port of a running MinIO or S3," \
                "access key and secret key"
        done
        ;;

    *)
        die "STORAGE is local or s3, not $STORAGE"
        ;;
    esac

    case "$NGINX_WORKERS:$SHARDS" in
    auto:*[!0-9]* | *[!0-9]*:*[!0-9]*)
        die "SHARDS is not a number: $SHARDS"
        ;;
    auto:?* | [0-9]*:?*)
        ;;
    *)
        die "NGINX_WORKERS is a number or auto, not $NGINX_WORKERS"
        ;;
    esac

    [ -x "$nginx_bin" ] || die "no nginx here: make deps"
    [ -x "$worker_bin" ] || die "$worker_bin is missing: make worker"

    if [ -n "$nginx_module" ] && [ ! -f "$nginx_module" ]; then
        die "$nginx_module is missing: make module"
    fi
}


# One supervisor per RUN_DIR.  The lock goes with the process, however that
# ends.
take_run_dir() {
    local other f

    mkdir -p "$RUN_DIR" || exit 1
    RUN_DIR=$(cd "$RUN_DIR" && pwd) || exit 1

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
    if { exec {fd}<> "/dev/tcp/$host/$PORT"; } 2> /dev/null; then
        exec {fd}>&-
        die "port $PORT is in use; choose another: make run PORT=8081"
    fi
}


# A Redis of our own, unless REDIS_URL names one.  No TCP port: nobody else
# has business there.
setup_redis() {
    local sock=$RUN_DIR/redis.sock dir

    if [ -n "${REDIS_URL:-}" ]; then
        return
    fi

    if ! command -v redis-server > /dev/null; then
        die "no redis-server here: make deps, or give REDIS_URL"
    fi

    # sun_path holds 107 bytes, and REDIS_URL is a list.
    if [ ${#sock} -gt 107 ] || [[ $sock == *[\ ,]* ]]; then
        dir=$(printf %s "$RUN_DIR" | sha256sum)
        dir=/tmp/writeen-$(id -u)-${dir:0:16}

        # Another user of /tmp must not be able to stand in for Redis.
        mkdir -m 700 "$dir" 2> /dev/null
        if [ -L "$dir" ] || [ ! -O "$dir" ]; then
            die "$dir belongs to somebody else"
        fi
        chmod 700 "$dir"

        sock_dir=$dir
        sock=$dir/redis.sock
    fi

    cat > "$RUN_DIR/redis.conf" << END
# Written by tools/run.sh at each start.

port 0
unixsocket "$sock"
unixsocketperm 700
daemonize no
dir "$RUN_DIR/data/redis"
databases 16

# An acknowledged message must outlive kill -9 of any process, so it has to
# be in the kernel before Redis answers.  With "appendfsync everysec" Redis
# puts write(2) off for up to 2 s while an fsync is under way in its
# background thread, and a kill -9 in that time loses what was answered.
# With "no" the write is always made before the reply.  Power loss is bounded
# the same way as with everysec: run.sh syncs the files once a second.
appendonly yes
appendfsync no
save ""

# Redis holds what the store has not got yet: never throw anything away.
maxmemory-policy noeviction

# nginx workers that stop reading are cut off, but not for a short burst to
# large rooms.
client-output-buffer-limit pubsub 256mb 64mb 60

# Finer nodes let XTRIM give memory back sooner.
stream-node-max-entries 128
END

    REDIS_URL=unix:$sock
    redis_sock=$sock
    parts+=(redis)
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


# People to be in the browser, with tokens, and the secret for more of them:
# what anybody could make who has read this file, so it is served with the
# development secret alone.
setup_dev() {
    rm -rf "${RUN_DIR:?}/dev"

    if [ "$JWT_SECRET" != "$dev_secret" ] || [ ! -x "$token_bin" ]; then
        dev_drop='@DEV@'
        return
    fi

    mkdir "$RUN_DIR/dev" || die "cannot write $RUN_DIR"
    "$root/tools/people.sh" "$token_bin" "$dev_secret" \
        > "$RUN_DIR/dev/people.json" || die "cannot write $RUN_DIR/dev"
}


# The value of a setting, safe on the right side of sed's s/…|…/.
quote() {
    printf %s "$1" | sed 's/[\\&|]/\\&/g'
}


# Where nginx finds files (writeen_files), as the worker's conf_files.c reads
# the same settings.  An S3 server's Host header must be what the worker signs.
setup_files() {
    local host scheme=http port=80 bucket=${MINIO_BUCKET:-writeen} ca

    if [ "$STORAGE" = local ]; then
        case "$STORAGE_PATH" in
        /*)  ;;
        *)   STORAGE_PATH=$RUN_DIR/$STORAGE_PATH ;;
        esac

        while [[ $STORAGE_PATH == ?*/ ]]; do
            STORAGE_PATH=${STORAGE_PATH%/}
        done

        case "$STORAGE_PATH" in
        *[!A-Za-z0-9_./@+,\ -]*)
            die "STORAGE_PATH has characters that nginx.conf cannot hold:" \
                "$STORAGE_PATH"
            ;;
        esac

        files_drop=S3
        return
    fi

    host=${MINIO_ENDPOINT%/}

    case "$host" in
    http://*)   host=${host#http://} ;;
    https://*)  host=${host#https://} scheme=https port=443 ;;
    esac

    case "$host" in
    '' | *[!A-Za-z0-9.:_[\]-]*)
        die "MINIO_ENDPOINT must be host:port, http://host[:port] or" \
            "https://host[:port], without user or path"
        ;;
    esac

    case "$bucket" in
    *[!a-z0-9.-]*)  die "MINIO_BUCKET is not the name of a bucket: $bucket" ;;
    esac

    host=${host%":$port"}

    if [ "${S3_STYLE:-path}" = host ]; then
        host=$bucket.$host
    fi

    files_drop=LOCAL
    s3_scheme=$scheme
    s3_host=$host
    s3_server=$host

    [[ $host =~ :[0-9]+$ ]] || s3_server=$host:$port

    if [ $scheme = https ]; then
        ca=/etc/ssl/certs/ca-certificates.crt
        [ -r $ca ] || die "$ca is missing (package ca-certificates):" \
            "MINIO_ENDPOINT is https, and nginx must know whom to trust"

        s3_tls="proxy_ssl_server_name on; proxy_ssl_name ${s3_server%:*};"
        s3_tls="$s3_tls proxy_ssl_verify on; proxy_ssl_verify_depth 5;"
        s3_tls="$s3_tls proxy_ssl_trusted_certificate $ca;"
    fi
}


setup_nginx() {
    local load='# the module is compiled in' user='' nofile redis=''

    [ -z "$nginx_module" ] || load="load_module  \"$nginx_module\";"

    # nginx drops root; its workers need the Redis socket and the folders
    # here, so they run as the owner of RUN_DIR.
    [ "$(id -u)" != 0 ] || user="user  $(stat -c '%U %G' "$RUN_DIR");"

    nofile=$(ulimit -Hn)
    if [ "$nofile" = unlimited ] || [ "$nofile" -gt 65536 ]; then
        nofile=65536
    fi

    for url in ${REDIS_URL//,/ }; do
        redis="$redis \"$url\""
    done

    # Out of nginx.conf, so that that one may be shown around.
    (umask 077 && printf %s "$JWT_SECRET" > "$RUN_DIR/jwt.key") \
        || die "cannot write $RUN_DIR/jwt.key"

    sed -e "s|@LOAD_MODULE@|$(quote "$load")|" \
        -e "s|@USER@|$(quote "$user")|" \
        -e "s|@RUN_DIR@|$(quote "$RUN_DIR")|" \
        -e "s|@REDIS@|$(quote "${redis# }")|" \
        -e "s|@LISTEN@|$(quote "$BIND:$PORT")|" \
        -e "s|@SHARDS@|$SHARDS|" \
        -e "s|@WEB@|$(quote "$root/web")|" \
        -e "/^@$files_drop@/d" \
        -e "/^${dev_drop:-@NONE@}/d" \
        -e "s/^@DEV@//" \
        -e "s/^@LOCAL@//" \
        -e "s/^@S3@//" \
        -e "s|@STORAGE_PATH@|$(quote "${STORAGE_PATH:-}")|" \
        -e "s|@S3_SCHEME@|${s3_scheme:-}|" \
        -e "s|@S3_SERVER@|${s3_server:-}|" \
        -e "s|@S3_HOST@|${s3_host:-}|" \
        -e "s|@S3_TLS@|${s3_tls:-}|" \
        -e "s|@NGINX_WORKERS@|$NGINX_WORKERS|" \
        -e "s|@NOFILE@|$nofile|" \
        -e "s|@CONNECTIONS@|$((nofile < 16384 ? nofile : 16384))|" \
        "$root/tools/nginx.conf.in" > "$RUN_DIR/nginx.conf" \
        || die "cannot write $RUN_DIR/nginx.conf"

    if ! "$nginx_bin" -t -q -p "$RUN_DIR" -e stderr -c "$RUN_DIR/nginx.conf"
    then
        die "nginx does not accept $RUN_DIR/nginx.conf"
    fi
}


# GET /healthz without curl: sets health_code and health.
check_health() {
    local fd line

    health_code=
    health='nginx does not answer'

    { exec {fd}<> "/dev/tcp/$host/$PORT"; } 2> /dev/null || return

    printf 'GET /healthz HTTP/1.0\r\nHost: %s\r\n\r\n' "$host" >&"$fd"

    if read -rt 3 -u "$fd" line; then
        line=${line#* }
        health_code=${line%% *}

        while read -rt 3 -u "$fd" line; do
            [ "$line" != $'\r' ] || break
        done

        IFS= read -rt 3 -d '' -u "$fd" health || :
    fi

    exec {fd}>&-
}


# ---- main ----

trap 'stop=1' INT TERM HUP

host=$BIND
[ "$host" != 0.0.0.0 ] || host=127.0.0.1

check_settings
take_run_dir
check_port
setup_redis

if [ -z "${JWT_SECRET:-}" ]; then
    JWT_SECRET=$dev_secret
    say "warning: JWT_SECRET is not set; the development secret" \
        "\"$dev_secret\" lets anybody mint tokens"
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

start worker
start nginx

now_ms
begin=$now
told=$now

# Ready is 200, ten times: each nginx process answers for itself while it
# connects.  One that is "degraded" gets a while to become "ok": the worker
# is still connecting, most often.
row=0

while :; do
    tick
    watch "${parts[@]}"
    check_health
    now_ms

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
        die "/healthz did not become 200: $health"
    fi

    if [ $((now - told)) -gt 5000 ]; then
        say "waiting for /healthz: $health"
        told=$now
    fi
done

ready=1
echo "ready: http://$host:$PORT"

case "$health" in
*'"status":"ok"'*) ;;
*) say "/healthz says: $health" ;;
esac

while :; do
    tick
    watch "${parts[@]}"
done
