#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A value that is damaged on disk keeps nothing else from happening in its container: what is revoked goes, also from open
# descriptors, what is granted beside it is shown when it can be, and a successor of the worker says what it lacks.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
put db value
head -c 77777 /dev/zero | coffer put bad >/dev/null
succeeds coffer grant db --container web
grant=$(cat "$D/out")
succeeds coffer grant bad --container web
container web
reads web /run/secrets/db value

damage() { # a bit of the largest value
	stop_broker TERM
	python3 - "$STATE" <<'PYTHON'
import glob, os, sqlite3, sys
done = 0
for path in glob.glob(sys.argv[1] + "/**/*", recursive=True):
    if not os.path.isfile(path) or open(path, "rb").read(15) != b"SQLite format 3":
        continue
    with sqlite3.connect(path) as store:
        for row, value in store.execute("SELECT rowid, value FROM large WHERE length(value) > 70000").fetchall():
            store.execute("UPDATE large SET value = ? WHERE rowid = ?",
                          (value[:40000] + bytes([value[40000] ^ 1]) + value[40001:], row))
            done += 1
sys.exit(done == 0)
PYTHON
	start_broker
}
damage

# Its worker had the bytes, a successor has not: that one file is missing, and it is said.
succeeds in_container web cat /run/secrets/bad
worker=$(coffer ps --json | jq '.attachments[0].worker')
end_processes "$worker"
reads web /run/secrets/db value
fails 1 'No such file' in_container web cat /run/secrets/bad
await_audit change.failed '.container == "web" and (.reason | test("damaged"))'
coffer ps --json | jq -e '.attachments[0].reason | test("damaged")' >/dev/null || fail "ps does not say what is lacking"

# What is revoked goes all the same.
mkfifo "$D/go" "$D/said"
runc exec web sh -c 'exec 3</run/secrets/db && echo opened && read -r _ && cat <&3' <"$D/go" >"$D/said" 2>&1 &
reader=$!
exec {go}>"$D/go" {said}<"$D/said"
read -r line <&"$said"
[[ $line == opened ]] || fail "the reader said '$line'"
run coffer revoke "$grant"
[[ $status -eq 0 ]] || fail "revoke: $(cat "$D/err")"
grep -q 'not yet shown in runc/web' "$D/err" || fail "revoke does not say that the container lacks something"
fails 1 'No such file' in_container web cat /run/secrets/db
echo >&"$go"
answer=$(cat <&"$said")
exec {go}>&- {said}<&-
wait "$reader" || true
[[ $answer == *'Permission denied'* ]] || fail "the open descriptor said: $answer"
[[ $(coffer audit --json | jq -s 'map(select(.event == "withdraw" and .name == "db")) | length') -eq 1 ]] ||
	fail "the withdrawal is not told once"

# A good version takes its place, and all is well again.
put bad good
reads web /run/secrets/bad good
coffer ps --json | jq -e '.attachments[0] | .reason == null and (.files | length == 1 and .[0].held == [])' >/dev/null ||
	fail "ps says: $(coffer ps --json)"
