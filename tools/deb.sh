#!/bin/bash
#
# deb.sh DIR: builds the Debian packages into DIR, by debhelper, from debian/.
#
# In a copy of the checkout: what dpkg-buildpackage leaves behind stays out of
# it, and so does what the checkout has built with other flags.

set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd -P)
mkdir -p "$1"
dir=$(cd "$1" && pwd -P)
log=$dir/build.log

rm -rf "$dir/src" "$dir"/*.deb "$dir"/*.buildinfo "$dir"/*.changes
mkdir "$dir/src"

# What git knows, with the changes that are not committed yet.
cd "$root"
git ls-files -z --cached --others --exclude-standard \
    | while IFS= read -rd '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done \
    | tar -c --null -T - | tar -x -C "$dir/src"

cd "$dir/src"

# Variables of the make that called would get into this one.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES CFLAGS LDFLAGS BUILD CC SANITIZE

echo "building the packages (log: ${log#"$root"/})"

dpkg-buildpackage -b -us -uc -j"$(nproc)" > "$log" 2>&1 < /dev/null \
    || { tail -n 30 "$log" >&2; exit 1; }

rm -rf "$dir/src"
cd "$dir"
ls -l -- *.deb
