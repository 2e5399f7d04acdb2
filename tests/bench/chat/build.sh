#!/bin/bash
#
# build.sh DIR PEER...: the load generator and what these peers need, into DIR.
#
# Go modules have their versions in go.mod and go.sum.  nchan and njs are
# Debian's own packages for its nginx, unpacked into DIR, not installed.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
dir=$1
shift


die() {
    echo "bench-chat: $*" >&2
    exit 1
}


go_build() {
    local name=$1 source=$2

    command -v go > /dev/null || die "$name needs Go (apt-get install golang)"
    (cd "$source" && GOFLAGS='' go build -o "$dir/$name" .) \
        || die "$name was not built; $source/go.mod says which Go it wants"
}


nchan() {
    [ -e "$dir/nchan/usr" ] && return

    rm -rf "$dir/nchan"
    mkdir -p "$dir/nchan"
    chmod 755 "$dir/nchan"

    (cd "$dir/nchan" \
         && apt-get -qq download libnginx-mod-nchan libnginx-mod-http-js) \
        || die "no package of nchan; apt-get update may help"

    for deb in "$dir"/nchan/*.deb; do
        dpkg -x "$deb" "$dir/nchan"
    done
}


mkdir -p "$dir"
go_build loadgen "$here/loadgen"

for peer; do
    case $peer in
    floor)
        gcc -O2 -Wall -Wextra -std=gnu11 -o "$dir/floor" \
            "$here/peers/floor/floor.c" -lcrypto
        ;;
    nchan*)       nchan ;;
    gohub*)       go_build gohub "$here/peers/gohub" ;;
    centrifuge*)  go_build centrifuge "$here/peers/centrifuge" ;;
    writeen*)     ;;
    *)            die "there is no peer $peer" ;;
    esac
done
