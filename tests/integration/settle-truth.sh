#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# revoke never says that it is done while the container can read the file: when its worker dies around it, when no
# successor can be started, and when the container is granted more than it can be shown.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
put kept value
succeeds coffer grant kept --container web
container web

worker_of() { # CONTAINER
	coffer ps --json | jq -r ".attachments[] | select(.container == \"$1\") | .worker // empty"
}
grant_db() { # CONTAINER: the grant's id is in $grant
	succeeds coffer grant db --container "$1"
	grant=$(cat "$D/out")
	[[ ! -s $D/err ]] || fail "grant said: $(cat "$D/err")"
	reads "$1" /run/secrets/db value
}
names() { # CONTAINER: the last command has said that it does not show the change
	grep -q "$1" "$D/err" || fail "no word of $1: '$(cat "$D/err")'"
}

# No successor can be started: revoke says so.
grant_db web
spawner=$(pgrep -P "$broker_pid")
worker=$(worker_of web)
kill -STOP "$spawner"
on_exit+=("kill -CONT $spawner 2>/dev/null")
kill -9 "$worker"
await_audit worker.ended '.container == "web"'
succeeds coffer revoke "$grant"
names web
audit_lacks withdraw
kill -CONT "$spawner"
await_audit withdraw '.container == "web" and .name == "db"'
succeeds coffer put kept --file <(printf newer) # comes after the change that was under way
[[ ! -s $D/err ]] || fail "put said: $(cat "$D/err")"
reads web /run/secrets/kept newer
lacks web /run/secrets/db

# The worker dies just before, while, or just after.
for ((round = 0; round < 8; round++)); do
	grant_db web
	worker=$(worker_of web)
	{
		for ((turn = 0; turn < round * 3000; turn++)); do :; done
		kill -9 "$worker"
	} &
	killer=$!
	[[ $round -gt 0 ]] || wait $killer
	succeeds coffer revoke "$grant"
	if [[ -s $D/err ]]; then
		names web
	else
		lacks web /run/secrets/db
	fi
	wait $killer || true
done

# More is granted than a container is shown: what is taken from it is taken all the same.
: >"$D/empty"
succeeds coffer grant many/ --container full
for ((batch = 0; batch < 16; batch++)); do
	pairs=()
	for ((i = 0; i < (batch < 15 ? 128 : 127); i++)); do
		pairs+=("many/$batch-$i=@$D/empty")
	done
	succeeds coffer put "${pairs[@]}"
done
succeeds coffer grant db --container full
grant=$(cat "$D/out")
container full
reads full /run/secrets/db value
succeeds coffer put many/more=@"$D/empty" many/most=@"$D/empty"
names full
succeeds coffer revoke "$grant"
names full # it shows not all that is granted, still
lacks full /run/secrets/db
audit_has withdraw '.container == "full" and .name == "db"'
succeeds coffer rm many/0-0
[[ ! -s $D/err ]] || fail "rm said: $(cat "$D/err")"
lacks full /run/secrets/many/0-0
reads full /run/secrets/many/more ''
succeeds coffer audit verify
