#!/bin/bash
#
# people.sh TOKEN-BIN SECRET: who one can be on a development server, as the
# sign-in page of web/ reads it: people with tokens that are good for a month,
# and the secret for more of them.

set -eu

token_bin=$1
secret=$2
ttl_s=2592000
sep=

printf '{"secret":"%s","people":[' "$secret"

while read -r id role name; do
    token=$("$token_bin" --sub "$id" --role "$role" --name "$name" \
                --ttl $ttl_s --secret "$secret" < /dev/null)
    printf '%s{"id":"%s","role":"%s","name":"%s","token":"%s"}' \
        "$sep" "$id" "$role" "$name" "$token"
    sep=,
done << 'END'
ani student Ani Lestari
budi tutor Dr. Budi Santoso
citra student Citra Dewi
dian tutor Dian Pratama, M.Si.
END

printf ']}\n'
