#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit under a real systemd: restarts, a stop and a start, a reload of its manager, a broker that hangs and is ended by
# the watchdog. Readers see nothing of any. A mount comes by the hook and by a later grant, under all the unit's sandboxing;
# and a key that only the host can open unseals before ready is said.
. "$(dirname "$0")/systemd-lib.sh"

quick_watchdog() {
	keyfile_in_clear
	drop_in watchdog WatchdogSec=2s
}

boot quick_watchdog
succeeds coffer init --keyfile "$KEYFILE"
put db secret-value
put later given-later
succeeds coffer grant db --container web
for name in web late; do
	container $name --tmpfs /tmp
done
reads web /run/secrets/db secret-value
lacks late /run/secrets/later
succeeds coffer grant later --container late
reads late /run/secrets/later given-later
unit_says NFileDescriptorStore 6

reader_options=(--processes 2 --pause-us 2000 --hold)
readers_start() {
	reader_start web /run/secrets/db
	reader_start late /run/secrets/later
}
readers_end() { # WHAT
	reader_end web
	reader_end late
	succeeds in_container web rm /tmp/stop
	succeeds in_container late rm /tmp/stop
	no_reader_failed "$1"
}
workers=$(worker_pids)
[[ $(wc -w <<<"$workers") -eq 2 ]] || fail "for two containers the unit has the workers '$workers'"
same_workers() {
	[[ $(worker_pids) == "$workers" ]] || fail "after $1 the workers are $(worker_pids) instead of $workers"
}
serves_all() { # AFTER-WHAT
	succeeds coffer status --json
	says_json '.state == "unsealed"'
	succeeds coffer ps --json
	says_json '[.attachments[] | select(.state == "attached")] | length == 2'
	unit_says NFileDescriptorStore 6 # a stop has emptied it: it is filled anew
	same_workers "$1"
}

# Workers go on serving, and are the next broker's.
readers_start
for ((i = 0; i < 10; i++)); do
	machine systemctl restart cofferd.service
	serves_all "a restart"
done
readers_end "10 restarts"

readers_start
for ((i = 0; i < 3; i++)); do
	machine systemctl stop cofferd.service cofferd.socket cofferd-workload.socket
	unit_says ActiveState inactive
	same_workers "a stop"
	reads web /run/secrets/db secret-value
	machine systemctl start cofferd.socket cofferd-workload.socket cofferd.service
	serves_all "a stop and a start"
done
readers_end "3 stops and starts"

readers_start
machine systemctl daemon-reload
machine systemctl daemon-reexec
serves_all "a reload of the manager"
readers_end "daemon-reload and daemon-reexec"

# What a stop forgot is kept again: both at once still come back.
readers_start
# shellcheck disable=SC2046 # one word each
send_signal KILL "$(broker_pid)" $(worker_pids)
reads web /run/secrets/db secret-value
reads late /run/secrets/later given-later
workers=$(worker_pids)
serves_all "the end of both"
readers_end "both killed after a stop"

# A broker that hangs: its manager ends it, and the next one takes over.
readers_start
before=$(broker_pid)
send_signal STOP "$before"
succeeds coffer status # answered by the next one
[[ $(broker_pid) != "$before" ]] || fail "the broker that hung is still there"
machine systemctl start cofferd.service # returns when it is ready
serves_all "the watchdog"
readers_end "a broker that hung"

# Updates and new containers as ever.
put db newer-value
reads web /run/secrets/db newer-value
succeeds coffer grant db --container third
container third --tmpfs /tmp
reads third /run/secrets/db newer-value
delete_container third
await_audit end '.container == "third"'
unit_says NFileDescriptorStore 6

# A key that is sealed to the host. Ready comes with the store unsealed, so that what is ordered behind finds its secrets.
rm "$M/etc/systemd/system/cofferd.service.d/key.conf"
machine systemd-creds setup
machine mkdir -p /etc/credstore.encrypted
machine systemd-creds encrypt --with-key=host --name=coffer.key "$KEYFILE" /etc/credstore.encrypted/coffer.key 2>"$D/creds.log" ||
	fail "systemd-creds: $(cat "$D/creds.log")"
rm "$M$KEYFILE"
machine systemctl daemon-reload
for ((i = 0; i < 3; i++)); do
	machine systemctl restart cofferd.service # returns when it is ready
	serves_all "a start with the sealed key"
done

# With a key that opens nothing ready does not come, and says why; running containers are served all the same.
drop_in key "LoadCredential=coffer.key:/etc/hostname" TimeoutStartSec=2s
machine systemctl daemon-reload
run machine systemctl restart cofferd.service
[[ $status -ne 0 ]] || fail "a broker that stays sealed says that it is ready"
reads web /run/secrets/db newer-value
rm "$M/etc/systemd/system/cofferd.service.d/key.conf"
machine systemctl daemon-reload
machine systemctl restart cofferd.service
serves_all "a start with a wrong key"
succeeds coffer audit verify
