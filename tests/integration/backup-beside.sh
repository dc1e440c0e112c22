#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A backup on a slow disk keeps nobody waiting: while it is being made containers start, read and end, and operators
# are answered.
. "$(dirname "$0")/lib.sh"
command -v strace >/dev/null || fail "strace is missing: see tests/install-packages"

unsealed_broker
put web one
coffer grant web --container web >/dev/null 2>&1
head -c 1000000 /dev/urandom >"$D/value"
for i in $(seq 30); do
	coffer put "big/$i" --file "$D/value" >/dev/null
done

# Each page of the copy takes a millisecond more: seconds in all, of which a turn of the loop has a tenth at most.
mkfifo "$D/tracing" "$D/watching"
strace -p "$broker_pid" -o "$D/strace" -e trace=pwrite64 -e inject=pwrite64:delay_enter=1000 2>"$D/tracing" &
tracer=$!
inotifywait -e create --include 'backup[.]part' "$STATE" >/dev/null 2>"$D/watching" &
begun=$!
on_exit+=('kill -9 $tracer $begun 2>/dev/null')
grep -qm1 attached <"$D/tracing" || fail "strace does not follow the broker"
grep -qm1 established <"$D/watching" || fail "the state folder cannot be watched"
"$COFFER_BUILD/client/coffer" backup "$D/b.tar" >"$D/backup.out" 2>&1 &
backup=$!
wait $begun || fail "no copy was begun"

for _ in 1 2 3 4 5; do
	succeeds coffer status
done
container web
reads web /run/secrets/web one
put web two
reads web /run/secrets/web two
delete_container web
await_audit end '.container == "web"'
audit_lacks backup
kill -0 $backup || fail "the backup ended: $(cat "$D/backup.out")"

kill -INT $tracer
wait $tracer || true
wait $backup || fail "the backup failed: $(cat "$D/backup.out")"
audit_has backup
succeeds coffer backup verify "$D/b.tar" --keyfile "$D/key"
