#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Row 19 of docs/threats.md: whatever the image has where the folder should be, and however it is swapped while the
# mount is made, the mount comes to the real folder or not at all, and never outside the container's root.
. "$(dirname "$0")/duel.sh"

duel
container victim
image() { # NAME COMMAND: a container whose image was changed by COMMAND, which runs in its root
	armed_bundle "$1" --writable "${@:3}"
	(cd "$D/$1.bundle/rootfs" && eval "$2")
	put "$1-secret" "$OWN_VALUE"
	succeeds coffer grant "$1-secret" --container "$1"
}
host_mounts() { # of ours, and where an image here could lead one to; other tests mount and unmount meanwhile
	findmnt -rno TARGET,FSTYPE,SOURCE | grep -E "fuse\.coffer|$D|^/etc|/secrets" | sort || true
}

refused() { # NAME PATTERN
	local before
	before=$(host_mounts)
	run runc run --detach --bundle "$D/$1.bundle" "$1" </dev/null
	[[ $status -ne 0 ]] || fail "$1 started"
	await_audit attach.failed ".container == \"$1\" and (.reason | test(\"$2\"))"
	[[ $(host_mounts) == "$before" ]] || fail "$1: the host's mounts changed"
}
image to-etc 'ln -s /etc run/secrets'
refused to-etc 'symbolic link'
image relative 'ln -s ../../../../../../etc run/secrets'
refused relative 'symbolic link'
image parent 'rmdir run && ln -s /etc run'
refused parent 'symbolic link'
[[ ! -e $D/parent.bundle/rootfs/etc/secrets ]] || fail "a folder was made behind the link"
image file 'echo text >run/secrets'
refused file 'no folder'
image fifo 'mkfifo run/secrets'
refused fifo 'no folder'
[[ ! -e /etc/secrets ]] || fail "there is an /etc/secrets on the host"

# A mount point is taken up, with what it holds.
image mounted 'mkdir run/secrets' --tmpfs /run/secrets
run_container mounted
reads mounted /run/secrets/mounted-secret "$OWN_VALUE"

# A link and a folder change places all the time.
image swap 'mkdir -p run/secrets run/other/etc; ln -s /etc run/link' --tmpfs /tmp --args 'sleep infinity'
bundle_swap=$D/swap.bundle
jq 'del(.hooks)' "$bundle_swap/config.json" >"$D/config.new"
mv "$D/config.new" "$bundle_swap/config.json"
run_container swap
in_container swap /attacker swap /run/secrets /run/link >"$D/swapper.log" 2>&1 &
swapper=$!
before=$(host_mounts)
attached=0
for _ in {1..12}; do
	run coffer attach swap
	[[ $status -eq 0 ]] && attached=$((attached + 1))
	[[ $(host_mounts) == "$before" ]] || fail "the host's mounts changed"
	in_container swap cat /proc/self/mountinfo >"$D/mounts"
	while read -r _ _ _ _ point _; do
		[[ $point == /run/secrets || $point == /run/link ]] || fail "mounted at $point"
	done < <(grep -w fuse.coffer "$D/mounts" || true)
	in_container swap ls /etc >"$D/out"
	never secret
	run coffer detach swap
done
kill -0 "$swapper" 2>/dev/null || fail "the swapper ended: $(cat "$D/swapper.log")"
kill "$swapper"
echo "attached $attached of 12 times while a link and the folder were swapped"
audit_has attach.failed '.container == "swap" and (.reason | test("symbolic link"))'
all_is_well
