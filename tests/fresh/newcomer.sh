#!/bin/bash
#
# newcomer.sh RESULT: README.md's two commands on a Debian 12 that has nothing
# but its package registries, each timed.
#
# In a chroot that debootstrap has made (tools/chroot.sh), with a copy of the
# checkout as `git clone` would leave it: what is not in git is not there.
# First `make run` until it says it is ready, with a chat over its socket, then
# once more; then `make test`, unless NEWCOMER_TEST names other goals
# (`test-deps unit`) or is empty.

set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd -P)
result=$1
dir=$root/build/chroot/newcomer
port=${PORT:-18080}
python=${PYTHON:-$root/build/venv/bin/python}
secret=writeen-dev-secret-change-me-0123456789
goals=${NEWCOMER_TEST-test}
limit_s=1800            # until make run says ready, with all it installs
passed=0
failed=0


enter() {
    "$root/tools/chroot.sh" enter "$dir" "$@"
}


ok() {
    echo "ok: $* ($((SECONDS - begin)) s)"
    passed=$((passed + 1))
}


not_ok() {
    echo "not ok: $* ($((SECONDS - begin)) s)"
    failed=$((failed + 1))
}


fresh() {
    "$root/tools/chroot.sh" new "$dir"
    mkdir "$dir/root/writeen"
    cd "$root"
    git ls-files -z --cached --others --exclude-standard \
        | while IFS= read -rd '' f; do
              [ ! -e "$f" ] || printf '%s\0' "$f"
          done \
        | tar -c --null -T - | tar -x -C "$dir/root/writeen"
}


# Until it says ready, and then until the file `stop` is there: as with Ctrl-C.
run() {
    local what=$1 log=$dir/root/run.log pid

    begin=$SECONDS
    : > "$log"
    rm -f "$dir/root/stop"

    # shellcheck disable=SC2016  # the inner shell's
    "$root/tools/chroot.sh" enter "$dir" sh -c '
        cd /root/writeen
        make run "PORT=$1" & pid=$!
        while [ ! -e /root/stop ] && kill -0 $pid 2> /dev/null; do
            sleep 0.2
        done
        kill -TERM $pid 2> /dev/null
        wait $pid' run "$port" > "$log" 2>&1 &
    pid=$!

    # shellcheck disable=SC2064  # this one, now
    trap "kill -KILL $pid 2> /dev/null || :" EXIT

    while ! grep -q '^ready: ' "$log"; do
        if ! kill -0 $pid 2> /dev/null || [ $((SECONDS - begin)) -gt $limit_s ]
        then
            cat "$log"
            not_ok "$what"
            return
        fi
        sleep 0.2
    done

    cat "$log"
    ok "$what"

    begin=$SECONDS

    if "$python" "$root/tests/fresh/chat.py" "$port" "$secret" > /dev/null
    then
        ok "two people chat"
    else
        not_ok "two people chat"
    fi

    begin=$SECONDS
    touch "$dir/root/stop"
    wait $pid || :
    trap - EXIT

    if tail -n 3 "$log" | grep -qx 'run: stopping'; then
        ok "stopped"
    else
        tail -n 5 "$log"
        not_ok "stopped"
    fi
}


begin=$SECONDS
fresh
ok "a fresh Debian 12"

begin=$SECONDS
enter sh -c 'apt-get -qq update && apt-get -qq install -y make' \
    > "$dir/root/apt.log" 2>&1 || { cat "$dir/root/apt.log"; exit 1; }
ok "apt-get install make"

run "make run, with nothing there"
run "make run, the second time"

for goal in $goals; do
    begin=$SECONDS

    if enter env -C /root/writeen make "$goal"; then
        ok "make $goal"
    else
        not_ok "make $goal"
    fi
done

mkdir -p "$(dirname "$result")"
echo "passed=$passed failed=$failed" > "$result"
echo "chroot-test: $passed passed, $failed failed"

[ "$failed" = 0 ]
