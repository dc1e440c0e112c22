#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What docs/docker.md says that Docker's options do with secrets: users, read-only roots, tmpfs and volumes, init, pid
# namespaces, health checks, exec; and that nothing copied or committed from a container holds a secret.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=docker-lib.sh
. "$(dirname "$0")/docker-lib.sh"

docker_with_coffer
value=never-in-an-image-$TAG
put db "$value"
succeeds coffer grant db --runtime docker

# ---- one container for each option, which says what it finds ----

finds() { # MODE UID OPTION...: the file as the container sees it
	succeeds docker run --rm "${@:3}" debian:12 sh -c 'stat -c "%a %u" /run/secrets/db; cat /run/secrets/db'
	says "$1 $2"$'\n'"$value"
}
mkdir "$D/folder"
finds 444 0
finds 400 1000 --user 1000
finds 400 1000 --user app
finds 400 1234 --user 1234:5678
finds 444 0 --read-only
finds 444 0 --tmpfs /run
finds 444 0 --read-only --tmpfs /run
finds 444 0 --init
finds 444 0 --runtime coffer
finds 444 0 --cgroupns private
finds 444 0 --ulimit core=-1 --ulimit nofile=1024
finds 444 0 -v "$D/folder:/run"
finds 444 0 -v "$D/folder:/run:ro"
finds 444 0 -v volume:/run
finds 444 0 --security-opt no-new-privileges --cap-drop ALL
[[ -z $(find "$D/folder" -type f) ]] || fail "a secret is in the host's folder: $(find "$D/folder")"

mkdir "$D/own"
echo theirs >"$D/own/other"
succeeds docker run --rm -v "$D/own:/run/secrets" debian:12 sh -c 'cat /run/secrets/other /run/secrets/db'
says "theirs"$'\n'"$value"
[[ $(ls "$D/own") == other ]] || fail "the host's folder was written to: $(ls "$D/own")"

# A single file there, as Compose mounts its own secrets; and one of the same name, which stays.
succeeds docker run --rm -v "$D/own/other:/run/secrets/third:ro" debian:12 cat /run/secrets/third /run/secrets/db
says "theirs"$'\n'"$value"
succeeds docker run --rm -v "$D/own/other:/run/secrets/db:ro" debian:12 cat /run/secrets/db
says theirs

# ---- the host's processes ----

run docker run --rm --pid=host debian:12 cat /run/secrets/db
[[ $status -ne 0 ]] || fail "a weak container has what was granted to strong ones"
grant=$(coffer grant db --container weak --allow-weak --as weakly)
succeeds docker run --rm --name weak --pid=host debian:12 cat /run/secrets/weakly
says "$value"
succeeds coffer revoke "$grant"

# ---- exec, health, neighbours ----

succeeds docker run --detach --name app --user app --health-cmd 'grep -q never-in /run/secrets/db' \
	--health-interval 1s -v shared:/run -v data:/data debian:12 sleep infinity
succeeds docker exec app cat /run/secrets/db
says "$value"
succeeds docker exec --user root app cat /run/secrets/db
says "$value"
run docker exec --user 4321 app cat /run/secrets/db
[[ $status -ne 0 ]] || fail "another user of the container reads a file of mode 0400"
await_event 'health_status: healthy app'

# Another one with its volumes and in its pid namespace has its own mount; what is revoked for one stays for the other.
put other "other-$value"
succeeds coffer grant other --container side
succeeds docker run --detach --name side --volumes-from app --pid container:app debian:12 sleep infinity
succeeds docker exec side cat /run/secrets/other
says "other-$value"
run docker exec app cat /run/secrets/other
[[ $status -ne 0 ]] || fail "a container sees its neighbour's secret through a shared volume"
succeeds docker exec --user root app sh -c 'pidof sleep | wc -w'
says 2
run docker exec --user root app sh -c 'cat "/proc/$(pidof sleep | tr " " "\n" | grep -vx 1)/root/run/secrets/other"'
[[ $status -ne 0 ]] || fail "a container sees its neighbour's secret through /proc"
grep -q 'Permission denied' "$D/err" || fail "it was not the worker that refused: $(cat "$D/err")"
audit_has open '.container == "side" and .result == "EACCES"'

# ---- what leaves a container ----

succeeds docker exec --user root app sh -c 'echo kept >/kept; cp /run/secrets/db /run/copy-in-a-volume'
docker cp app:/run/secrets - >"$D/cp.tar" 2>"$D/err" || true
succeeds docker commit app committed:1
docker save committed:1 >"$D/save.tar"
docker export app >"$D/export.tar"
mkdir "$D/build"
printf 'FROM debian:12\nRUN grep -q never-in /run/secrets/db && echo kept >/seen\n' >"$D/build/Dockerfile"
DOCKER_BUILDKIT=0 succeeds docker build --network none --tag built:1 "$D/build"
docker save built:1 >"$D/build.tar"
succeeds docker diff app
for what in cp save export build; do
	[[ $what == cp || -s $D/$what.tar ]] || fail "docker $what gives nothing"
	! grep -qaF "$value" "$D/$what.tar" || fail "a secret is in what docker $what gives"
done
grep -qa kept "$D/save.tar" && grep -qa kept "$D/build.tar" || fail "the image lacks what was written: the search above proves nothing"
! grep -rqaF "$value" "$E/data/containers" "$E/data/image" || fail "a secret is in Docker's own files"
# What the container itself copied is its own affair; elsewhere nothing of it lies on the host's disk.
mapfile -t copies < <(grep -rlaF "$value" "$E/data" "$E/exec" "$E/root" 2>/dev/null || true)
for copy in "${copies[@]}"; do
	[[ $copy == */volumes/shared/_data/copy-in-a-volume ]] ||
		fail "a secret lies in $copy"
done
echo "$SECONDS s"
