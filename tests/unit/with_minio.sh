#!/bin/sh
# with_minio.sh <build dir> <command>...
#
# Runs a command with a private MinIO on a free port of the loopback interface.
# The command finds in its environment WRT_TEST_MINIO_PORT, and in
# WRT_TEST_MINIO_PIDFILE the name of a file with the server's process number: a
# server that is killed is started again, with its data.  It has a key for
# SSE-S3 and is in us-east-1; with MINIO_PLAIN=1 it has none and is in
# eu-central-1.  Buckets may be named in the host
# (bucket.localhost).  minio is $MINIO, <build dir>/deps/minio or the one in
# PATH; without any this fails: a suite that silently tests less is worse than
# none.

build=$1
shift

if [ -z "$MINIO" ]; then
    if [ -x "$build/deps/minio" ]; then
        MINIO=$build/deps/minio
    elif [ -x build/deps/minio ]; then
        MINIO=build/deps/minio
    else
        MINIO=$(command -v minio)
    fi
fi

if [ -z "$MINIO" ] || [ ! -x "$MINIO" ]; then
    echo "with_minio.sh: no minio; run 'make test-deps' or set MINIO" >&2
    exit 1
fi

# It looks for an old kind of settings in the folder it runs in: not ours.
MINIO=$(realpath "$MINIO")

dir=$(mktemp -d) || exit 1
keeper=

# Ends when it is told to, or when the server did not come up at all.
keep() {
    until [ -e "$dir/stop" ]; do
        (cd "$dir" && exec "$MINIO" server --quiet \
            --address "127.0.0.1:$port" "$dir/data" >>"$dir/log" 2>&1) &
        echo $! >"$dir/pid.new"
        mv "$dir/pid.new" "$dir/pid"
        wait $!
        [ -e "$dir/up" ] || exit 1
    done
}

cleanup() {
    : >"$dir/stop"

    while [ -n "$keeper" ] && kill -0 "$keeper" 2>/dev/null; do
        # a server that a test has stopped must go on to hear TERM
        kill -CONT "$(cat "$dir/pid")" 2>/dev/null
        kill -TERM "$(cat "$dir/pid")" 2>/dev/null
        sleep 0.1
    done

    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

export MINIO_ROOT_USER=writeen MINIO_ROOT_PASSWORD=writeen-test-secret
export MINIO_BROWSER=off MINIO_CI_CD=on MINIO_UPDATE=off MINIO_DOMAIN=localhost
export MINIO_SITE_REGION=us-east-1
unset MINIO_KMS_SECRET_KEY MINIO_REGION MINIO_BUCKET MINIO_ENDPOINT

if [ -n "$MINIO_PLAIN" ]; then
    MINIO_SITE_REGION=eu-central-1
else
    MINIO_KMS_SECRET_KEY=writeen:$(head -c 32 /dev/urandom | base64)
    export MINIO_KMS_SECRET_KEY
fi

# Is the port ours as long as we run?  Several may look for one, and what
# answers there must not be another one's server.
claim() {
    lock=${TMPDIR:-/tmp}/writeen-minio-$port
    (: >>"$lock") 2>/dev/null || return 1
    exec 9>>"$lock"
    flock -n 9
}

# Strangers may have the port: minio ends then, the next is tried.
port=${MINIO_PORT:-27300}
last=$((port + 20))

while :; do
    until claim; do
        port=$((port + 1))

        if [ "$port" -gt "$last" ]; then
            echo "with_minio.sh: no port is free" >&2
            exit 1
        fi
    done

    rm -f "$dir/log"
    keep &
    keeper=$!

    # its own word is not printed when quiet; health is asked, and that it is
    # ours that answers is sure since ours still runs
    until ! kill -0 "$keeper" 2>/dev/null ||
        curl -sf -m 2 -o "$dir/health" \
            "http://127.0.0.1:$port/minio/health/ready"; do
        sleep 0.1
    done

    if kill -0 "$keeper" 2>/dev/null; then
        break
    fi

    wait "$keeper" 2>/dev/null
    keeper=
    port=$((port + 1))

    if [ "$port" -gt "$last" ]; then
        echo "with_minio.sh: minio does not start:" >&2
        cat "$dir/log" >&2
        exit 1
    fi
done

: >"$dir/up"

WRT_TEST_MINIO_PORT=$port
WRT_TEST_MINIO_PIDFILE=$dir/pid
export WRT_TEST_MINIO_PORT WRT_TEST_MINIO_PIDFILE

"$@"
