#!/bin/bash
#
# start.sh: makes nginx.conf of the environment, and becomes nginx.
#
# The names are those of the worker, so that one list of settings serves both
# images.  With --check it stops behind nginx -t.

set -euo pipefail

dir=/var/lib/writeen
template=/etc/writeen/nginx.conf.in


die() {
    echo "start: $*" >&2
    exit 78
}


# number NAME DEFAULT: its value, which must be one.
number() {
    local value=${!1:-$2}

    case $value in
    '' | *[!0-9]*)  die "$1 must be a whole number, not \"$value\"" ;;
    esac

    echo "$value"
}


# plain NAME CHARACTERS: a value that nginx.conf can hold.
plain() {
    case ${!1} in
    *[!$2]*)  die "$1 has characters that are not allowed in it" ;;
    esac
}


# The value of a setting, safe on the right side of sed's s|…|…|.
quote() {
    printf %s "$1" | sed 's/[\\&|]/\\&/g'
}


redis=
for url in $(printf %s "${REDIS_URL:-}" | tr , ' '); do
    case $url in
    *[\"\$\\]*)  die "REDIS_URL: percent-encode quotes and \$ in it" ;;
    esac
    redis="$redis \"$url\""
done

[ -n "$redis" ] || die "REDIS_URL is not set; for example redis://redis:6379"

port=$(number PORT 8080)
shards=$(number SHARDS 16)
nofile=$(ulimit -Hn)
workers=${NGINX_WORKERS:-auto}
[ "$workers" = auto ] || workers=$(number NGINX_WORKERS 1)

if [ "$nofile" = unlimited ] || [ "$nofile" -gt 65536 ]; then
    nofile=65536
fi

mkdir -p "$dir/tmp"

key='# keys of tokens: /etc/writeen/http.d'

if [ -n "${JWT_SECRET:-}" ]; then
    (umask 077 && printf %s "$JWT_SECRET" > "$dir/jwt.key")
    key="writeen_jwt_key  HS256 \"file:$dir/jwt.key\";"

elif ! grep -qs '^ *writeen_jwt_key ' /etc/writeen/http.d/*.conf; then
    die "JWT_SECRET is not set, and no file in /etc/writeen/http.d has a" \
        "writeen_jwt_key"
fi

origin='# writeen_origin: its own pages only'

if [ -n "${WRITEEN_ORIGIN:-}" ]; then
    plain WRITEEN_ORIGIN 'A-Za-z0-9:/._* -'
    origin="writeen_origin   $WRITEEN_ORIGIN;"
fi

# As the worker reads them (worker/conf/conf_files.c).
scheme=http
host=${MINIO_ENDPOINT:-}
host=${host%/}
tls='# the storage has no TLS'
peer_port=80

case ${STORAGE:-local} in
local)
    drop=S3
    ;;

s3)
    drop=LOCAL

    case $host in
    http://*)   host=${host#http://} ;;
    https://*)  host=${host#https://} scheme=https peer_port=443 ;;
    esac

    case $host in
    '' | *[!A-Za-z0-9.:_\[\]-]*)
        die "MINIO_ENDPOINT must be host:port or http[s]://host[:port]"
        ;;
    esac

    host=${host%":$peer_port"}

    if [ "${S3_STYLE:-path}" = host ]; then
        host=${MINIO_BUCKET:-writeen}.$host
    fi

    if [ $scheme = https ]; then
        tls="proxy_ssl_verify on; proxy_ssl_verify_depth 4;"
        tls="$tls proxy_ssl_server_name on; proxy_ssl_name ${host%:*};"
        tls="$tls proxy_ssl_trusted_certificate"
        tls="$tls /etc/ssl/certs/ca-certificates.crt;"
    fi
    ;;

*)
    die "STORAGE is local or s3, not \"$STORAGE\""
    ;;
esac

server=$host
[[ $host =~ :[0-9]+$ ]] || server=$host:$peer_port

sed -e "s|@REDIS@|$(quote "${redis# }")|" \
    -e "s|@PORT@|$port|" \
    -e "s|@SHARDS@|$shards|" \
    -e "s|@NGINX_WORKERS@|$workers|" \
    -e "s|@NOFILE@|$nofile|" \
    -e "s|@CONNECTIONS@|$((nofile / 2))|" \
    -e "s|@KEY@|$(quote "$key")|" \
    -e "s|@ORIGIN@|$(quote "$origin")|" \
    -e "/^@$drop@/d" -e "s/^@LOCAL@//" -e "s/^@S3@//" \
    -e "s|@STORAGE_PATH@|${STORAGE_PATH:-/var/lib/writeen/files}|" \
    -e "s|@S3_SCHEME@|$scheme|" \
    -e "s|@S3_SERVER@|$server|" \
    -e "s|@S3_HOST@|$host|" \
    -e "s|@S3_TLS@|$(quote "$tls")|" \
    "$template" > "$dir/nginx.conf"

nginx -t -q -p "$dir" -e stderr -c "$dir/nginx.conf" \
    || die "nginx does not accept $dir/nginx.conf"

[ "${1:-}" != --check ] || exit 0

exec nginx -p "$dir" -e stderr -c "$dir/nginx.conf"
