# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A Podman of a scenario's own: storage, state and configuration below $D, sourced after lib.sh. What is not this
# machine's is left to Podman's defaults, so that the commands of docs/podman.md run here as they stand there.

command -v podman >/dev/null || fail "podman is missing: see tests/install-packages"

PODMAN=$D/podman
mkdir -p "$PODMAN" "$D/hooks.d"
export CONTAINERS_CONF=$PODMAN/containers.conf CONTAINERS_STORAGE_CONF=$PODMAN/storage.conf
export CONTAINERS_REGISTRIES_CONF=$PODMAN/registries.conf
: >"$CONTAINERS_REGISTRIES_CONF"
cat >"$CONTAINERS_STORAGE_CONF" <<END
[storage]
driver = "overlay"
graphroot = "$PODMAN/store"
runroot = "$PODMAN/run"
END
# Debian's crun refuses a host with both versions of cgroups; without CAP_SYS_RESOURCE limits cannot be raised; locks
# of their own, since Podman's usual ones are one for the whole host.
cat >"$CONTAINERS_CONF" <<END
[containers]
netns = "none"
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$PODMAN/tmp"
hooks_dir = ["$D/hooks.d"]
[engine.runtimes]
runc = ["$PODMAN/runc"]
END
# Its state where the scenario's broker looks and where the end of the scenario finds what is left.
printf '#!/bin/sh\nexec %s --root %s "$@"\n' "$(command -v runc)" "$D/runc" >"$PODMAN/runc"
chmod 755 "$PODMAN/runc"
# Monitors of containers, and what they start when one ends. The cgroup that Podman puts them in is all Podmans'.
monitors() {
	local pid
	cat "$CGROUP2"/libpod_parent/cgroup.procs /sys/fs/cgroup/*/libpod_parent/conmon/cgroup.procs 2>/dev/null |
		sort -u | while read -r pid; do
		! grep -qa "$PODMAN" "/proc/$pid/cmdline" 2>/dev/null || echo "$pid"
	done
}
end_podman() {
	local pods=() pod pids
	mapfile -t pods < <(podman pod ps --quiet --no-trunc)
	podman pod rm --all --force --time 0
	podman rm --all --force --time 0
	while mapfile -t pids < <(monitors) && [[ ${#pids[@]} -gt 0 ]]; do
		"$here/await" end "${pids[@]}"
	done
	for pod in "${pods[@]}"; do
		rmdir "$CGROUP2/libpod_parent/$pod" /sys/fs/cgroup/*/"libpod_parent/$pod"
	done
	rmdir "$CGROUP2"/libpod_parent /sys/fs/cgroup/*/libpod_parent{/conmon,}
}
on_exit+=('end_podman >>"$D/end.log" 2>&1')

# hooks.d as an installation fills it, for a broker that has another runtime folder.
install_hook() {
	cmake --install "$COFFER_BUILD/client" --prefix "$PODMAN/usr" >"$PODMAN/install.log" 2>&1 || fail "cmake --install"
	jq --arg dir "$RUN" '.hook.env = ["COFFER_RUNTIME_DIR=" + $dir]' \
		"$PODMAN/usr/share/containers/oci/hooks.d/coffer-hook.json" >"$D/hooks.d/coffer-hook.json"
}

# A broker that knows this Podman, with an empty store.
podman_broker() { # [JQ-FILTER]
	write_config ".engine_roots = [\"$PODMAN/store\"] | ${1:-.}"
	unsealed_broker
}

# The userland of all images here.
podman_root() {
	[[ -d $PODMAN/rootfs ]] || bundle_root "$PODMAN/rootfs"
}

image() { # NAME [CHANGE...]: imported, with changes as of a Containerfile
	local name=$1 change changes=()
	shift
	podman_root
	for change in "$@"; do
		changes+=(--change "$change")
	done
	tar -C "$PODMAN/rootfs" -c . |
		podman import --quiet "${changes[@]}" - "$name" >"$PODMAN/import" 2>>"$D/podman.log" ||
		fail "podman import: $(cat "$D/podman.log")"
}
