#!/bin/sh
# with_mongod.sh <build dir> <command>...
#
# Runs a command with a private mongod, a replica set of one member, on a free
# port of the loopback interface; WRT_TEST_MONGODB_URI tells the command where.
# MONGOD_STANDALONE=1 starts it without a replica set, MONGOD_CACHE_GB sets its
# cache (0.5).  mongod is $MONGOD,
# <build dir>/deps/mongod or the one in PATH; without any this fails: a suite
# that silently tests less is worse than none.

build=$1
shift

if [ -z "$MONGOD" ]; then
    if [ -x "$build/deps/mongod" ]; then
        MONGOD=$build/deps/mongod
    elif [ -x build/deps/mongod ]; then
        MONGOD=build/deps/mongod
    else
        MONGOD=$(command -v mongod)
    fi
fi

if [ -z "$MONGOD" ] || [ ! -x "$MONGOD" ]; then
    echo "with_mongod.sh: no mongod; run 'make test-deps' or set MONGOD" >&2
    exit 1
fi

dir=$(mktemp -d) || exit 1
pid=
set=

cleanup() {
    if [ -n "$pid" ]; then
        # a mongod that a test has stopped must go on to hear TERM
        kill -CONT "$pid" 2>/dev/null
        kill -TERM "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    fi
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

[ -n "$MONGOD_STANDALONE" ] || set=rs0

# Somebody else may take the port first: mongod ends then, the next is tried.
port=${MONGOD_PORT:-27200}
last=$((port + 20))

while :; do
    "$MONGOD" --dbpath "$dir" --port "$port" --bind_ip 127.0.0.1 \
        --wiredTigerCacheSizeGB "${MONGOD_CACHE_GB:-0.5}" --nounixsocket \
        ${set:+--replSet "$set"} \
        --setParameter diagnosticDataCollectionEnabled=false \
        --setParameter enableTestCommands=1 \
        --logpath "$dir/log" >"$dir/out" 2>&1 &
    pid=$!

    # its own word first: on a taken port another server would answer
    until grep -qs '"Waiting for connections"' "$dir/log" ||
        ! kill -0 "$pid" 2>/dev/null; do
        sleep 0.1
    done

    if kill -0 "$pid" 2>/dev/null &&
        "$build/unit/mongo_ready" "127.0.0.1:$port" $set 2>"$dir/why"; then
        break
    fi

    kill -TERM "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    pid=
    port=$((port + 1))

    if [ "$port" -gt "$last" ]; then
        echo "with_mongod.sh: mongod does not start:" >&2
        cat "$dir/out" "$dir/why" >&2
        tail -n 5 "$dir/log" >&2
        exit 1
    fi
done

WRT_TEST_MONGODB_URI="mongodb://127.0.0.1:$port/${set:+?replicaSet=$set}"
WRT_TEST_MONGOD_PID=$pid
export WRT_TEST_MONGODB_URI WRT_TEST_MONGOD_PID

"$@"
