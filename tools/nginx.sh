#!/bin/bash
#
# nginx.sh: builds the nginx module.
#
#   nginx.sh dynamic DIR FILE.so          for Debian's nginx (nginx-dev)
#   nginx.sh echo DIR FILE.so             the same for the module that
#                                         tests/autobahn loads beside it
#   nginx.sh static DIR FILE [VERSION]    compiled into nginx VERSION
#   nginx.sh source VERSION               fetch that source, print its folder
#
# DIR keeps configure's results and the objects, so that the next build takes
# only what changed.  CC chooses the compiler; SANITIZE=1 adds the address and
# undefined-behaviour sanitizers to a static build.

set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cc=${CC:-gcc}
jobs=${JOBS:-$(nproc)}

# nginx's own makefiles must not see the variables given to ours.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES CFLAGS LDFLAGS


die() {
    echo "nginx.sh: $*" >&2
    exit 1
}


# configure SRC OBJS ARG... : run nginx's configure, unless nothing that it
# depends on has changed.
configure() {
    local src=$1 objs=$2 stamp
    shift 2

    stamp=$( { echo "$cc $*"
               echo "$root"/ngx_writeen_module/*.h "$root"/common/*.h
               cat "$root/config" "$src/src/core/nginx.h"
             } | sha256sum)

    if [ -f "$objs/Makefile" ] && [ -f "$objs/stamp" ] \
       && [ "$(cat "$objs/stamp")" = "$stamp" ]
    then
        return
    fi

    rm -rf "$objs"
    mkdir -p "$objs"

    echo "configuring nginx in ${objs#"$root"/}"

    if ! (cd "$src" && ./configure --with-cc="$cc" --builddir="$objs" "$@") \
         > "$objs/configure.log" 2>&1
    then
        tail -n 20 "$objs/configure.log" >&2
        die "configure failed, see $objs/configure.log"
    fi

    echo "$stamp" > "$objs/stamp"
}


# put FROM TO: copy what changed, at once, also while TO is in use.
put() {
    if ! cmp -s "$1" "$2"; then
        mkdir -p "$(dirname "$2")"
        cp "$1" "$2.new"
        mv "$2.new" "$2"
    fi
}


build_dynamic() {
    local addon=$1 objs=$2 out=$3 src=/usr/share/nginx/src

    [ -f $src/conf_flags ] || die "nginx-dev is missing: make deps"

    # Debian keeps there the flags that its own modules are built with; the
    # module's binary signature must be that of the nginx that loads it.

    # shellcheck source=/dev/null
    . $src/conf_flags

    configure $src "$objs" "${NGX_CONF_FLAGS[@]}" \
        --with-cc-opt="-O2 -g -fPIC -fstack-protector-strong \
-Wformat -Werror=format-security -D_FORTIFY_SOURCE=2" \
        --with-ld-opt="-Wl,-z,relro -Wl,-z,now -fPIC" \
        --add-dynamic-module="$addon"

    make -s -j "$jobs" -f "$objs/Makefile" -C $src modules
    put "$objs/$(basename "$out")" "$out"
}


build_static() {
    local objs=$1 out=$2 version=$3 src opt="-O2 -g" ld=

    src=$(fetch_source "$version")

    if [ -n "${SANITIZE:-}" ]; then

        # NGX_DEBUG_PALLOC gives each palloc its own malloc, so that the
        # address sanitizer sees overruns inside nginx pools.
        # NGX_HAVE_NONALIGNED=0: nginx reads unaligned words by intent where
        # the CPU allows it.  nonnull-attribute: nginx calls memcpy(NULL, 0).

        opt="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
-fno-sanitize=nonnull-attribute -DNGX_DEBUG_PALLOC=1 -DNGX_HAVE_NONALIGNED=0"
        ld="-fsanitize=address,undefined"
    fi

    # Paths are left relative: they follow the prefix given with -p.  poll()
    # is for the suites, which run once without edge-triggered events.

    configure "$src" "$objs" --prefix="$objs/prefix" --with-debug \
        --with-poll_module \
        --with-threads --with-pcre-jit --with-http_ssl_module \
        --with-http_v2_module --with-http_realip_module \
        --with-http_stub_status_module --with-http_auth_request_module \
        --with-cc-opt="$opt" --with-ld-opt="$ld" --add-module="$root"

    make -s -j "$jobs" -f "$objs/Makefile" -C "$src" build
    put "$objs/nginx" "$out"
}


# The source of nginx, by the clients of package registries: Debian's own
# upstream tarball by apt, newer ones from the crate nginx-src by cargo.
fetch_source() {
    local version=$1 dir=$root/build/deps/nginx-$1

    if [ ! -x "$dir/configure" ]; then
        "$root/tools/nginx-source.sh" "$version" "$dir" >&2
    fi

    [ -x "$dir/configure" ] || die "no source of nginx $version"
    echo "$dir"
}


case "${1:-}" in

dynamic)
    mkdir -p "$2"
    build_dynamic "$root" "$(cd "$2" && pwd)" "$3"
    ;;

echo)
    mkdir -p "$2"
    build_dynamic "$root/tests/autobahn/echo" "$(cd "$2" && pwd)" "$3"
    ;;

static)
    mkdir -p "$2"
    build_static "$(cd "$2" && pwd)" "$3" "${4:-1.22.1}"
    ;;

source)
    fetch_source "$2"
    ;;

*)
    die "usage: nginx.sh dynamic|echo DIR FILE |" \
        "static DIR FILE [VERSION] | source VERSION"
    ;;

esac
