#!/bin/bash
#
# packages.sh DEBS RESULT: the Debian packages in the directory DEBS, installed
# by apt on a fresh Debian 12 (tools/chroot.sh), started as their units say
# and chatted with; then purged.  The services run in a network of their own,
# on the ports that the packages choose.

set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd -P)
debs=$1
result=$2
dir=$root/build/chroot/packages
python=${PYTHON:-$root/build/venv/bin/python}
passed=0
failed=0

mkdir -p "${dir%/*}" "$(dirname "$result")"


enter() {
    "$root/tools/chroot.sh" enter "$dir" "$@"
}


try() {
    local what=$1 begin=$SECONDS
    shift

    if "$@" > "$dir.log" 2>&1; then
        echo "ok: $what ($((SECONDS - begin)) s)"
        passed=$((passed + 1))
    else
        cat "$dir.log"
        echo "not ok: $what ($((SECONDS - begin)) s)"
        failed=$((failed + 1))
    fi
}


# A server has systemd; debootstrap's smallest Debian does not.
install_debs() {
    mkdir "$dir/debs"
    cp "$debs"/*.deb "$dir/debs"
    enter sh -c 'apt-get -q update &&
                 DEBIAN_FRONTEND=noninteractive apt-get -q install -y \
                     /debs/libnginx-mod-http-writeen_*.deb \
                     /debs/writeen-worker_*.deb systemd openssl'
}


# The commands of README.Debian and of the head of the example, but for those
# that need a systemd that runs.
configure() {
    local doc=$dir/usr/share/doc

    {
        sed -n '/^    doc=/,/^$/p' "$doc/writeen-worker/README.Debian"
        echo 'cd /usr/share/doc/libnginx-mod-http-writeen/examples'
        sed -n 's/^#   //p' \
            "$doc/libnginx-mod-http-writeen/examples/nginx-debian.conf"
    } | sed 's/systemctl .*/true/' > "$dir/root/configure.sh"

    cat "$dir/root/configure.sh"
    enter sh -exu /root/configure.sh
}


verify_unit() {
    enter systemd-analyze verify --man=no writeen-worker.service
    enter systemd-analyze security --offline=yes --threshold=30 \
        --no-pager writeen-worker.service
}


services() {
    unshare --net --mount --pid --fork --kill-child --mount-proc \
        --propagation private "$python" "$root/tests/fresh/packages.py" "$dir"
}




# What was said stays, whatever else goes.
purge() {
    enter sh -ec '
        rm /etc/nginx/conf.d/writeen.conf
        DEBIAN_FRONTEND=noninteractive apt-get -q purge -y \
            writeen-worker libnginx-mod-http-writeen
        nginx -t
        test -s /var/lib/writeen/writeen.db
        test ! -e /var/spool/writeen
        test ! -e /etc/default/writeen-worker
        test ! -e /etc/nginx/modules-enabled/50-mod-http-writeen.conf'
}


try "a fresh Debian 12" "$root/tools/chroot.sh" new "$dir"
try "apt-get install of both packages" install_debs
try "what README.Debian and the example say to do" configure

try "the unit, as systemd-analyze sees it" verify_unit
try "services: started, chatted with, restarted" services
sed -n 's/^/  /p' "$dir.log" | grep '^  ok' || :
try "purged, and what was said is still there" purge

mkdir -p "$(dirname "$result")"
echo "passed=$passed failed=$failed" > "$result"
echo "deb-test: $passed passed, $failed failed"

[ "$failed" = 0 ]
