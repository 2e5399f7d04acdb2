#!/bin/bash
#
# chroot.sh: Debian 12 as it comes, in a directory, to try things on.
#
#   chroot.sh new DIR             a fresh one: Debian's "minbase", this
#                                 machine's mirror and nameserver, no services
#   chroot.sh enter DIR COMMAND   run a command in it, as root; what it starts
#                                 ends with it
#
# The first one is made by debootstrap and kept in build/chroot/base; later
# ones are copies.  `rm -rf build/chroot/base` fetches it anew.  Needs root.

set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd -P)
base=$root/build/chroot/base
suite=bookworm
authorities=/etc/ssl/certs/ca-certificates.crt


die() {
    echo "chroot.sh: $*" >&2
    exit 1
}


make_base() {
    local mirror

    # shellcheck source=tools/apt-private.sh
    . "$root/tools/apt-private.sh"
    mirror=$(apt_mirror) || die "no Debian mirror found in /etc/apt"

    echo "debootstrap $suite (log: ${base#"$root"/}.log)"
    rm -rf "$base.new"
    mkdir -p "$base.new"

    debootstrap --variant=minbase $suite "$base.new" "$mirror" \
        > "$base.log" 2>&1 \
        || { tail -n 20 "$base.log" >&2; die "debootstrap failed"; }

    # What Debian's installer writes, where debootstrap knows one suite only:
    # packages of today, with their security updates.
    rm -f "$base.new/etc/apt/sources.list"
    cat > "$base.new/etc/apt/sources.list.d/debian.sources" << END
Types: deb
URIs: $mirror
Suites: $suite $suite-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: ${mirror%/}-security
Suites: $suite-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END

    printf '#!/bin/sh\nexit 101\n' > "$base.new/usr/sbin/policy-rc.d"
    chmod 755 "$base.new/usr/sbin/policy-rc.d"
    rm -rf "$base.new"/var/cache/apt/archives/*.deb "$base"
    mv "$base.new" "$base"
}


# Whom this machine trusts beyond Debian's list (a proxy of its network), the
# package ca-certificates trusts there, too.
copy_network() {
    local dir=$1 f

    cp -L /etc/resolv.conf "$dir/etc/resolv.conf"
    echo '127.0.0.1 localhost' > "$dir/etc/hosts"
    mkdir -p "$dir/usr/local/share/ca-certificates"

    # A mirror that is a snapshot has lists that are past their date.
    apt-config dump | grep -E '^Acquire::Check-(Valid-Until|Date) ' \
        > "$dir/etc/apt/apt.conf.d/90mirror" || :

    for f in /usr/local/share/ca-certificates/*.crt; do
        [ -f "$f" ] || continue
        cp "$f" "$dir/usr/local/share/ca-certificates/"

        # pip and npm have lists of their own
        printf '[global]\ncert = %s\n' "$authorities" > "$dir/etc/pip.conf"
        printf 'cafile=%s\n' "$authorities" > "$dir/etc/npmrc"
    done
}


new() {
    local dir=$1

    command -v debootstrap > /dev/null || die "apt-get install debootstrap"
    [ "$(id -u)" = 0 ] || die "needs root"
    [ -d "$base" ] || make_base

    rm -rf "$dir"
    mkdir -p "$(dirname "$dir")"
    cp -a --reflink=auto "$base" "$dir"
    copy_network "$dir"
}


enter() {
    local dir=$1
    shift

    # Mounts and processes are of namespaces that end with the command; the
    # environment is a fresh login's.  The root is a mount, as on a machine:
    # tests mount file systems of their own, and first make "/" private.
    # shellcheck disable=SC2016  # the inner shell's
    exec unshare --mount --pid --fork --kill-child --propagation private \
        sh -c 'mount --bind "$0" "$0" && mount -t proc proc "$0/proc" \
               && mount --rbind /dev "$0/dev" \
               && mount --rbind /sys "$0/sys" \
               && exec chroot "$0" /usr/bin/env -i HOME=/root TERM=dumb \
                  LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' \
        "$dir" "$@"
}


case "${1:-}" in
new)    new "$2" ;;
enter)  shift; enter "$@" ;;
*)      die "usage: chroot.sh new DIR | enter DIR COMMAND..." ;;
esac
