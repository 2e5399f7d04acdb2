#!/bin/bash
#
# health.sh: is /healthz 200?  For HEALTHCHECK; no curl in the image.

set -u

exec 3<> "/dev/tcp/127.0.0.1/${PORT:-8080}" || exit 1
printf 'GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -rt 4 -u 3 line || exit 1

case $line in
"HTTP/1.1 200 "*)  exit 0 ;;
esac

echo "$line"
exit 1
