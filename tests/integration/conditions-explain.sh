#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Conditions of one grant must all hold; explain says who the container is, which grants match, which do not and
# why, and whether a condition is strong or weak.
. "$(dirname "$0")/lib.sh"

unsealed_broker
for name in a b c d e f clash; do
	put "$name" "value-$name"
done
grant() { # options: the id
	coffer grant "$@"
}
both=$(grant a --label app=web --label tier=front)
half=$(grant b --label app=web --label tier=back)
named=$(grant c --runtime runc --container web)
docker=$(grant d --runtime docker --container web)
unit=$(grant e --unit web.service)
older=$(grant f --container web --as same)
newer=$(grant clash --container web --as same)
container web --annotation app=web --annotation tier=front
succeeds in_container web ls /run/secrets
says $'a\nc\nsame'
reads web /run/secrets/same value-f

succeeds coffer explain web --json
says_json "[.matches[] | select(.matches) | .grant] | sort == ([\"$both\", \"$named\", \"$older\", \"$newer\"] | sort)"
says_json "[.matches[] | select(.matches | not) | .grant] | sort == ([\"$half\", \"$docker\", \"$unit\"] | sort)"
says_json "any(.matches[]; .grant == \"$both\" and .strength == \"weak\")"
says_json "any(.matches[]; .grant == \"$half\" and (.reason | test(\"tier\")))"
says_json "any(.matches[]; .grant == \"$docker\" and (.reason | test(\"docker\")))"
says_json "any(.notes[]; test(\"$older\") and test(\"$newer\"))"
says_json 'any(.facts[]; .value == "web")'
succeeds coffer explain web
grep -q weak "$D/out" || fail "explain does not say which conditions are weak"

fails 2 'at least one' coffer grant a
fails 1 'digest|allow-tag' coffer grant a --image nginx:1.25
fails 1 'path' coffer grant a --container web --as ../../etc/passwd
fails 1 'path' coffer grant a --container web --as /etc/passwd
fails 1 'runtime' coffer grant a --runtime nonesuch
fails 1 'mode' coffer grant a --container web --mode 7777
fails 1 'no grant|not found|not there' coffer revoke 0123456789abcdef
