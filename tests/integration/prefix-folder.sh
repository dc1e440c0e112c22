#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A granted prefix is a folder that follows what is stored below it; --as says where a grant's files appear, --mode,
# --uid and --gid what they look like. Of two grants that clash the older one's file is there, explain names both,
# and what the image holds already is never covered.
. "$(dirname "$0")/lib.sh"

unsealed_broker
grant() { # options: prints the id
	coffer grant "$@" --container web
}
put() { # NAME VALUE
	printf '%s' "$2" | coffer put "$1" >/dev/null
}
bundle web --hook
mkdir -p "$D/web.bundle/rootfs/run/secrets/taken"
echo its-own >"$D/web.bundle/rootfs/run/secrets/own"
echo its-own >"$D/web.bundle/rootfs/run/secrets/taken/inner"

# Folders: of the prefix's last segment, with all that is below; only that prefix.
put app/tls/site.crt crt
put app/tls/site.key key
put app/tls/ca/root.crt root
put app/tlsother not-for-it
put app/token not-for-it
grant app/tls/ >"$D/tls"
run_container web
succeeds in_container web sh -c 'cd /run/secrets && find . -type f | sort'
says $'./own\n./taken/inner\n./tls/ca/root.crt\n./tls/site.crt\n./tls/site.key'
reads web /run/secrets/tls/ca/root.crt root
succeeds in_container web stat -c '%F %a %u %g' /run/secrets/tls
says 'directory 755 0 0'

# It follows: one more, a deeper one, the last of a folder gone, several in one transaction.
put app/tls/deep/er/still x
reads web /run/secrets/tls/deep/er/still x
succeeds coffer rm app/tls/deep/er/still
lacks web /run/secrets/tls/deep
lacks web /run/secrets/tls/deep/er/still
succeeds coffer put app/tls/site.crt=@<(printf crt2) app/tls/site.key=@<(printf key2)
reads web /run/secrets/tls/site.crt crt2
reads web /run/secrets/tls/site.key key2
succeeds coffer rm app/tls/ca/root.crt
lacks web /run/secrets/tls/ca
succeeds coffer revoke "$(cat "$D/tls")"
lacks web /run/secrets/tls
succeeds in_container web ls /run/secrets
says $'own\ntaken'

# --as: a folder for a prefix, a file for a single secret, below other folders.
grant app/tls/ --as certs/site >/dev/null
grant app/token --as certs/api.token --mode 0440 --uid 1000 --gid 1001 >/dev/null
reads web /run/secrets/certs/site/site.crt crt2
succeeds in_container --user 1000:1000 web cat /run/secrets/certs/api.token
says not-for-it
succeeds in_container web stat -c '%F %a %u %g %s' /run/secrets/certs/api.token
says 'regular file 440 1000 1001 10'
run in_container --user 1002:1002 web cat /run/secrets/certs/api.token
[[ $status -ne 0 ]] && grep -q 'Permission denied' "$D/err" || fail "mode 0440 lets another user read"
grant app/tls/ --as narrow --mode 400 >/dev/null
succeeds in_container web stat -c '%a' /run/secrets/narrow/site.crt
says 400
succeeds in_container web stat -c '%a' /run/secrets/certs/site/site.crt
says 444

# Clashes of two grants: a file with a file, a file with a folder above and below it. Whoever was first keeps it, and
# the other's comes when it goes.
notes() { # GRANT GRANT PATH: explain names both and the path
	succeeds coffer explain web --json
	says_json "any(.notes[]; contains(\"$1\") and contains(\"$2\") and contains(\"$3\"))"
}
put first 1
put second 2
put folder/in 3
older=$(grant first --as same)
newer=$(grant second --as same)
reads web /run/secrets/same 1
notes "$older" "$newer" same
below=$(grant folder/ --as same)
reads web /run/secrets/same 1
notes "$older" "$below" same/in
succeeds coffer revoke "$older"
reads web /run/secrets/same 2
succeeds coffer revoke "$newer"
reads web /run/secrets/same/in 3
above=$(grant first --as same)
reads web /run/secrets/same/in 3
notes "$below" "$above" same
put first 1b
reads web /run/secrets/same/in 3
succeeds coffer revoke "$below"
reads web /run/secrets/same 1b
succeeds coffer explain web --json
says_json "all(.notes[]; contains(\"$above\") | not)"

# A secret that becomes a folder: "a" and "a/b" of one prefix.
put both/a file
grant both/ >/dev/null
put both/a/b inner
reads web /run/secrets/both/a file
succeeds coffer rm both/a
reads web /run/secrets/both/a/b inner

# What the image holds: a file, a folder, something in that folder.
for path in own taken taken/inner own/below; do
	id=$(grant first --as $path)
	reads web /run/secrets/own its-own
	reads web /run/secrets/taken/inner its-own
	succeeds coffer explain web --json
	says_json "any(.notes[]; contains(\"$path\") and contains(\"own\"))"
	succeeds coffer ps --json
	says_json "any(.attachments[]; .container == \"web\" and (.reason | contains(\"$path\")))"
	succeeds coffer revoke "$id"
done
succeeds coffer ps --json
says_json 'any(.attachments[]; .container == "web" and .reason == null)'

# --as with a prefix and a single secret wants a relative path, without tricks.
for path in /abs ../up a/../b a//b a/ . Upper "$(printf 'a\nb')"; do
	fails 1 'path' coffer grant first --container web --as "$path"
done
fails 1 'mode' coffer grant first --container web --mode 0999
fails 2 'uid' coffer grant first --container web --uid root
fails 2 'gid' coffer grant first --container web --gid 4294967295
succeeds coffer audit verify
