#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Some hundred rotations under readers of several kinds in two containers: at no moment is the file missing, never
# are two versions mixed, size and mtime are the version's own, each version is an inode of its own, and what was
# opened or mapped before is the old version to its end.
. "$(dirname "$0")/lib.sh"
# shellcheck source=rotation-lib.sh
. "$here/rotation-lib.sh"

ROTATIONS=${COFFER_ROTATIONS:-$(rotations 320)}
WAYS=(plain mmap list path hold)
containers=(web api)

unsealed_broker
: >"$D/created"
note_times() { # history is kept for some versions only
	coffer history db --json | jq -r '.versions[] | "\(.version) \(.created) \(.size)"' >>"$D/created"
}

rotate_to db 1
for name in "${containers[@]}"; do
	succeeds coffer grant db --container "$name"
	rotation_container "$name"
done

readers=()
for name in "${containers[@]}"; do
	for way in "${WAYS[@]}"; do
		mkfifo "$D/$name.$way.fifo"
		runc exec "$name" rotation-reader "$way" /run/secrets db /tmp/stop \
			>"$D/$name.$way.fifo" 2>&1 </dev/null &
		readers+=($!)
		exec {line}<"$D/$name.$way.fifo"
		read -r said <&"$line" || true
		[[ $said == reading ]] || fail "the reader '$way' in $name said '$said'"
		cat <&"$line" >"$D/$name.$way.seen" &
		readers+=($!)
		exec {line}<&-
	done
done

for ((version = 2; version <= ROTATIONS + 1; version++)); do
	rotate_to db $version
	((version % 8)) || note_times
done
note_times
for name in "${containers[@]}"; do
	succeeds in_container "$name" touch /tmp/stop
done
for pid in "${readers[@]}"; do
	wait "$pid" || fail "a reader failed: $(grep -H FAILED "$D"/*.seen)"
done
! grep FAILED "$D"/*.seen || fail "a reader failed"

# What each saw is what was stored: version, time, size and letter.
last=$((ROTATIONS + 1))
for ((version = 1; version <= last; version++)); do
	echo "$version $(size_of_version $version) $(letter_of_version $version)"
done >"$D/letters"
for name in "${containers[@]}"; do
	for way in "${WAYS[@]}"; do
		grep -qE '^passes [0-9]+$' "$D/$name.$way.seen" || fail "the reader '$way' in $name did not end as it must"
		[[ $way != list ]] || continue
		for version in 1 $last; do
			grep -qE "^seen .* $version\$" "$D/$name.$way.seen" || fail "'$way' in $name has not seen version $version"
		done
	done
	# All readers of a container agree: one inode for each version, one version for each inode.
	grep -h '^seen ' "$D/$name".*.seen | sort -u >"$D/$name.inodes"
	python3 - "$D/created" "$D/letters" "$D/$name.inodes" >"$D/compare" 2>&1 <<'PYTHON' || fail "$name: $(cat "$D/compare")"
import calendar, sys, time

created, sizes = {}, {}
for line in open(sys.argv[1]):
    version, text, size = line.split()
    whole, micro = text.rstrip("Z").split(".")
    at = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 10**6 + int(micro)
    created[int(version)] = (at, int(size))
letters = {int(v): (int(size), letter) for v, size, letter in (line.split() for line in open(sys.argv[2]))}
inodes, versions = {}, {}
for line in open(sys.argv[3]):
    _, inode, mtime_ns, size, letter, version = line.split()
    version = int(version)
    if (int(mtime_ns) // 1000, int(size)) != created[version]:
        sys.exit(f"version {version} has mtime {mtime_ns} and size {size}, and was stored as {created[version]}")
    if (int(size), letter) != letters[version]:
        sys.exit(f"version {version} was {size} bytes of '{letter}', not {letters[version]}")
    if inodes.setdefault(version, inode) != inode or versions.setdefault(inode, version) != version:
        sys.exit(f"inode {inode}: versions {version} and {versions[inode]}, whose inode is {inodes[version]}")
print(len(versions))
PYTHON
	echo "$name: $(awk '/^passes/ { sum += $2 } END { print sum }' "$D/$name".*.seen) passes," \
		"$(cat "$D/compare") of $last versions seen"
	[[ $(cat "$D/compare") -ge $((last / 10)) ]] || fail "the readers in $name saw too little to say anything"
done
succeeds coffer audit verify
