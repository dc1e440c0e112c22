#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Docker container's life with secrets: started while the broker is sealed, renamed, restarted by hand and by its
# restart policy, served on while dockerd and containerd are killed and come again, removed by force. Each start is
# registered anew and nothing of the last one stays.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=docker-lib.sh
. "$(dirname "$0")/docker-lib.sh"
# shellcheck source=../survival/ends-lib.sh
. "$(dirname "$0")/../survival/ends-lib.sh"

docker_with_coffer
put db first
succeeds coffer grant db --container web
succeeds coffer grant db --label must=have
counts >"$D/counts"
began=$(cat "$D/counts")

sees() { # CONTAINER VALUE
	succeeds docker exec "$1" cat /run/secrets/db
	says "$2"
}

# ---- sealed, absent ----

succeeds coffer seal
succeeds docker run --detach --name web --network none --restart always debian:12 sleep infinity
run docker exec web cat /run/secrets/db
[[ $status -ne 0 ]] || fail "a sealed store serves a new container"
told 'No such file or directory'
succeeds coffer explain web
told 'the broker is sealed'
succeeds coffer unseal --keyfile "$D/coffer.key"
await_audit attach '.container == "web"'
sees web first

stop_broker
succeeds docker run --detach --name later --label must=have debian:12 sleep infinity
docker_config '.wait = [{runtime: "docker", image: "payments:1"}]'
start_broker
await_audit attach '.container == "later"'
sees later first

# One that must not run without its secrets is held back by a sealed broker until the store is unsealed, or not started.
docker tag debian:12 payments:1
succeeds coffer grant db --container payments
succeeds coffer seal
docker run --detach --name payments payments:1 sleep infinity >"$D/payments.log" 2>&1 &
payments=$!
until pgrep -f "^$HOOK" >>"$D/end.log"; do
	kill -0 $payments || fail "it was not held back: $(cat "$D/payments.log")"
done
succeeds coffer unseal --keyfile "$D/coffer.key"
wait $payments || fail "it did not start: $(cat "$D/payments.log")"
sees payments first
succeeds docker rm --force payments
succeeds coffer seal
run docker run --name payments payments:1 sleep infinity
[[ $status -ne 0 ]] || fail "it started without its secrets"
told 'it must not run without its secrets'
succeeds docker rm --force payments
succeeds coffer unseal --keyfile "$D/coffer.key"

# ---- again and again ----

instance() { # CONTAINER
	coffer ps --json | jq -r --arg name "$1" '.attachments[] | select(.container == $name).instance'
}
before=$(instance web)
succeeds docker restart --time 0 web
sees web first
[[ $(instance web) != "$before" ]] || fail "a container started anew is taken for the old one"

# Its first process ends; Docker starts another one.
before=$(instance web)
pid=$(pid_of web)
kill -9 "$pid"
await_audit register '.container == "web" and .pid != '"$pid and .instance != \"$before\""
await_event '^start web' 3 # by run, by restart, and now
sees web first
[[ $(pid_of web) -ne $pid ]] || fail "its first process is the one that was killed"

# The name counts as it is at the start.
succeeds docker rename web shop
sees shop first
id=$(docker inspect --format '{{.Id}}' shop)
for called in shop "$id" "${id:0:12}"; do
	succeeds coffer explain --json "$called"
	says_json ".instance == \"$(instance web)\""
done
succeeds coffer explain shop
told 'its engine calls it shop now'
succeeds docker restart --time 0 shop
run docker exec shop cat /run/secrets/db
[[ $status -ne 0 ]] || fail "what was granted to the old name stays"
succeeds docker rename shop web
succeeds docker restart --time 0 web
sees web first

# ---- the engine ----

pid=$(pid_of web)
stop_daemon "$docker_pid"
put db second
[[ $(nsenter -t "$pid" -m -p cat /run/secrets/db) == second ]] || fail "without dockerd no new version is shown"
stop_daemon "$containerd_pid"
start_containerd
start_docker
[[ $(pid_of web) -eq $pid ]] || fail "live-restore lost the container"
sees web second
stop_daemon "$docker_pid" TERM
start_docker
sees web second
put db third
sees web third
sees later third

# ---- the end ----

succeeds docker rm --force web
succeeds docker stop --time 0 later
succeeds docker start later
sees later third
succeeds docker rm --force later
counts_become "$began"
succeeds coffer ps --json
says_json '.attachments == []'
audit_has end '.container == "web"'
succeeds coffer audit verify
echo "$SECONDS s"
