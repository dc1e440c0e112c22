#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A set of a hundred files, more than one attacher's work, rotates by one put as one: who opens all of them, or some,
# gets them of one rotation. What is removed is gone at once for everybody, also for who is in a pass of before. What
# another grant brings in place of a set's file is no version of it.
. "$(dirname "$0")/lib.sh"
. "$here/set-lib.sh"
write_config '.audit_when_full = "serve" | .audit_budget = 60' # these readers open more than the log of an ordinary container takes

unsealed_broker
id=$(coffer grant many/ --container web)
mapfile -t names < <(printf 'many/%03d\n' {1..97} | sed '30,60s|/|/deeper/|'; printf 'many/%s\n' cert key zzz)
rotate 0 "${names[@]}"
set_container web
start_reader all web loop "${names[@]}"
start_reader two web loop many/key many/deeper/040
start_reader fork web fork many/zzz many/001 many/deeper/033
for ((i = 1; i <= 40; i++)); do
	rotate $i "${names[@]}"
done
end_readers web 40 5

# Removed while others of the set are read, and back again.
start_reader pair web loop many/cert many/key
succeeds coffer rm many/zzz
lacks web /run/secrets/many/zzz
rotate 41 "${names[@]}"
succeeds in_container web cat /run/secrets/many/zzz
end_readers web 41 1

# Revoked, and what an older grant leaves to a younger: files of another set, or of none.
set_files 42 other >/dev/null
succeeds coffer put other --file "$D/value.other"
succeeds coffer grant other --container web --as many/key
succeeds coffer revoke "$id"
lacks web /run/secrets/many/cert
reads web /run/secrets/many/key "$(cat "$D/value.other")"

# So many files that there is no room for a third generation of all: the change waits until no pass can want the first.
for ((i = 0; i < 15; i++)); do
	succeeds coffer grant many/ --container web --as "$(printf 'copy/%02d' $i)"
done
start_reader copy web loop copy/14/zzz copy/14/deeper/040 copy/14/001
for copy in 05 07 08 09 11; do # some of them before and behind any place where a change could be cut
	start_reader "copy$copy" web loop copy/$copy/001 copy/$copy/080 copy/$copy/zzz
done
generation() { jq .generation "$RUN"/containers/*.json; }
lines=$(coffer audit --json | wc -l)
for ((i = 50; i < 54; i++)); do
	before=$(generation)
	rotate_in_time $i "${names[@]}"
	until [[ $(generation) -ne $before ]]; do :; done # it is saved when the change is over
	[[ $(generation) -eq $((before + 1)) ]] || fail "put $i went from generation $before to $(generation)"
done
end_readers web 53 4
for path in copy/00/001 copy/14/zzz copy/07/deeper/040; do
	succeeds in_container web cat /run/secrets/$path
	grep -q '^53 ' "$D/out" || fail "$path is of another rotation: $(cat "$D/out")"
done
coffer audit --json | tail -n +"$lines" >"$D/audit"
! grep -q change.failed "$D/audit" || fail "a change failed: $(grep -m 1 change.failed "$D/audit")"
