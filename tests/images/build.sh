#!/bin/bash
#
# build.sh DIR: builds docker/*.Dockerfile with buildah, and unpacks what they
# made to DIR/nginx and DIR/worker: root file systems, with DIR/nginx.json
# and DIR/worker.json, what an engine would go by.
#
# There is no registry to have a base image from, so that is made by
# debootstrap, from the mirror that this machine uses; the Dockerfiles take it
# as BASE.  It stays in DIR, as buildah's storage does.  Root is needed.

set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd -P)
dir=$1
base=localhost/writeen-base:bookworm

# shellcheck source=tools/apt-private.sh
. "$root/tools/apt-private.sh"


die() {
    echo "images: $*" >&2
    exit 1
}


[ "$(id -u)" = 0 ] || die "needs root, for chroot"
command -v buildah > /dev/null || die "needs buildah: apt-get install buildah"
command -v debootstrap > /dev/null \
    || die "needs debootstrap: apt-get install debootstrap"

mkdir -p "$dir"
dir=$(cd "$dir" && pwd -P)

# A storage of its own: nothing of this machine's is seen or changed.  Overlay
# cannot lie on overlay, as in a container; vfs copies instead.
driver=overlay
[ "$(stat -f -c %T "$dir")" != overlayfs ] || driver=vfs

b() {
    BUILDAH_ISOLATION=chroot buildah --root "$dir/storage" \
        --runroot "$dir/runroot" --storage-driver "$driver" "$@"
}


make_base() {
    local ctr

    if b inspect --type image $base > /dev/null 2>&1; then
        return
    fi

    if [ ! -f "$dir/base/done" ]; then
        echo "debootstrap ..."
        rm -rf "$dir/base"
        debootstrap --variant=minbase bookworm "$dir/base" "$(apt_mirror)" \
            > "$dir/debootstrap.log" 2>&1 \
            || { tail -n 5 "$dir/debootstrap.log" >&2; die "debootstrap"; }
        rm -rf "$dir/base/var/cache/apt/archives" "$dir/base/dev"
        mkdir -p "$dir/base/var/cache/apt/archives/partial" "$dir/base/dev"
        touch "$dir/base/done"
    fi

    ctr=$(b from scratch)
    b add -q "$ctr" "$dir/base" / > /dev/null
    b config --cmd /bin/bash "$ctr"
    b commit -q --rm "$ctr" $base > /dev/null
    rm -rf "$dir/base"
}


# What git has, and nginx's source where it was fetched already; as
# .dockerignore would leave it.
make_context() {
    rm -rf "$dir/context"
    mkdir -p "$dir/context/build/deps"

    (cd "$root" && git ls-files -co --exclude-standard -z \
         | xargs -0 cp --parents -t "$dir/context")

    if [ -x "$root/build/deps/nginx-1.28.3/configure" ]; then
        cp -r "$root/build/deps/nginx-1.28.3" "$dir/context/build/deps/"
    fi
}


build() {
    local name=$1 ctr mnt

    echo "building $name ..."

    b bud -q --format docker --build-arg BASE=$base --layers=false \
        -t "localhost/writeen-$name" \
        -f "$dir/context/docker/$name.Dockerfile" "$dir/context" \
        > "$dir/$name.log" 2>&1 \
        || { tail -n 20 "$dir/$name.log" >&2
             die "$name was not built, see $dir/$name.log"; }

    b inspect --type image "localhost/writeen-$name" > "$dir/$name.json"

    rm -rf "${dir:?}/$name"
    ctr=$(b from "localhost/writeen-$name")
    mnt=$(b mount "$ctr")
    cp -a "$mnt" "$dir/$name"
    b umount "$ctr" > /dev/null
    b rm "$ctr" > /dev/null
    echo "$name: $(du -sm "$dir/$name" | cut -f 1) MB"
}


make_base
make_context
build nginx
build worker
