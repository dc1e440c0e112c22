#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is allowed at most works, one more is refused with a sentence that says the limit, and nothing is stored of
# it: bytes of a value, bytes and segments of a name, names of one put, versions that are kept, files of a container.
. "$(dirname "$0")/lib.sh"

unsealed_broker
refused() { # COFFER-ARGUMENTS...: the number of secrets stays
	local before
	before=$(coffer status --json | jq .secrets)
	fails "$@"
	[[ $(coffer status --json | jq .secrets) == "$before" ]] || fail "'${*:3}' was refused but stored something"
}
letters() { # N
	head -c "$1" /dev/zero | tr '\0' n
}

# Values: 0 bytes to 1 MiB.
: >"$D/empty"
head -c 1048576 /dev/urandom >"$D/largest"
{ cat "$D/largest"; printf x; } >"$D/larger"
succeeds coffer put empty --file "$D/empty"
succeeds coffer put largest --file "$D/largest"
refused 1 '1 MiB.*1048576' coffer put larger --file "$D/larger"
refused 1 '1 MiB.*1048576' coffer put "larger=@$D/larger" "empty=@$D/empty"
run bash -c '"$1" put larger <"$2"' put "$COFFER_BUILD/client/coffer" "$D/larger"
[[ $status -eq 1 ]] || fail "1 MiB and a byte from standard input ended with status $status"
succeeds coffer history empty --json
says_json '.versions | length == 1'
succeeds coffer grant empty --container web
succeeds coffer grant largest --container web
container web
in_container web cat /run/secrets/largest | cmp - "$D/largest" || fail "1 MiB does not arrive"
succeeds in_container web stat -c %s /run/secrets/empty
says 0
reads web /run/secrets/empty ''

# Names: 255 bytes, 8 segments.
longest=$(letters 255)
deepest=a/b/c/d/e/f/g/h
put "$longest" long
put "$deepest" deep
succeeds coffer grant "$longest" --container web
succeeds coffer grant a/ --container web
reads web "/run/secrets/$longest" long
reads web "/run/secrets/$deepest" deep
for name in "$(letters 256)" a/b/c/d/e/f/g/h/i; do
	refused 1 '255 bytes|8 segments' coffer put "$name" --file "$D/empty"
	refused 1 '255 bytes|8 segments' coffer grant "$name" --container web
done
refused 1 '255 bytes|8 segments' coffer grant "$longest" --container web --as "$(letters 256)"

# One put: 128 names, all or nothing.
pairs=()
for ((i = 0; i < 128; i++)); do
	pairs+=("batch/$i=@$D/empty")
done
succeeds coffer put "${pairs[@]}"
[[ $(grep -c ' 1$' "$D/out") -eq 128 ]] || fail "128 names at once printed $(wc -l <"$D/out") lines"
refused 2 '128' coffer put "${pairs[@]}" "more=@$D/empty"
refused 1 'twice' coffer put "new=@$D/empty" "new=@$D/largest"
refused 1 'name' coffer put "new=@$D/empty" "Bad=@$D/empty"
refused 1 'cannot open|no such' coffer put "new=@$D/empty" "other=@$D/not-there"

# --if-version: what it is meant to replace. 0: nothing.
refused 1 'batch/0.*version 1.*not 0|batch/0.*0.*is at 1' coffer put batch/0 --file "$D/empty" --if-version 0
refused 1 'new.*0.*not 3|new.*not exist' coffer put new --file "$D/empty" --if-version 3
refused 1 'version' coffer put "new=@$D/empty" "batch/0=@$D/empty" --if-version 0
succeeds coffer put new --file "$D/empty" --if-version 0
says 'new 1'
succeeds coffer put new --file <(printf two) --if-version 1
says 'new 2'
refused 2 'if-version' coffer put new --file "$D/empty" --if-version -1

# Ten versions are kept; numbers go on after rollback and after rm.
for ((i = 3; i <= 12; i++)); do
	put new "value $i"
done
succeeds coffer history new --json
says_json '[.versions[].version] | sort == [range(3; 13)]'
fails 1 'version 2' coffer get new --version 2
fails 1 'version 2' coffer rollback new --to 2
fails 1 'version 13' coffer rollback new --to 13
succeeds coffer rollback new --to 5
says 'new 13'
succeeds coffer get new
says 'value 5'
succeeds coffer rm new
fails 1 'no secret "?new' coffer get new
fails 1 'no secret "?new' coffer rm new
put new again
succeeds coffer get new --version 14
says again
fails 1 'version 5' coffer get new --version 5

# A container sees 2048 files. With more it keeps what it has, who changed something is told, and what is taken
# from it is taken.
delete_container web
succeeds coffer grant many/ --container full
succeeds coffer grant new --container full
for ((batch = 0; batch < 16; batch++)); do
	pairs=()
	for ((i = 0; i < (batch < 15 ? 128 : 127); i++)); do
		pairs+=("many/$batch-$i=@$D/empty")
	done
	succeeds coffer put "${pairs[@]}"
done
container full
succeeds in_container full sh -c 'ls /run/secrets/many | wc -l'
says 2047
reads full /run/secrets/new again
succeeds coffer put many/more --file "$D/empty"
grep -q 'full' "$D/err" || fail "put does not say that a container does not show it: $(cat "$D/err")"
lacks full /run/secrets/many/more
reads full /run/secrets/new again
succeeds coffer explain full --json
says_json 'any(.notes[]; test("at most 2048"))'
succeeds coffer ps --json
says_json 'any(.attachments[]; .container == "full" and (.reason | test("at most 2048")))'
bundle late --hook --annotation kind=full
succeeds coffer grant many/ --label kind=full
succeeds coffer grant api --label kind=full
put api token 2>"$D/warning"
run runc run --detach --bundle "$D/late.bundle" late
[[ $status -ne 0 ]] || fail "a container started without the secrets that it is granted"
grep -q 'at most 2048' "$D/err" || fail "it did not start: $(cat "$D/err")"
succeeds coffer put many/most --file "$D/empty"
succeeds coffer rm many/0-0 # still too many
lacks full /run/secrets/many/0-0
lacks full /run/secrets/many/most
succeeds coffer rm new
lacks full /run/secrets/new
succeeds in_container full sh -c 'ls /run/secrets/many | wc -l'
says 2048
reads full /run/secrets/many/more ''
succeeds coffer ps --json
says_json 'any(.attachments[]; .container == "full" and .reason == null)'
succeeds coffer audit verify
