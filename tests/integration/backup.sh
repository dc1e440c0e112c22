#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Backups: made while values change and a container reads, each one of the states of its time; sealed as the store is;
# whatever is wrong with one is told before anything is done; restored where there is no store, and known as set back.
. "$(dirname "$0")/lib.sh"

unsealed_broker
printf 'never-in-clear-canary' | coffer put web >/dev/null
coffer grant web --container web >/dev/null
container web

echo "-- while values change, and a container reads"
mkfifo "$D/began"
(
	trap - ERR EXIT
	n=0
	while [[ ! -e $D/enough ]]; do
		n=$((n + 1))
		# The two always change together: no state has two numbers in it.
		printf %s $n >"$D/number"
		coffer put a="@$D/number" b="@$D/number" >/dev/null 2>>"$D/puts.log" || { echo lost >>"$D/puts.log"; exit 1; }
		[[ $n -ne 5 ]] || echo >"$D/began"
	done
) &
writer=$!
read -r _ <"$D/began"
for i in 1 2 3 4; do
	first=$(coffer get a)
	succeeds coffer backup "$D/$i.tar"
	last=$(coffer get b)
	echo "$first $last" >"$D/$i.range"
	reads web /run/secrets/web never-in-clear-canary
done
touch "$D/enough"
wait $writer || fail "puts did not go on: $(cat "$D/puts.log")"
[[ ! -s $D/puts.log ]] || fail "puts said: $(cat "$D/puts.log")"
audit_has backup ".by == \"Backup\" and .epoch > 0 and .size > 4096"
[[ $(stat -c %a "$D/1.tar") == 600 ]] || fail "the backup's mode is $(stat -c %a "$D/1.tar")"
find "$STATE" "$D" -maxdepth 1 -name '*.part' -o -maxdepth 1 -name '.coffer-*' | grep . && fail "something is left behind"

echo "-- a standard archive, with nothing in clear"
[[ $(tar tf "$D/1.tar" | tr '\n' ' ') == 'coffer-backup/about.json coffer-backup/head.json coffer-backup/store.db coffer-backup/SHA256SUMS ' ]] ||
	fail "it holds: $(tar tf "$D/1.tar")"
mkdir "$D/x"
tar xf "$D/1.tar" -C "$D/x"
(cd "$D/x/coffer-backup" && sha256sum --quiet -c SHA256SUMS) || fail "its sums do not fit"
jq -e --arg id "$(coffer status --json | jq -r .store_id)" '.format == 1 and .store_id == $id' "$D/x/coffer-backup/about.json" >/dev/null
for canary in never-in-clear-canary web; do
	! grep -qa "$canary" "$D/x/coffer-backup/store.db" || fail "$canary stands in the backup"
done

echo "-- no file is replaced unasked, and a sealed store is copied too"
fails 1 'there already.*--force' coffer backup "$D/1.tar"
succeeds coffer seal
succeeds coffer backup --force "$D/sealed.tar"
succeeds coffer backup --force "$D/sealed.tar"
succeeds coffer backup verify "$D/sealed.tar" --keyfile "$D/key"
succeeds coffer unseal --keyfile "$D/key"
mkdir "$D/folder"
fails 1 'no regular file' coffer backup --force "$D/folder"
fails 2 'no name of a file' coffer backup "$D/folder/"

echo "-- what is wrong with one is told, without a broker"
stop_broker
succeeds coffer backup verify "$D/1.tar"
grep -q 'not opened' "$D/out" || fail "it does not say that it was not opened: $(cat "$D/out")"
succeeds coffer backup verify "$D/1.tar" --keyfile "$D/key"
grep -q 'all opened' "$D/out" || fail "it says: $(cat "$D/out")"
locking() { # KIB COMMAND...: with that much memory to lock, and no privilege to lock more
	setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock prlimit --memlock=$(($1 * 1024)) "${@:2}"
}
told=0
for kib in 0 32 48 64 80 96 112 128 160 192 256 512 4096; do
	run locking $kib "$COFFER_BUILD/client/coffer" backup verify "$D/1.tar" --keyfile "$D/key"
	[[ $status -ne 0 ]] || continue
	grep -q 'lock.*raise.*ulimit -l' "$D/err" || fail "with $kib KiB it says: $(cat "$D/err")"
	told=$((told + 1))
done
# AddressSanitizer makes mlock do nothing.
! grep -q __asan_init "$COFFER_BUILD/client/coffer" || told=4
[[ $status -eq 0 && $told -ge 4 ]] || fail "refused $told times, with 4 MiB: $(cat "$D/err")"
head -c 32 /dev/urandom >"$D/other-key"
chmod 400 "$D/other-key"
fails 1 'wrong keyfile' coffer backup verify "$D/1.tar" --keyfile "$D/other-key"
echo secret >"$D/passphrase"
fails 1 'no passphrase opens' coffer backup verify "$D/1.tar" --passphrase-file "$D/passphrase"
size=$(stat -c %s "$D/1.tar")
for cut in 1 512 1024 1025 5000 $((size - 100)); do
	head -c $((size - cut)) "$D/1.tar" >"$D/bad.tar"
	fails 1 'shorter|no backup' coffer backup verify "$D/bad.tar"
done
(cat "$D/1.tar" && printf x) >"$D/bad.tar"
fails 1 'behind its end' coffer backup verify "$D/bad.tar"
fails 1 'no backup of Coffer' coffer backup verify /bin/bash
tar cf "$D/bad.tar" -C "$D" key
fails 1 'no backup of Coffer' coffer backup verify "$D/bad.tar"
python3 - "$D/1.tar" "$D" <<'EOF' # one bit in each of 60 places, and the whole of the small parts
import sys
data = open(sys.argv[1], "rb").read()
places = sorted(set(range(0, len(data), len(data) // 40)) | set(range(512, 1024, 60)) | {len(data) - 1})
for number, place in enumerate(places):
    bad = bytearray(data)
    bad[place] ^= 4
    open(f"{sys.argv[2]}/flip-{number}.tar", "wb").write(bad)
EOF
for flipped in "$D"/flip-*.tar; do
	fails 1 'damaged|no backup' coffer backup verify "$flipped"
done
rm "$D"/flip-*.tar

# Whoever makes the sums anew after a change is found with a key, and an other version by its number.
repack() { # from $D/x, sums made anew
	(cd "$D/x/coffer-backup" && sha256sum about.json head.json store.db >SHA256SUMS)
	tar --format=ustar -b 2 -cf "$D/bad.tar" -C "$D/x" coffer-backup/about.json coffer-backup/head.json coffer-backup/store.db \
		coffer-backup/SHA256SUMS
}
repack
truncate -s "$(($(tar tvf "$D/bad.tar" | awk '{ n += 512 + int(($3 + 511) / 512) * 512 } END { print n }') + 1024))" "$D/bad.tar"
succeeds coffer backup verify "$D/bad.tar" --keyfile "$D/key"
sqlite() { python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()' "$@"; }
spoil() { # SQL PATTERN
	tar xf "$D/1.tar" -C "$D/x"
	sqlite "$D/x/coffer-backup/store.db" "$1"
	repack
	truncate -s "$(($(tar tvf "$D/bad.tar" | awk '{ n += 512 + int(($3 + 511) / 512) * 512 } END { print n }') + 1024))" "$D/bad.tar"
	fails 1 "$2" coffer backup verify "$D/bad.tar" --keyfile "$D/key"
}
spoil 'DELETE FROM large WHERE rowid = (SELECT min(rowid) FROM large)' 'damaged'
spoil 'UPDATE large SET value = zeroblob(length(value)) WHERE rowid = (SELECT max(rowid) FROM large)' 'damaged'
spoil "DELETE FROM small WHERE key = (SELECT max(key) FROM small)" 'damaged'
spoil 'PRAGMA user_version = 9' 'format 9'
spoil 'CREATE TRIGGER t AFTER INSERT ON small BEGIN SELECT 1; END' 'damaged|not laid out'
tar xf "$D/1.tar" -C "$D/x"
sed -i 's/"format":1/"format":7/' "$D/x/coffer-backup/about.json"
repack
fails 1 'format 7.*version of Coffer' coffer backup verify "$D/bad.tar"
fails 1 'cannot open' coffer backup verify "$D/nothing.tar"

echo "-- restored beside the log that has seen more"
start_broker
fails 1 'replaces none' coffer restore "$D/1.tar"
succeeds coffer unseal --keyfile "$D/key"
reads web /run/secrets/web never-in-clear-canary
for i in 1 2 3 4; do
	stop_broker
	rm "$STATE"/store.db*
	start_broker
	fails 1 'wrong keyfile' coffer restore "$D/$i.tar" --keyfile "$D/other-key"
	fails 1 'regular file' coffer restore <(cat "$D/$i.tar")
	succeeds coffer restore "$D/$i.tar" --keyfile "$D/key"
	audit_has restore ".by == \"Restore\" and .epoch > 0 and .log_seq > 0 and (.log_hash | length) == 64"
	fails 1 'set back.*accept-rollback' coffer unseal --keyfile "$D/key"
	succeeds coffer unseal --keyfile "$D/key" --accept-rollback
	a=$(coffer get a)
	[[ $a == "$(coffer get b)" ]] || fail "a is $a, b is $(coffer get b): of two states"
	read -r first last <"$D/$i.range"
	[[ $a -ge $first && $a -le $last ]] || fail "backup $i has $a, made between $first and $last"
	succeeds coffer backup "$D/again-$i.tar"
	succeeds coffer backup verify "$D/again-$i.tar" --keyfile "$D/key"
done
reads web /run/secrets/web never-in-clear-canary
put a newest
succeeds coffer audit verify
fails 1 'replaces none' coffer restore "$D/1.tar"

echo "-- restored on another host, where the keyfile opens it at once"
stop_broker
mv "$STATE" "$D/state.old"
broker_options=(--keyfile "$D/key")
start_broker
succeeds coffer restore "$D/2.tar"
grep -q 'it is unsealed' "$D/out" || fail "it says: $(cat "$D/out")"
succeeds coffer get web
says never-in-clear-canary
succeeds coffer audit verify
