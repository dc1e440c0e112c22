#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Upgrades under readers, to a build whose private protocol, shared memory and audit ring have another layout, and back
# again, 12 times each way, with the broker stopped or killed. Each worker makes room for one of the new build on the same
# mount, which answers the request that was in hand. No reader sees an error or a change, a rotation that an upgrade falls
# into is finished, and the log has every open once.
. "$(dirname "$0")/../integration/lib.sh"

CONTAINERS=3
ROUNDS=24
THIS=$COFFER_BUILD
NEXT=$COFFER_BUILD/tests/next
[[ -x $NEXT/cofferd && -x $NEXT/cofferfs ]] || { echo "ninja -C $COFFER_BUILD next makes what this wants" >&2; exit 1; }

# start_broker runs $COFFER_BUILD/broker/cofferd; the build in place is what this says.
mkdir -p "$D/installed/"{broker,fuse,client}
ln -s "$COFFER_BUILD"/client/* "$D/installed/client/"
ln -s "$COFFER_BUILD/broker/coffer-enter" "$D/installed/broker/"
install_build() { # this | next
	local from_broker=$THIS/broker from_fuse=$THIS/fuse
	[[ $1 == this ]] || from_broker=$NEXT from_fuse=$NEXT
	# Over the name, as a package does: what runs keeps its own.
	cp "$from_broker/cofferd" "$D/installed/broker/new"
	cp "$from_fuse/cofferfs" "$D/installed/fuse/new"
	mv "$D/installed/broker/new" "$D/installed/broker/cofferd"
	mv "$D/installed/fuse/new" "$D/installed/fuse/cofferfs"
}
READER=$COFFER_BUILD/tests/survival/survival-reader
chmod 755 "$D/installed" "$D/installed/"*
COFFER_BUILD=$D/installed
write_config
install_build this

broker_options=(--keyfile "$D/key")
unsealed_broker
put db secret-value
put rotated "$(printf 'a%.0s' {1..5000})"
head -c 1000000 /dev/urandom | coffer put large >/dev/null
for name in db rotated large; do
	succeeds coffer grant $name --runtime runc
done
names=()
declare -A output
for ((i = 1; i <= CONTAINERS; i++)); do
	name=c$i
	names+=("$name")
	bundle "$name" --hook --tmpfs /tmp
	cp "$READER" "$D/$name.bundle/rootfs/bin/"
	run_container "$name"
done

start_reader() { # NAME KEY OPTION-OR-PATH...: KEY tells its output
	local fd line
	mkfifo "$D/fifo"
	runc exec "$1" survival-reader --name "$1" --ready --until /tmp/stop "${@:3}" >"$D/fifo" 2>&1 </dev/null &
	exec {fd}<"$D/fifo"
	rm "$D/fifo"
	output[$2]=$fd
	read -r line <&"$fd"
	[[ $line == "$1 reading" ]] || fail "the reader in $1 said '$line'"
}
for name in "${names[@]}"; do
	# Each look asks the worker; that of c1 has a request in hand often, since its readers hardly pause. One
	# reader holds what it has opened, one sees the rotations.
	eager=(--pause-us 2000)
	[[ $name != c1 ]] || eager=(--processes 2 --pause-us 300)
	start_reader "$name" "$name" --cold "${eager[@]}" /run/secrets/db /run/secrets/large
	start_reader "$name" "$name-hold" --cold --hold --pause-us 20000 /run/secrets/db
	start_reader "$name" "$name-rotating" --rotating --pause-us 10000 /run/secrets/rotated
done

workers() {
	coffer ps --json | jq -r '.attachments[] | .worker' | sort
}
letters=(b c d e f g h i j k l m n o p q r s t u v w x y z)
builds=(next this)
# Whether a request is in hand is chance: until one was, up to twice as many.
in_hand() {
	coffer audit --json | jq -s 'map(select(.event == "worker.ended" and .request_in_hand)) | length'
}
for ((round = 0; round < ROUNDS || (round < 2 * ROUNDS && $(in_hand) == 0); round++)); do
	before=$(workers)
	install_build "${builds[round % 2]}"
	# A rotation is under way in each second round.
	if ((round % 2)); then
		printf -v value "${letters[round % 25]^^}%.0s" {1..5000}
		(trap - ERR EXIT; put rotated "$value") 2>"$D/put.log" &
		putter=$!
	fi
	if ((round % 3)); then
		stop_broker KILL
	else
		stop_broker TERM
	fi
	if ((round % 2)); then
		wait "$putter" || true # cut off, or not: either version is whole
	fi
	# What a registration has that this build does not know is passed over.
	python3 - "$RUN"/containers/*.json <<-'END'
		import json, sys
		for name in sys.argv[1:]:
		    with open(name, "r+") as file:
		        registration = json.load(file)
		        for part in [registration, *registration["nodes"]]:
		            part["of_a_later_version"] = {"a": [1]}
		        file.seek(0)
		        json.dump(registration, file)
	END
	start_broker # ready: all are taken over
	succeeds coffer ps --json
	says_json ".attachments | length == $CONTAINERS and all(.[]; .state == \"attached\")"
	after=$(workers)
	[[ -z $(comm -12 <(echo "$before") <(echo "$after")) ]] ||
		fail "round $round: workers of the other build go on: $(comm -12 <(echo "$before") <(echo "$after"))"
	printf -v value "${letters[round % 25]}%.0s" {1..5000}
	put rotated "$value"
	reads c1 /run/secrets/rotated "$value"
done

opens=0 looks=0 failures=0 longest=0
for name in "${names[@]}"; do
	succeeds in_container "$name" touch /tmp/stop
	for key in "$name" "$name-hold" "$name-rotating"; do
		cat <&"${output[$key]}" >"$D/$key.reads"
		grep FAILED "$D/$key.reads" >&2 || true
		read -r r o f l < <(grep '^{' "$D/$key.reads" | jq -r '"\(.reads) \(.opens) \(.failures) \(.longest_us)"')
		looks=$((looks + r)) opens=$((opens + o)) failures=$((failures + f))
		[[ $l -le $longest ]] || longest=$l
	done
done
[[ $failures -eq 0 ]] || fail "$failures of $looks looks failed"
coffer audit --json >"$D/audit"
held=$(in_hand)
replaced=$(jq -s 'map(select(.event == "worker.ended")) | length' "$D/audit")
echo "$replaced workers replaced in $round upgrades, $held with a request in hand: $looks looks, none failed, the longest took $((longest / 1000)) ms"
[[ $held -gt 0 ]] || fail "no request was in hand: this has shown less than it says"

# Every open of a reader and of a check is in the log, once.
succeeds coffer audit verify
opens=$((opens + round))
logged=$(jq -s 'map(select(.event == "open" and .result == "granted") | .count) | add' "$D/audit")
[[ $logged -eq $opens ]] || fail "$opens opens were made, the log has $logged"
