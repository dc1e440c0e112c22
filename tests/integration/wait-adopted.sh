#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# put --wait-adopted and rollback --wait-adopted return when every reader has opened the new version, and else name
# those that have not, the change being made all the same. Who shows a file and never opened it is no reader, nor is
# who has ended or lost it. A broker that goes away meanwhile is told of; a client that does leaves nothing behind.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
put db one
put other one
for name in web api idle; do
	succeeds coffer grant db --container $name
	container $name
done
succeeds coffer grant other --container web
other=$(cat "$D/out")

waiter=
on_exit+=('[[ -z $waiter ]] || kill -9 $waiter 2>/dev/null')
begin() { # COMMAND...: in the background; done says how it ended
	"$COFFER_BUILD/client/coffer" "$@" >"$D/waiter.out" 2>"$D/waiter.err" </dev/null &
	waiter=$!
}
done_with() { # STATUS [OUTPUT]
	local got=0
	wait $waiter || got=$?
	[[ $got -eq $1 ]] || fail "the waiting command ended with $got: $(cat "$D/waiter.err")"
	[[ $# -eq 1 || $(cat "$D/waiter.out") == "$2" ]] || fail "the waiting command printed '$(cat "$D/waiter.out")'"
}
still_waits() {
	kill -0 $waiter 2>/dev/null || fail "it has ended: $(cat "$D/waiter.out" "$D/waiter.err")"
}
shown() { # CONTAINER VERSION
	await_audit show ".container == \"$1\" and .name == \"db\" and .version == $2"
}

# Nobody has opened it: nothing to wait for, and at once.
succeeds coffer put db --file <(printf 22) --wait-adopted 1h
says 'db 2'

# Two readers: when both have opened the new one, not before.
reads web /run/secrets/db 22
reads api /run/secrets/db 22
begin put db --file <(printf 333) --wait-adopted 10m
shown web 3
shown api 3
still_waits
reads web /run/secrets/db 333
await_audit open '.container == "web" and .version == 3'
still_waits
reads api /run/secrets/db 333
done_with 0 'db 3'

# One that does not is named, and only that; what was put is there, and printed.
printf 4444 >"$D/value"
begin put db --file "$D/value" --wait-adopted 3s
shown web 4
reads web /run/secrets/db 4444
done_with 1 'db 4'
grep -q 'within 3s not opened again by runc/api;' "$D/waiter.err" || fail "it said $(cat "$D/waiter.err")"
[[ $(wc -l <"$D/waiter.err") -eq 1 ]] || fail "it said more than a line: $(cat "$D/waiter.err")"
succeeds coffer get db
says 4444
begin put db --file "$D/value" --wait-adopted 1s --json
done_with 1
jq -e '.stored == [{name: "db", version: 5}] and .lagging == [] and (.unadopted | sort) == ["runc/api", "runc/web"]' \
	"$D/waiter.out" >/dev/null || fail "it said $(cat "$D/waiter.out")"

# Several names: each of them. web has never opened other, so it is no reader of that.
in_container web cat /run/secrets/db >/dev/null
in_container api cat /run/secrets/db >/dev/null
begin put "db=@$D/value" "other=@$D/value" --wait-adopted 10m
shown web 6
shown api 6
in_container web cat /run/secrets/db /run/secrets/other >/dev/null
still_waits
in_container api cat /run/secrets/db >/dev/null
done_with 0 $'db 6\nother 2'
begin put "db=@$D/value" "other=@$D/value" --wait-adopted 10m
await_audit show '.container == "web" and .name == "other" and .version == 3'
in_container api cat /run/secrets/db >/dev/null
in_container web cat /run/secrets/db >/dev/null
await_audit open '.container == "web" and .name == "db" and .version == 7'
still_waits
succeeds coffer revoke "$other" # who has lost the file is no reader any more
done_with 0 $'db 7\nother 3'

# A rollback; the other reader ends meanwhile.
begin rollback db --to 2 --wait-adopted 10m
shown web 8
reads web /run/secrets/db 22
await_audit open '.container == "web" and .name == "db" and .version == 8'
still_waits
delete_container api
done_with 0 'db 8'

# A newer version does as well.
begin put db --file <(printf 999999999) --wait-adopted 10m
shown web 9
succeeds coffer put db --file <(printf 10)
reads web /run/secrets/db 10
done_with 0 'db 9'

# The broker is killed: said in one line, and the next one knows that web is a reader.
begin put db --file <(printf 11111111111) --wait-adopted 10m
shown web 11
still_waits
stop_broker KILL
done_with 1 ''
grep -q 'the broker went away while it was waited for' "$D/waiter.err" || fail "it said $(cat "$D/waiter.err")"
start_broker
begin put db --file <(printf 121212121212) --wait-adopted 2s
done_with 1 'db 12'
grep -q 'runc/web' "$D/waiter.err" || fail "it said $(cat "$D/waiter.err")"

# A client that goes away: nothing is left of it, and the next change goes on.
begin put db --file <(printf 1313131313131) --wait-adopted 10m
shown web 13
kill -9 $waiter
wait $waiter || true
reads web /run/secrets/db 1313131313131
fails 1 'not opened again by runc/web' coffer put db --file <(printf 14) --wait-adopted 1s

# A folder of two transactions: who has not opened one of the first keeps none of the second from being stored.
succeeds coffer grant app/ --container web --as app
mkdir -m 700 "$D/folder"
for i in $(seq 100 299); do
	printf 1 >"$D/folder/f$i"
done
succeeds coffer put app/ --from-dir "$D/folder"
reads web /run/secrets/app/f100 1
reads web /run/secrets/app/f299 1
for i in $(seq 100 299); do
	printf 2 >"$D/folder/f$i"
done
run coffer put app/ --from-dir "$D/folder" --wait-adopted 1s
[[ $status -eq 1 && $(grep -c '^app/f[0-9]* 2$' "$D/out") -eq 200 ]] || fail "status $status, stored: $(cat "$D/out" "$D/err")"
grep -q '^coffer: stored and shown, but within 1s not opened again by runc/web; see' "$D/err" || fail "it said $(cat "$D/err")"
! grep -q -e --after "$D/err" || fail "it said $(cat "$D/err")"

# The usual mistakes.
fails 2 '30s or 5m, at most 1h' coffer put db --file "$D/value" --wait-adopted 2h
fails 2 '30s or 5m, at most 1h' coffer rollback db --to 1 --wait-adopted soon
fails 2 'wants a value' coffer put db --file "$D/value" --wait-adopted
for wrong in 0 -1 3600001 '"30s"'; do
	printf '{"method":"io.coffer.operator.Rollback","parameters":{"name":"db","to":11,"wait_adopted":%s}}\0' "$wrong" |
		socat -t 10 - "UNIX-CONNECT:$RUN/operator.sock" >"$D/out"
	grep -q '"io.coffer.operator.Invalid"' "$D/out" || fail "wait_adopted $wrong: $(tr -d '\0' <"$D/out")"
done
succeeds coffer audit verify
