#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/docker.md, line by line, with a real Docker: set-up, the first secret, each condition of a grant, and what a
# newcomer does wrong, with the messages that the page explains.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=docker-lib.sh
. "$(dirname "$0")/docker-lib.sh"

docker_with_coffer
docker run --detach --name before --runtime runc debian:12 sleep infinity >/dev/null # from before Coffer came

# ---- the first secret ----

follow "The first secret" 1
[[ $(tail -n 1 "$D/out") == *"correct horse" ]] || fail "the first secret does not come: $(cat "$D/out")"
follow "The first secret" 2
[[ $(tail -n 1 "$D/out") == *"battery staple" ]] || fail "a new value does not come: $(cat "$D/out")"
succeeds coffer explain --json shop
says_json '.facts | any(.name == "container" and .value == "shop")'
says_json '.facts | any(.name == "image" and .value == "debian:12")'
succeeds coffer attach before # to show that grants, not the hook, decide from here on

# ---- conditions ----

follow "Which containers: the conditions of a grant" 1
mapfile -t grants <"$D/out" # container, label, compose, digest, tag, runtime
[[ ${#grants[@]} -eq 6 ]] || fail "not six grants: $(cat "$D/out")"
matches() { # CONTAINER WANTED...: for each of the six whether it matches, "-" for no; and its strength
	local container=$1 i
	shift
	succeeds coffer explain --json "$container"
	for i in 0 1 2 3 4 5; do
		jq -e --arg id "${grants[i]}" --arg want "${*:i+1:1}" 'first(.matches[] | select(.grant == $id)) |
			if $want == "-" then .matches == false else .matches and .strength == $want end' "$D/out" >/dev/null ||
			fail "grant $i should be ${*:i+1:1} for $container: $(jq -c ".matches[]" "$D/out")"
	done
}
image other:1 'LABEL app=shop' 'LABEL com.docker.compose.project=shop' 'LABEL com.docker.compose.service=db'
run_detached() { # NAME [options of docker run] IMAGE
	succeeds docker run --detach --name "$1" "${@:2}" sleep infinity
}
matches shop weak - - strong weak weak
run_detached labelled --label app=shop debian:12
matches labelled - weak - strong weak weak
run_detached shopping --label app=shopping debian:12
matches shopping - - - strong weak weak
run_detached composed --label com.docker.compose.project=shop --label com.docker.compose.service=db debian:12
matches composed - - weak strong weak weak
run_detached half --label com.docker.compose.project=shop debian:12
matches half - - - strong weak weak
run_detached hostile other:1 # what it says of itself is what the grants want
matches hostile - - - - - weak
run_detached own --label app=shop other:1 # set by its starter too: nobody can tell
matches own - - - - - weak
run_detached over --label app=else --label extra=1 other:1
matches over - - - - - weak
run_detached by-id "$(docker image inspect --format '{{.Id}}' debian:12)"
matches by-id - - - strong - weak

# A tag that is moved takes the tag's grant with it, not the digest's.
docker tag other:1 debian:12
run_detached moved debian:12
matches moved - - - - weak weak
succeeds coffer revoke "${grants[4]}"
succeeds coffer revoke "${grants[5]}"
lacks_there() { # CONTAINER
	run docker exec "$1" cat /run/secrets/db-password
	[[ $status -ne 0 ]] || fail "$1 has the password"
	told 'No such file or directory'
}
lacks_there moved
lacks_there hostile
succeeds docker exec labelled cat /run/secrets/db-password
says "battery staple"

# The beginning of an id will do where there is only one of that kind.
number=0
while begins=$(docker ps -q | cut -c 1 | sort | uniq -d | head -n 1) && [[ -z $begins ]]; do
	run_detached "more-$((++number))" debian:12
done
fails 1 'running containers of Docker .* have ids that begin so; give the whole id' coffer attach "$begins"

# ---- mistakes ----

run coffer explain hostile
told 'does not match'
told 'came with the image, and what an image says of itself never matches'
fails 1 'allow-tag' coffer grant db-password --image debian:12
run_detached nohook --runtime runc debian:12
succeeds coffer explain nohook
told 'it was started without coffer-hook'
succeeds docker inspect --format '{{.HostConfig.Runtime}}' nohook
says runc
succeeds docker inspect --format '{{.HostConfig.Runtime}}' hostile
says coffer

# A program that starts as root and drops to a user meets a key of root's; --uid makes it that user's.
openssl genpkey -algorithm ed25519 2>/dev/null | coffer put tls/key >/dev/null
grant=$(coffer grant tls/key --container labelled)
run docker exec --user app labelled cat /run/secrets/key
[[ $status -ne 0 ]] || fail "another user reads a private key"
told 'Permission denied'
succeeds coffer revoke "$grant"
succeeds coffer grant tls/key --container labelled --uid 1000
succeeds docker exec --user app labelled cat /run/secrets/key
grep -q 'BEGIN PRIVATE KEY' "$D/out" || fail "the user does not get its key"

succeeds docker run --detach --name host --pid=host --label app=shop debian:12 sleep infinity
succeeds coffer explain host
told "it shares the host's pid namespace"

succeeds coffer grant db-password --label refused=yes
mkdir "$D/shared"
mount -t tmpfs shared "$D/shared"
on_exit+=('umount -l "$D/shared"')
mount --make-shared "$D/shared"
run docker run --label refused=yes --mount "type=bind,src=$D/shared,dst=/run,bind-propagation=rshared" debian:12 true
[[ $status -ne 0 ]] || fail "secrets went onto a shared mount"
told 'coffer-hook: '
grep -q 'shared propagation' "$D/err" || fail "no reason is given: $(cat "$D/err")"

# ---- the runtime's own ----

mkdir "$D/alone"
cp "$COFFER_BUILD/client/coffer-runc" "$D/alone/"
jq --arg path "$D/alone/coffer-runc" '.runtimes.coffer.path = $path' "$E/daemon.json" >"$D/daemon.json"
cp "$D/daemon.json" "$E/daemon.json"
systemctl reload docker
run docker run debian:12 true
[[ $status -ne 0 ]] || fail "a container started without its hook"
told 'is not there; install Coffer again'
echo '{"live-restore": true}' >"$E/daemon.json"
stop_daemon "$docker_pid" TERM
start_docker
succeeds docker run --detach --name plain debian:12 sleep infinity
succeeds docker rm --force shop
succeeds docker stop --time 0 moved
run docker start moved
[[ $status -ne 0 ]] || fail "a container starts with a runtime that is gone"
told 'Unknown runtime specified coffer'

# ---- where Docker keeps its data ----

stop_broker
write_config ". + {runc_roots: [\"$E/exec/runtime-runc/moby\"]}"
start_broker
succeeds coffer attach --pid "$(pid_of plain)"
succeeds coffer explain "$(docker inspect --format '{{.Id}}' plain)"
told "put Docker's data folder"
echo "$SECONDS s"
