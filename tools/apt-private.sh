# shellcheck shell=bash
#
# apt-private.sh: one more Debian suite, seen by one command only.
#
# Sourced.  What the machine's own suite does not have (Test::Nginx, older or
# newer nginx sources) is fetched with apt and its signature checks, from the
# mirror that this machine already uses, without adding anything to
# /etc/apt.


# The address of the Debian mirror in use.
apt_mirror() {
    local uri

    # deb822 form: the first archive that has this machine's main suite
    uri=$(cat /etc/apt/sources.list.d/*.sources 2> /dev/null \
          | awk '$1 == "URIs:" && $2 !~ /security/ { print $2; exit }')

    if [ -z "$uri" ]; then
        uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
                  2> /dev/null \
              | sed -n 's/^deb  *\(\[[^]]*\]\)* *\([^ ]*\) .*/\2/p' \
              | grep -v security | head -n 1)
    fi

    [ -n "$uri" ] || return 1
    echo "$uri"
}


# apt_private DIR deb|deb-src SUITE: from here on, apt commands of this shell
# know that suite alone.  DIR holds the lists; they are fetched once.
apt_private() {
    local dir=$1 type=$2 suite=$3 mirror

    mirror=$(apt_mirror) || {
        echo "no Debian mirror found in /etc/apt" >&2
        return 1
    }

    mkdir -p "$dir"/{parts,lists/partial,cache/archives/partial}

    cat > "$dir/parts/$suite.sources" << END
Types: $type
URIs: $mirror
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END

    cat > "$dir/apt.conf" << END
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$dir/parts";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$dir/lists";
Dir::Cache "$dir/cache";
APT::Sandbox::User "$(id -un)";
Acquire::Retries "3";
END

    export APT_CONFIG=$dir/apt.conf
    apt-get -qq update
}
