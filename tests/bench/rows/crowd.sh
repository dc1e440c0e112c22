#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What many attached containers cost, ten secrets each: memory, a put until the last of them has seen it, and the
# processors' time while nothing happens. The floor: idle libfuse servers, and one rename on tmpfs with one watcher.
. "$(dirname "${BASH_SOURCE[0]}")/../bench-lib.sh"
# shellcheck source=../memory-lib.sh
. "$bench/memory-lib.sh"

SECRETS=10
[[ $quick -eq 0 ]] && counts=(1 10 100 300 1000) || counts=(1 10 50)
puts=$(scaled 10)
idle_s=$(scaled 20)
mkdir -m 777 "$D/shared" "$D/tmpfs"
mount -t tmpfs tmpfs "$D/tmpfs"

# ---- the floor ----

build_idle_server static "$D/idle-server"
idle_servers "$D/idle-server" "$(scaled 100)"
floor_dirty=$(dirty "${idle_pids[@]}")
floor_whole=$(grown "$idle_before" "$idle_after")
floor_each=${#idle_pids[@]}
idle_servers_end
"$STORE_FLOOR" "$D/tmpfs" rename 1 >/dev/null
"$LOOK" watch "$D/shared/floor" "$D/tmpfs/file" &
on_exit+=("kill -9 $!")

# ---- containers: one root for all ----

counted_broker
for ((i = 0; i < SECRETS; i++)); do put_random "app/$i" 64; done
succeeds coffer grant app/ --runtime runc
bundle c1 --hook --mount "$D/shared:/shared" --mount "$LOOK:/look"
start_one() { # NUMBER
	mkdir -p "$D/c$1.bundle"
	jq --arg root "$D/c1.bundle/rootfs" --arg cgroup "/coffer-test-$TAG-c$1" --arg file "/shared/c$1" \
		'.root.path = $root | .linux.cgroupsPath = $cgroup | .process.args = ["/look", "watch", $file, "/run/secrets/app/0"]' \
		"$D/c1.bundle/config.json" >"$D/config.$1"
	mv "$D/config.$1" "$D/c$1.bundle/config.json"
	run_container "c$1"
}
cp "$D/c1.bundle/config.json" "$D/config.all"
start_until() { # COUNT
	cp "$D/config.all" "$D/c1.bundle/config.json"
	for ((; running < $1; running++)); do
		start_one $((running + 1))
		[[ $running -gt 0 ]] || cp "$D/config.all" "$D/c1.bundle/config.json"
	done
}
# The times in such a file are of CLOCK_MONOTONIC, as those of $CALLS are.
all_have() { # ENTRIES FILE...
	local entries=$1
	shift
	until [[ -z $(find "$@" -size -$((8 * entries))c -print -quit) ]]; do :; done
}
last_of() { # FILE...: the latest last entry
	local file
	for file in "$@"; do
		tail -c 8 "$file" | od -An -tu8
	done | sort -n | tail -n 1 | tr -d ' '
}
ours_ns() { # processors' time of broker and workers
	local pid sum=0 ns
	while read -r pid; do
		read -r ns _ <"/proc/$pid/schedstat" && sum=$((sum + ns))
	done <"$BROKER_CGROUP/cgroup.procs"
	echo $sum
}

running=0
before=$(memory "$counted")
for count in "${counts[@]}"; do
	start_until "$count"
	files=()
	for ((i = 1; i <= count; i++)); do files+=("$D/shared/c$i"); done
	# Those that are new have one entry; all have as many from here on.
	all_have 1 "${files[@]}"
	told "$count containers"
	after=$(memory "$counted")
	mapfile -t pids < <(coffer ps --json | jq '.attachments[] | select(.worker) | .worker')
	[[ ${#pids[@]} -eq $count ]] || fail "$count containers have ${#pids[@]} workers"
	printf '{"ours": %d}\n{"floor": %d}\n' $(($(dirty "${pids[@]}") / count)) $((floor_dirty / floor_each)) |
		result memory-dirty "$count containers" KiB 'idle libfuse server'
	printf '{"ours": %d}\n{"floor": %d}\n' $(($(grown "$before" "$after") / count)) $((floor_whole / floor_each)) |
		result memory-whole "$count containers" KiB 'idle libfuse server'
	for ((i = 0; i < puts; i++)); do
		for file in "${files[@]}"; do : >"$file"; done # each is appended to
		begin=$("$CALLS" "$RUN" put 1 1 64 app | jq .begin)
		all_have 1 "${files[@]}"
		echo "{\"ours\": $(($(last_of "${files[@]}") - begin))}"
		: >"$D/shared/floor"
		begin=$("$STORE_FLOOR" "$D/tmpfs" rename 1 | jq .begin)
		all_have 1 "$D/shared/floor"
		echo "{\"floor\": $(($(last_of "$D/shared/floor") - begin))}"
	done | result visible-last "$count containers" ns 'one rename on tmpfs'
	begin=$(ours_ns)
	sleep "$idle_s" # nothing happens: this is what is measured
	awk -v ns=$(($(ours_ns) - begin)) -v s="$idle_s" 'BEGIN { printf "{\"ours\": %.4f}\n", ns / (s * 1e7) }' |
		result idle-cpu "$count containers" '% of a core' ''
done
account
