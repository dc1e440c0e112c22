#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# doctor finds what is really wrong: a broker that is sealed, away or complains, containers that it was not told of or
# that are as strong as the host, hooks, units and lists that are not as they must be; each with its severity and exit
# status; and when all is mended it finds nothing.
. "$(dirname "$0")/lib.sh"

HOST=$D/host
doctor() { # [options]: prints JSON
	coffer doctor --json --root "$HOST" "$@"
}

finds() { # SEVERITY CHECK PATTERN [options of doctor]: and its exit status fits
	local severity=$1 check=$2 pattern=$3 want=0
	shift 3
	run doctor "$@"
	jq -e --arg s "$severity" --arg c "$check" --arg p "$pattern" \
		'any(.findings[]; .severity == $s and .check == $c and (.what | test($p)) and (.why | length) > 20 and (.do | length) > 10)' \
		"$D/out" >/dev/null || fail "no $severity of $check like '$pattern': $(cat "$D/out" "$D/err")"
	[[ $(jq .errors "$D/out") -eq 0 ]] || want=1
	[[ $status -eq $want ]] || fail "status $status, not $want: $(cat "$D/out" "$D/err")"
	if [[ $severity == error ]]; then
		[[ $status -eq 1 ]] || fail "an error, and status $status"
		grep -q '^coffer: [1-9][0-9]* errors' "$D/err" || fail "said: $(cat "$D/err")"
	fi
}

finds_no() { # CHECK [options of doctor]
	local check=$1
	shift
	run doctor "$@"
	jq -e --arg c "$check" 'any(.findings[]; .check == $c) | not' "$D/out" >/dev/null ||
		fail "$check still finds something: $(jq -c ".findings[] | select(.check == \"$check\")" "$D/out")"
}

healthy() { # no error and no warning
	run doctor --strict
	[[ $status -eq 0 ]] || fail "not healthy: $(jq -c '.findings[] | select(.severity != "note")' "$D/out") $(cat "$D/err")"
}

# A host on which everything is as it should be.
units=$here/../../systemd
unit_file=$units/cofferd.service.in
mkdir -p "$HOST"/{dev,proc/sys/vm,proc/sys/kernel,sys/fs/cgroup,run/systemd/system,usr/bin} \
	"$HOST"/etc/{docker,coffer,systemd/system/multi-user.target.wants,systemd/system/sockets.target.wants} \
	"$HOST"/usr/lib/systemd/system "$HOST"/etc/containers/oci/hooks.d
mknod "$HOST/dev/fuse" c 10 229 2>/dev/null || touch "$HOST/dev/fuse"
touch "$HOST/sys/fs/cgroup/cgroup.controllers"
echo 0 >"$HOST/proc/sys/vm/memfd_noexec"
echo core >"$HOST/proc/sys/kernel/core_pattern"
heading=$'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority'
echo "$heading" >"$HOST/proc/swaps"
cp "$unit_file" "$HOST/usr/lib/systemd/system/cofferd.service"
cp "$units/coffer-spawner.service.in" "$HOST/usr/lib/systemd/system/coffer-spawner.service"
cp "$units/coffer-spawner.socket" "$HOST/usr/lib/systemd/system/"
ln -s /x "$HOST/etc/systemd/system/multi-user.target.wants/cofferd.service"
ln -s /x "$HOST/etc/systemd/system/sockets.target.wants/cofferd.socket"
for program in dockerd podman coffer-runc coffer-hook; do
	install -m 755 /bin/true "$HOST/usr/bin/$program"
done
echo '{"runtimes": {"coffer": {"path": "/usr/bin/coffer-runc"}}, "default-runtime": "coffer", "live-restore": true}' \
	>"$HOST/etc/docker/daemon.json"
hook_json=$HOST/etc/containers/oci/hooks.d/coffer.json
echo '{"version": "1.0.0", "hook": {"path": "/usr/bin/coffer-hook"}, "when": {"always": true},
	"stages": ["createRuntime", "poststop"]}' >"$hook_json"
echo '[{"runtime": "docker", "container": "payments"}]' >"$HOST/etc/coffer/must-wait.json"

echo "-- without a broker, without a store, sealed"
finds error broker.reach 'cannot reach the broker'
start_broker
finds error broker.store 'no store yet'
coffer init --keyfile "$D/key"
put db value
coffer grant db --container web >/dev/null
container web
healthy
says_json '.checks > 25 and .errors == 0'
succeeds coffer seal
finds error broker.store 'sealed'
succeeds coffer unseal --keyfile "$D/key"
healthy

echo "-- containers"
bundle stranger --tmpfs /run
run_container stranger
finds warning container.registered 'stranger'
fails 1 '1 warnings' coffer doctor --strict --root "$HOST" container.registered
succeeds coffer attach stranger
healthy
delete_container stranger

touch "$D/docker.sock"
container proxy --mount "$D/docker.sock:/var/run/docker.sock"
finds error container.reach 'proxy.*docker.sock'
delete_container proxy
container whole --mount /:/host
finds error container.reach "whole.*host's root"
delete_container whole
container inside --mount "$RUN:/run/coffer"
finds error container.reach "inside.*broker's folder"
delete_container inside
container workload --mount "$RUN/workload:/run/coffer"
finds warning container.reach 'workload.*writable'
delete_container workload
container reader --mount "$RUN/workload:/run/coffer" \
	--jq '.mounts |= map(if .destination == "/run/coffer" then .options = ["bind", "ro"] else . end)'
finds_no container.reach
delete_container reader
caps='.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
container admin --jq "$caps"
finds warning container.power 'admin.*CAP_SYS_ADMIN'
delete_container admin
bundle limitless --hook --jq "$caps | .process.rlimits = [{type: \"RLIMIT_CORE\", hard: 4711, soft: 4711}]"
sed -i 's/\b4711\b/18446744073709551615/' "$D/limitless.bundle/config.json" # jq would round it
run_container limitless
finds warning container.power 'limitless.*CAP_SYS_ADMIN'
echo '{' >"$D/limitless.bundle/config.json"
for check in container.power container.reach container.namespaces; do
	finds warning "$check" 'limitless was not looked at'
done
finds_no container.registered
delete_container limitless
container mapped --userns --jq "$caps"
finds_no container.power
delete_container mapped
container strong --jq "${caps/CAP_SYS_ADMIN/CAP_SYS_MODULE}"
finds error container.power 'strong.*privileged'
delete_container strong
container shared --jq '.linux.namespaces |= map(select(.type != "pid"))'
finds warning container.namespaces 'shared'
delete_container shared
healthy

echo "-- grants"
id=$(coffer grant db --container nobody-has-that-name)
finds note grant.unused "$id.*db"
finds note grant.conditions '2 of 2 grants'
coffer revoke "$id" >/dev/null
finds_no grant.unused

echo "-- engines, units, lists, the host"
chmod 666 "$HOST/etc/coffer/must-wait.json"
finds error host.must-wait 'others than root'
chmod 644 "$HOST/etc/coffer/must-wait.json"
echo '[{"contaner": "x"}]' >"$HOST/etc/coffer/must-wait.json"
finds error host.must-wait 'entry may have'
rm "$HOST/etc/coffer/must-wait.json"
finds_no host.must-wait

mv "$hook_json" "$D/hook.json"
finds warning engine.podman 'no hook'
sed 's/createRuntime/prestart/' "$D/hook.json" >"$hook_json"
finds error engine.podman 'not for createRuntime'
cp "$D/hook.json" "$hook_json"
chmod 644 "$HOST/usr/bin/coffer-hook"
finds error engine.podman 'no program that is there'
chmod 755 "$HOST/usr/bin/coffer-hook"
finds_no engine.podman
mkdir -p "$HOST/srv/hooks" "$HOST/etc/containers/containers.conf.d"
mv "$hook_json" "$HOST/srv/hooks/"
printf '#hooks_dir = ["/etc/containers/oci/hooks.d"]\nhooks_dir = ["/srv/hooks"]\n' >"$HOST/etc/containers/containers.conf"
finds_no engine.podman
echo 'hooks_dir = ["/etc/containers/oci/hooks.d"]' >"$HOST/etc/containers/containers.conf.d/later.conf"
finds warning engine.podman 'no hook'
mv "$HOST/srv/hooks/coffer.json" "$hook_json"
finds_no engine.podman
cp "$HOST/etc/docker/daemon.json" "$D/daemon.json"
echo '{' >"$HOST/etc/docker/daemon.json"
finds error engine.docker 'no JSON'
echo '{}' >"$HOST/etc/docker/daemon.json"
finds warning engine.docker 'no runtime coffer-runc'
jq 'del(."default-runtime", ."live-restore")' "$D/daemon.json" >"$HOST/etc/docker/daemon.json"
finds note engine.docker 'not its default'
finds note engine.docker 'restore'
jq '.runtimes = {other: {path: "/gone/coffer-runc"}} + .runtimes' "$D/daemon.json" >"$HOST/etc/docker/daemon.json"
finds_no engine.docker
cp "$D/daemon.json" "$HOST/etc/docker/daemon.json"
finds_no engine.docker

unit=$HOST/usr/lib/systemd/system/cofferd.service
sed -i 's/^KillMode=.*/KillMode=mixed/; s/^FileDescriptorStoreMax=.*//; s/^Before=.*//' "$unit"
finds error host.units 'KillMode=mixed'
finds warning host.units 'ordered before'
finds warning host.units 'no descriptors'
mkdir "$HOST/etc/systemd/system/cofferd.service.d"
printf '[Unit]\nBefore=docker.service containerd.service\n[Service]\nKillMode=process\nFileDescriptorStoreMax=12288\n' \
	>"$HOST/etc/systemd/system/cofferd.service.d/override.conf"
finds_no host.units
rm -r "$HOST/etc/systemd/system/cofferd.service.d"
cp "$unit_file" "$unit"
sed -i 's/^KillMode=.*//' "$HOST/usr/lib/systemd/system/coffer-spawner.service"
finds error host.units 'coffer-spawner.service has KillMode=control-group'
rm "$HOST/usr/lib/systemd/system/coffer-spawner.service"
finds warning host.units 'no unit coffer-spawner.service'
cp "$units/coffer-spawner.service.in" "$HOST/usr/lib/systemd/system/coffer-spawner.service"
rm "$HOST/etc/systemd/system/sockets.target.wants/cofferd.socket"
finds warning host.units 'cofferd.socket is not enabled'
ln -s /x "$HOST/etc/systemd/system/sockets.target.wants/cofferd.socket"
finds_no host.units
mv "$HOST/run/systemd" "$HOST/run/other"
finds note host.units 'systemd does not run'
mv "$HOST/run/other" "$HOST/run/systemd"

printf '%s\n/dev/sda2                               partition\t1000\t\t0\t\t-2\n/dev/zram0 partition 1 0 5\n' "$heading" >"$HOST/proc/swaps"
finds note host.swap '/dev/sda2'
[[ $(jq '[.findings[] | select(.check == "host.swap")] | length' "$D/out") -eq 1 ]] || fail "zram is memory"
mkdir -p "$HOST"/sys/class/block/{dm-0,dm-1}/dm "$HOST/sys/class/block/dm-1/slaves"
echo CRYPT-LUKS2-x >"$HOST/sys/class/block/dm-0/dm/uuid"
echo LVM-x >"$HOST/sys/class/block/dm-1/dm/uuid"
ln -s ../../dm-0 "$HOST/sys/class/block/dm-1/slaves/dm-0"
printf '%s\n/dev/dm-1 partition 1000 0 -2\n' "$heading" >"$HOST/proc/swaps"
finds_no host.swap
printf '%s\n/swapfile file 1000 0 -2\n' "$heading" >"$HOST/proc/swaps"
finds note host.swap 'file /swapfile: .* cannot be told'
echo '|/usr/lib/systemd/systemd-coredump %P' >"$HOST/proc/sys/kernel/core_pattern"
finds note host.core 'systemd-coredump'
echo 2 >"$HOST/proc/sys/vm/memfd_noexec"
finds error kernel.memfd 'memfd_noexec'
echo 1 >"$HOST/proc/sys/vm/memfd_noexec"
mv "$HOST/dev/fuse" "$D/fuse"
finds error kernel.fuse 'no /dev/fuse'
mv "$D/fuse" "$HOST/dev/fuse"
healthy

echo "-- the broker's own folders, and what it complains of"
chmod 777 "$RUN/workload"
finds error broker.sockets 'workload.*0777'
chmod 755 "$RUN/workload"
healthy
stop_broker
start_broker --keyfile "$D/key"
finds_no broker.program
succeeds coffer seal
finds error broker.trouble 'did not unseal'
succeeds coffer unseal --keyfile "$D/key"

echo "-- what it prints"
fails 2 'no such check' coffer doctor broker.nothing
succeeds coffer doctor --list
grep -q $'^kernel.fuse\t' "$D/out" || fail "the list: $(cat "$D/out")"
while IFS=$'\t' read -r check _; do
	grep -qF "| \`$check\` |" "$here/../../docs/doctor.md" || fail "docs/doctor.md does not tell of $check"
done <"$D/out"
chmod 777 "$RUN/pending"
fails 1 '^coffer: 1 errors, 0 warnings' coffer doctor --root "$HOST"
head -n 3 "$D/out" | tr '\n' '~' | grep -q '^error   broker.sockets: .*~        why: .*~        do: ' || fail "it prints: $(cat "$D/out")"
chmod 700 "$RUN/pending"
succeeds coffer doctor --root "$HOST"
tail -n 1 "$D/out" | grep -q '^ok: [0-9]* checks, 0 warnings' || fail "it ends with: $(tail -n 1 "$D/out")"
