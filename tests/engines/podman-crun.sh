#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Podman with crun, its default runtime where both are there: crun wants a host with cgroups version 2 alone, so Podman
# runs in a mount namespace that shows only those (the hook finds its way back to the host's). Registered by its hook,
# known again by a broker that comes back, found by its name and attached without a hook.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/podman-lib.sh"

install_hook
podman_broker
command -v crun >/dev/null || fail "crun is missing: see tests/install-packages"

# The second hierarchy of a host with both may have no controllers, and device filters want CAP_SYS_RESOURCE (which
# machines without a login may not have): the bundle's limits are left out. Nothing here is about them.
cat >"$PODMAN/crun" <<END
#!/bin/sh
bundle=
for arg in "\$@"; do
	[ ! "\$bundle" ] || {
		jq 'del(.linux.resources)' "\$arg/config.json" >"\$arg/config.new" &&
			mv "\$arg/config.new" "\$arg/config.json"
	}
	bundle=
	[ "\$arg" != --bundle ] || bundle=next
done
exec $(command -v crun) --root $D/runc "\$@"
END
chmod 755 "$PODMAN/crun"
sed -i "s|^runtime = .*|runtime = \"crun\"|; s|^runc = .*|crun = [\"$PODMAN/crun\"]|" "$CONTAINERS_CONF"

mkfifo "$D/up"
# shellcheck disable=SC2016
unshare --mount --propagation private bash -c '
	[[ -e /sys/fs/cgroup/cgroup.procs ]] || {
		umount --lazy /sys/fs/cgroup/*
		umount --lazy /sys/fs/cgroup
		mount -t cgroup2 none /sys/fs/cgroup
	} 2>/dev/null
	echo up >"$0"
	exec sleep infinity' "$D/up" >>"$D/up.log" 2>&1 &
holder=$!
on_exit=("end_processes $holder" "${on_exit[@]}")
read -r _ <"$D/up"
podman() {
	nsenter --target "$holder" --mount podman "$@"
}
[[ $(podman info --format '{{.Host.CgroupsVersion}} {{.Host.OCIRuntime.Name}}') == 'v2 crun' ]] || fail "not crun on v2"

image localhost/shop:1 'LABEL app=image'
put db value
coffer grant db --container shop --runtime podman >/dev/null
coffer grant db --label app=web >/dev/null
coffer grant db --label app=image --as wrong >/dev/null
succeeds podman run --detach --pids-limit -1 --name shop --label app=web localhost/shop:1 sleep infinity
id=$(cat "$D/out")
[[ -e $D/runc/$id/status ]] || fail "crun has no status of $id"
succeeds podman exec shop cat /run/secrets/db
says value
run podman exec shop cat /run/secrets/wrong
[[ $status -ne 0 ]] || fail "a label of the image matched"

stop_broker KILL
start_broker --keyfile "$D/key"
succeeds podman exec shop cat /run/secrets/db
says value
put db newer
succeeds podman exec shop cat /run/secrets/db
says newer

mkdir "$D/no-hooks"
succeeds podman --hooks-dir "$D/no-hooks" run --detach --pids-limit -1 --name late --label app=web \
	localhost/shop:1 sleep infinity
succeeds coffer attach late
succeeds podman exec late cat /run/secrets/db
says newer
succeeds podman rm --force --time 0 shop
await_audit end '.container == "shop"'
