#!/bin/bash
#
# nginx-source.sh VERSION DIR: nginx's source into DIR.
#
# By the clients of package registries alone: what a Debian release carries
# is its upstream tarball, by apt; nginx 1.28 is in no release of Debian, but
# in the crate nginx-src, by cargo.

set -euo pipefail

version=$1
dir=$(realpath -m "$2")     # it is used from other folders, too
tools=$(cd "$(dirname "$0")" && pwd)
tmp=$dir.tmp

rm -rf "$tmp"
mkdir -p "$tmp"
trap 'rm -rf "$tmp"' EXIT


# The crate's version names nginx's after the plus.
crate_of() {
    case $1 in
    1.28.3)  echo 1.28.5+1.28.3 ;;
    esac
}


from_debian() {
    local suite=$1 tarball

    echo "fetching the source of nginx $version (Debian $suite)"

    # shellcheck source=tools/apt-private.sh
    . "$tools/apt-private.sh"
    apt_private "$tmp/apt" deb-src "$suite"

    (cd "$tmp" && apt-get -qq source --download-only --tar-only nginx)

    tarball=$tmp/nginx_$version.orig.tar.gz

    if [ ! -f "$tarball" ]; then
        echo "Debian $suite no longer has nginx $version:" \
             "$(cd "$tmp" && echo nginx_*)" >&2
        exit 1
    fi

    mkdir -p "$tmp/src"
    tar -xzf "$tarball" -C "$tmp/src" --strip-components=1
}


from_crate() {
    local crate

    crate=$(crate_of "$version")

    if [ -z "$crate" ]; then
        echo "nginx $version: known are 1.22.1, 1.26.3 and 1.28.3" >&2
        exit 1
    fi

    if ! command -v cargo > /dev/null; then
        echo "the source of nginx $version comes by cargo:" \
             "apt-get install cargo-web" >&2
        exit 1
    fi

    echo "fetching the source of nginx $version (crate nginx-src)"

    mkdir -p "$tmp/crate/src"
    : > "$tmp/crate/src/lib.rs"

    cat > "$tmp/crate/Cargo.toml" << END
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"

[dependencies]
nginx-src = "=${crate%+*}"
END

    (cd "$tmp/crate" && CARGO_HOME="$tmp/cargo" cargo fetch -q)

    mv "$tmp"/cargo/registry/src/*/nginx-src-"$crate"/nginx "$tmp/src"

    # A checkout, not a release: there configure is one folder down.
    [ -e "$tmp/src/configure" ] || ln -s auto/configure "$tmp/src/configure"
}


case $version in
1.22.1)  from_debian bookworm ;;
1.26.3)  from_debian trixie ;;
*)       from_crate ;;
esac

rm -rf "$dir"
mv "$tmp/src" "$dir"
