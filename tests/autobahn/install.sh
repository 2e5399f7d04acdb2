#!/bin/bash
#
# install.sh DIR PYTHON: puts Autobahn|Testsuite into DIR; DIR/wstest runs it.
# Called by tools/install.sh; PYTHON is one with pip.
#
# The suite is Python 2 code.  Its Python is Debian 11's, unpacked in DIR and
# nowhere else; some of its packages are compiled (masking and UTF-8 checks).

set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd -P)
python=$2
package=autobahntestsuite==25.10.1

mkdir -p "$1"
home=$(cd "$1" && pwd -P)
rm -rf "${home:?}"/{root,site,tmp,wstest}
tmp=$home/tmp
mkdir -p "$tmp/debs"

(
    # shellcheck source=tools/apt-private.sh
    . "$root/tools/apt-private.sh"
    apt_private "$tmp/apt" deb bullseye
    cd "$tmp/debs"
    apt-get -qq download python2.7-minimal libpython2.7-minimal \
        libpython2.7-stdlib libpython2.7-dev libssl1.1 libffi7
)

for f in "$tmp"/debs/*.deb; do
    dpkg -x "$f" "$home/root"
done

libs=$home/root/usr/lib/x86_64-linux-gnu
include=$home/root/usr/include

# Today's pip fetches the last one for 2.7, and that one the suite with the
# versions it wants.
"$python" -m pip install -qq --disable-pip-version-check --no-compile \
    --no-deps --only-binary=:all: --python-version 27 --target "$tmp/boot" \
    pip==20.3.4 setuptools==44.0.0 wheel==0.37.1

env LD_LIBRARY_PATH="$libs" PYTHONPATH="$tmp/boot" PYTHONNOUSERSITE=1 \
    CFLAGS="-I$include -I$include/python2.7" TMPDIR="$tmp" \
    "$home/root/usr/bin/python2.7" -m pip install -qq \
    --no-python-version-warning --target "$home/site" "$package"

# A namespace that a .pth file would set up, which is not read there.
touch "$home/site/zope/__init__.py"

cat > "$home/wstest.new" << END
#!/bin/sh
export LD_LIBRARY_PATH='$libs' PYTHONPATH='$home/site' PYTHONNOUSERSITE=1
export PYTHONWARNINGS=ignore
exec '$home/root/usr/bin/python2.7' \
    -c 'from autobahntestsuite.wstest import run; run()' "\$@"
END

chmod +x "$home/wstest.new"
"$home/wstest.new" --help > /dev/null
mv "$home/wstest.new" "$home/wstest"
rm -rf "$tmp"
