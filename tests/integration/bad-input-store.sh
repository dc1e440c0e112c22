#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A wrong key, a store of another version, a torn or foreign file, an absent broker, a full disk: one sentence that
# says what, why and what to do, the right status, and no harm to what is stored.
. "$(dirname "$0")/lib.sh"

broker() { # options: a broker that is to fail
	ASAN_OPTIONS=$DAEMON_ASAN timeout 60 "$COFFER_BUILD/broker/cofferd" --config "$D/config.json" \
		--foreground --state-dir "$STATE" --runtime-dir "$RUN" "$@"
}

# No broker.
fails 1 "$RUN/operator.sock.*(start|run)|(start|run).*$RUN" coffer status
fails 2 'usage|option|unknown' broker --nosuch
fails 1 "$D/nosuch" broker --config "$D/nosuch"
echo '{"worker_path": 5}' >"$D/bad.json"
fails 1 'bad.json.*worker_path' broker --config "$D/bad.json"
echo '{"nonesuch": 5}' >"$D/bad.json"
fails 1 'bad.json.*nonesuch' broker --config "$D/bad.json"
echo '{"worker_path": ' >"$D/bad.json"
fails 1 'bad.json' broker --config "$D/bad.json"

# Not initialised; initialised twice; wrong keys.
start_broker
succeeds coffer status --json
says_json '.state == "uninitialised"'
fails 1 'coffer init' coffer put db --file /etc/hostname
fails 1 'coffer init' coffer unseal --keyfile "$D/key"
succeeds coffer init --keyfile "$D/key"
[[ $(stat -c '%a %u' "$D/key") == '400 0' ]] || fail "the keyfile: $(stat -c '%a %u' "$D/key")"
fails 1 'exists|already' coffer init --keyfile "$D/key2"
[[ ! -e $D/key2 ]] || fail "a refused init left a keyfile"
put db value
succeeds coffer seal
head -c 32 /dev/urandom >"$D/wrong"
chmod 400 "$D/wrong"
fails 1 'key' coffer unseal --keyfile "$D/wrong"
head -c 5 /dev/urandom >"$D/short"
chmod 400 "$D/short"
fails 1 'keyfile' coffer unseal --keyfile "$D/short"
fails 1 "$D/nosuch" coffer unseal --keyfile "$D/nosuch"
echo guess >"$D/guess"
fails 1 'passphrase' coffer unseal --passphrase-file "$D/guess"
succeeds coffer unseal --keyfile "$D/key"
# An open store tells a right key from a wrong one, and that there was nothing to do.
fails 1 'unsealed already, and stays so' coffer unseal --keyfile "$D/wrong"
succeeds coffer unseal --keyfile "$D/key"
grep -q 'unsealed already: nothing was done' "$D/err" || fail "unseal said: $(cat "$D/err")"
succeeds coffer get db
says value
stop_broker
cp -a "$STATE" "$D/good"

restore() {
	rm -rf "$STATE"
	cp -a "$D/good" "$STATE"
}
database=$(cd "$STATE" && find . -maxdepth 1 -type f -size +3k ! -name '*-wal' ! -name '*-shm' | head -n 1)

# Torn: nothing is served out of it, and the file is left as it was.
truncate -s 2000 "$STATE/$database"
before=$(sha256sum <"$STATE/$database")
run broker --keyfile "$D/key"
[[ $status -eq 1 && -s $D/err ]] || fail "a torn store: status $status, $(cat "$D/err")"
[[ $(sha256sum <"$STATE/$database") == "$before" ]] || fail "a torn store was changed"
restore
head -c 8192 /dev/urandom >"$STATE/$database"
run broker
[[ $status -eq 1 && -s $D/err ]] || fail "a foreign file: status $status, $(cat "$D/err")"
restore

# Of another version.
python3 - "$STATE/$database" <<-'PYTHON'
	import sqlite3, sys
	db = sqlite3.connect(sys.argv[1])
	version = db.execute("pragma user_version").fetchone()[0]
	db.execute(f"pragma user_version = {version + 1}")
	db.commit()
	PYTHON
fails 1 'version' broker
restore

# Rolled back behind the audit log's head.
start_broker
succeeds coffer unseal --keyfile "$D/key"
put db newer
stop_broker
cp -a "$D/good/$database"* "$STATE/"
start_broker
fails 1 'accept-rollback' coffer unseal --keyfile "$D/key"
succeeds coffer unseal --keyfile "$D/key" --accept-rollback
audit_has unseal .accept_rollback
succeeds coffer get db
says value
stop_broker
restore

# A state folder that others may write in is refused.
chmod 777 "$STATE"
fails 1 "$STATE" broker
chmod 700 "$STATE"
start_broker
succeeds coffer unseal --keyfile "$D/key"
succeeds coffer get db
says value
