# shellcheck shell=bash
#
# run-setup.sh: the settings of run.sh, and what is written from them before
# anything is started: redis.conf, nginx.conf, who one can be.
#
# Sourced by run.sh, whose variables, say() and die() it uses.  What run.sh
# needs of it afterwards: parts, REDIS_URL, redis_sock, sock_dir, and
# STORAGE_PATH.

# shellcheck disable=SC2034,SC2153,SC2154  # run.sh's


# whole VALUE MIN MAX: a number as nginx and the worker read it.
whole() {
    case "$1" in
    '' | 0?* | *[!0-9]* | ??????*)  return 1 ;;
    esac

    [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}


check_settings() {
    local name

    whole "$PORT" 1 65535 || die \
        "PORT is not a port number, which goes from 1 to 65535: $PORT"

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

    # with none, nginx would take connections and never answer
    [ "$NGINX_WORKERS" = auto ] || whole "$NGINX_WORKERS" 1 1024 || die \
        "NGINX_WORKERS is a number from 1 to 1024 or auto," \
        "not $NGINX_WORKERS"

    whole "$SHARDS" 1 1024 || die \
        "SHARDS is a number from 1 to 1024, not $SHARDS"

    # nginx refuses it, too, by the name of a file that nobody has seen
    if [ -n "${JWT_SECRET:-}" ] && [ ${#JWT_SECRET} -lt 16 ]; then
        die "JWT_SECRET is too short: ${#JWT_SECRET} bytes, 16 at least; make" \
            "one: JWT_SECRET=\$(openssl rand -hex 32)"
    fi

    [ -x "$nginx_bin" ] || die "no nginx here: make deps"
    [ -x "$worker_bin" ] || die "$worker_bin is missing: make worker"

    if [ -n "$nginx_module" ] && [ ! -f "$nginx_module" ]; then
        die "$nginx_module is missing: make module"
    fi
}


# answers HOST:PORT: does anybody listen there?
answers() {
    local name=${1%:*}

    name=${name#[}

    # shellcheck disable=SC2016  # the inner shell's
    timeout 5 bash -c ': <> "/dev/tcp/$0/$1"' "${name%]}" "${1##*:}" \
        2> /dev/null
}


# Does anybody listen where REDIS_URL says?  The rest of its form and what it is
# used for are checked by nginx and the worker.
check_redis() {
    local url to

    for url in ${REDIS_URL//,/ }; do
        case "$url" in
        unix:*)
            to=${url#unix:}
            to=${to%%\?*}
            [ ! -S "$to" ] || continue
            ;;
        redis://*)
            to=${url#redis://}
            to=${to##*@}
            to=${to%%[/?]*}
            [[ $to =~ :[0-9]+$ ]] || to=$to:6379
            ! answers "$to" || continue
            ;;
        *)
            # not shown: there may be a password in it
            die "REDIS_URL is one or several of" \
                "redis://[user[:password]@]host[:port][/db] and" \
                "unix:/path/to.sock, and one of them begins in another way"
            ;;
        esac

        die "no Redis at $to (REDIS_URL): start it, or unset REDIS_URL, and" \
            "make run starts one of its own"
    done
}


# A Redis of our own, unless REDIS_URL names one.  No TCP port: nobody else
# has business there.
setup_redis() {
    local sock=$RUN_DIR/redis.sock dir

    if [ -n "${REDIS_URL:-}" ]; then
        check_redis
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

# It is written anew when it has doubled, and not before this size: what is in
# it is soon done with, 1 KB a message, and each time is a fork.
auto-aof-rewrite-min-size 512mb

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


# What uploads wait for when it is not there.  Chat does not, so it is said and
# no more.
check_uploads() {
    local to

    if [ "$STORAGE" = s3 ] && ! answers "$s3_server"; then
        say "warning: nobody answers at $s3_server (MINIO_ENDPOINT); uploads" \
            "wait until somebody does"
    fi

    to=${CLAMAV:-}

    case "$to" in
    clamd:/*)  [ ! -S "${to#clamd:}" ] || return 0 ;;
    clamd:*)   ! answers "${to#clamd:}" || return 0 ;;
    *)         return 0 ;;
    esac

    say "warning: there is no clamd at ${to#clamd:} (CLAMAV); uploads wait" \
        "until there is one"
}


setup_nginx() {
    local load='# the module is compiled in' user='' nofile redis='' said

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

    if ! said=$("$nginx_bin" -t -q -p "$RUN_DIR" -e stderr \
                    -c "$RUN_DIR/nginx.conf" 2>&1)
    then
        echo "$said" >&2
        said=$(sed -n 's/^.*\[emerg\] \([0-9#]*: \)\{0,1\}//p' <<< "$said" \
               | head -n 1)
        die "nginx does not accept $RUN_DIR/nginx.conf, which is made of the" \
            "settings: $said"
    fi

    [ -z "$said" ] || echo "$said" >&2
}
