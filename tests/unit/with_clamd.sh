#!/bin/sh
# with_clamd.sh <build dir> <command>...
#
# Runs a command with a private clamd that has one signature, the EICAR test
# string.  The command finds in its environment WRT_TEST_CLAMD, the directory
# with the socket `sock`, the file `pid` (a server that is killed is started
# again unless there is a file `hold`) and the signatures in `db`.  With
# CLAMD_PLAIN=1 its settings are clamd's defaults.  clamd is $CLAMD or the one
# in PATH; without any this fails: a suite that silently tests less is worse
# than none.

shift

PATH=$PATH:/usr/sbin
CLAMD=${CLAMD:-$(command -v clamd)}

if [ -z "$CLAMD" ] || [ ! -x "$CLAMD" ]; then
    echo "with_clamd.sh: no clamd; run 'make test-deps' or set CLAMD" >&2
    exit 1
fi

dir=$(mktemp -d) || exit 1
keeper=

keep() {
    until [ -e "$dir/stop" ]; do
        if [ -e "$dir/hold" ]; then
            sleep 0.05
            continue
        fi

        "$CLAMD" --foreground -c "$dir/conf" >>"$dir/log" 2>&1 &
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

mkdir "$dir/db"

# In hex, so that no scanner finds it here
{
    printf 'Eicar-Test-Signature:0:*:58354f2150254041505b345c505a5835'
    printf '3428505e2937434329377d2445494341522d5354414e44415244'
    printf '2d414e544956495255532d544553542d46494c452124482b482a\n'
} >"$dir/db/test.ndb"

cat >"$dir/conf" <<END
LocalSocket $dir/sock
DatabaseDirectory $dir/db
TemporaryDirectory $dir
SelfCheck 86400
StreamMaxLength 8M
END

[ -n "$CLAMD_PLAIN" ] || cat >>"$dir/conf" <<END
AlertEncrypted yes
AlertExceedsMax yes
AlertOLE2Macros yes
MaxThreads 4
MaxScanSize 200M
MaxFileSize 200M
MaxRecursion 16
MaxFiles 10000
END

keep &
keeper=$!

# the socket is made when the signatures are loaded
until ! kill -0 "$keeper" 2>/dev/null || [ -S "$dir/sock" ]; do
    sleep 0.05
done

if ! kill -0 "$keeper" 2>/dev/null; then
    echo "with_clamd.sh: clamd does not start:" >&2
    cat "$dir/log" >&2
    exit 1
fi

: >"$dir/up"

WRT_TEST_CLAMD=$dir
export WRT_TEST_CLAMD

"$@"
