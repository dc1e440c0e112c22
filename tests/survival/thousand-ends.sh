#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 1,000 containers end in every way that there is, while the broker and workers are killed now and then: processes,
# descriptors, mounts, file systems, memory and registrations are in the end what they were at the beginning.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=ends-lib.sh
. "$(dirname "$0")/ends-lib.sh"

containers=${COFFER_ENDS:-1008}
at_a_time=28
runc=$(type -P runc)
width=6 # started or ended side by side

broker_options=(--keyfile "$D/key")
unsealed_broker
put app/db value
succeeds coffer grant app/db --label reads=db
mkdir "$D/log"
install -m 755 "$COFFER_BUILD/tests/attack/attacker" "$D/attacker"

# ---- the containers: many of each bundle ----

# Kills what a state names on a runtime's way through its hooks, sooner or later, without keeping the hook.
cat >"$D/killer" <<'SCRIPT'
#!/bin/bash
[[ $(cat) =~ \"pid\":\ ?([0-9]+) ]] || exit 1
pid=${BASH_REMATCH[1]}
[[ $1 == init ]] || pid=$PPID
{
	for ((turn = 0; turn < RANDOM % 48 * 250; turn++)); do :; done
	kill -9 "$pid"
} </dev/null >/dev/null 2>&1 &
SCRIPT
chmod 755 "$D/killer"
killed_while_made() { # init|runtime: the option of make_bundle
	printf '.hooks.createRuntime = [{path: "%s", args: ["killer", "%s"], env: ["PATH=/usr/bin:/bin"]}] + .hooks.createRuntime' \
		"$D/killer" "$1"
}
program() { # SCRIPT: what a container does; by itself it ends on SIGTERM
	jq -rn --arg script "trap 'exit 0' TERM; $1; while :; do sleep 1000 & wait; done" '".process.args = \(["sh", "-c", $script] | tojson)"'
}
reads='cat /run/secrets/db && echo; [ ! -e /run/secrets/db ] || exec 3</run/secrets/db; exec >/dev/null 2>&1'
ask='/attacker ask /coffer/sock'
granted=(--annotation reads=db --jq "$(program "$reads")")
many() { # BUNDLE [options of make_bundle]
	make_bundle "$D/$1.bundle" "$HOOK" "$RUN" "${@:2}"
}
many plain --hook "${granted[@]}"
many run --hook "${granted[@]}" --tmpfs /run --jq '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
many userns --hook "${granted[@]}" --tmpfs /run --userns
many late --hook --tmpfs /run --jq "$(program "exec >/dev/null 2>&1")"
many init-killed --hook "${granted[@]}" --jq "$(killed_while_made init)"
many runtime-killed --hook "${granted[@]}" --jq "$(killed_while_made runtime)"
socket=(--annotation reads=db --tmpfs /run --mount "$RUN/workload:/coffer" --mount "$D/attacker:/attacker")
many talks --hook "${socket[@]}" --jq "$(program "$reads; { sleep 1000 | /attacker slow /coffer/sock 3; } & $ask List '{}'")"
many asks "${socket[@]}" --jq "$(program "$ask Attach '{}' >/dev/null; $reads")"

# BUNDLE, how it ends
ways=(
	"plain exits" "run killed" "userns killed" "plain stopped" "userns deleted" "run unmounted" "plain moved"
	"run entered" "talks exits" "talks killed" "asks killed" "asks deleted" "late attached" "init-killed deleted"
	"runtime-killed deleted" "plain detached" "run worker-killed"
)

pid_of() { # NAME
	jq -r '.init_process_pid // empty' "$D/runc/$1/state.json" 2>/dev/null
}
spin() {
	local turn
	for ((turn = 0; turn < RANDOM % 64 * 250; turn++)); do :; done
}
worker_of() { # NAME
	coffer ps --json 2>>"$D/log/$1" | jq -r ".attachments[] | select(.container == \"$1\") | .worker // empty"
}

begin() { # NAME BUNDLE
	local status=0
	"$runc" --root "$D/runc" run --detach --bundle "$D/$2.bundle" "$1" </dev/null >"$D/log/$1" 2>&1 || status=$?
	[[ $status -eq 0 || $2 == *-killed ]] || {
		echo "$1 ($2) did not start: $(cat "$D/log/$1")" >>"$D/broken.log"
	}
}

# What is done to it, and that it is gone when this returns; its runtime deletes what it still knows of it.
finish() { # NAME HOW
	local name=$1 pid holder pids process
	pid=$(pid_of "$name") || pid=
	case $2 in
	exits) kill -TERM "$pid" ;;
	killed) kill -9 "$pid" ;;
	stopped) "$runc" --root "$D/runc" kill "$name" KILL ;;
	unmounted)
		"$runc" --root "$D/runc" exec "$name" umount /run/secrets 2>>"$D/log/$name" || true # a killed broker's is not there
		kill -9 "$pid" ;;
	moved) # into another cgroup; that which it was started in is removed
		mapfile -t pids <"$CGROUP2/$name/cgroup.procs"
		for process in "${pids[@]}"; do
			echo "$process" >"$CGROUP2/coffer-test-$TAG-else/cgroup.procs"
		done
		rmdir "$CGROUP2/$name"
		kill -9 "$pid" ;;
	entered) # its mount namespace outlives it
		nsenter -t "$pid" -m sleep infinity &
		holder=$!
		"$runc" --root "$D/runc" exec --detach "$name" sleep 1000 </dev/null >/dev/null 2>&1
		kill -9 "$pid"
		"$here/await" end "$pid"
		kill -9 "$holder"
		wait "$holder" 2>/dev/null || true ;;
	attached)
		coffer attach "$name" >>"$D/log/$name" 2>&1 &
		spin
		kill -9 "$pid"
		wait $! || true ;;
	detached)
		coffer detach "$name" >>"$D/log/$name" 2>&1 &
		spin
		kill -9 "$pid"
		wait $! || true ;;
	worker-killed)
		kill -9 "$(worker_of "$name" || true)" 2>>"$D/log/$name" || true # the broker may be away
		spin
		kill -9 "$pid" ;;
	esac
	[[ -z $pid || $2 == deleted ]] || "$here/await" end "$pid"
	"$runc" --root "$D/runc" delete --force "$name" >>"$D/log/$name" 2>&1 || [[ ! -d $D/runc/$name ]]
	sweep "$name"
}

# What a runtime that was killed knows nothing of: a process that waits for it, and cgroups.
sweep() { # NAME
	local folder pids
	for folder in "$CGROUP2/$1" /sys/fs/cgroup/*/"$1"; do
		[[ -d $folder ]] || continue
		mapfile -t pids <"$folder/cgroup.procs"
		[[ ${#pids[@]} -eq 0 ]] || end_processes "${pids[@]}"
		rmdir "$folder"
	done
}

side_by_side() { # FUNCTION, for each of the batch
	local i way name running=0
	for ((i = first; i < first + at_a_time; i++)); do
		[[ $running -lt $width ]] || { wait -n; running=$((running - 1)); }
		name=coffer-test-$TAG-$i
		read -r -a way <<<"${ways[i % ${#ways[@]}]}"
		if [[ $1 == begin ]]; then
			begin "$name" "${way[0]}" 2>>"$D/log/killed" &
		else
			finish "$name" "${way[1]}" &
		fi
		running=$((running + 1))
	done
	while [[ $running -gt 0 ]]; do wait -n; running=$((running - 1)); done
}


# In a process of its own, whose children are these alone.
batch() { # begin|finish killed|left-alone
	local job worker
	side_by_side "$1" &
	job=$!
	if [[ $2 == killed ]]; then
		for ((turn = 0; turn < RANDOM % 64 * 4000; turn++)); do :; done
		for worker in $(coffer ps --json | jq -r '.attachments[].worker // empty' | shuf -n 4); do
			kill -9 "$worker" 2>>"$D/log/kills" || true
		done
		stop_broker KILL
		start_broker
	fi
	wait "$job" || fail "a container did not $1"
}

started_well() { # all of them, and what is granted could be read by those that were not killed
	local i way name
	[[ ! -s $D/broken.log ]] || fail "of these containers not all started"
	for ((i = first; i < first + at_a_time; i++)); do
		name=coffer-test-$TAG-$i
		read -r -a way <<<"${ways[i % ${#ways[@]}]}"
		[[ ${way[0]} =~ ^(late|.*-killed)$ ]] || grep -q value "$D/log/$name" ||
			timeout 60 grep -m 1 -q value < <(tail -n +1 -F "$D/log/$name" 2>/dev/null || true) || # it is at it
			fail "$name (${way[*]}) did not read its secret: $(cat "$D/log/$name")"
	done
}

# ---- the beginning ----

mkdir "$CGROUP2/coffer-test-$TAG-else"
on_exit+=("rmdir '$CGROUP2/coffer-test-$TAG-else'"
	'for ((i = 0; i < containers; i++)); do sweep "coffer-test-$TAG-$i"; done')
counts >"$D/counts"
began=$(cat "$D/counts")
echo "at the beginning: $began"

# ---- the containers come and go ----

batches=$(((containers + at_a_time - 1) / at_a_time))
undisturbed=$((batches * 2 / 3)) # from here on: the memory of one broker
broker_is=(left-alone killed)
for ((b = 0; b < batches; b++)); do
	first=$((b * at_a_time))
	kills=$((b < undisturbed ? b % 3 : 0))
	batch begin "${broker_is[kills == 1]}"
	[[ $kills -eq 1 ]] || started_well
	batch finish "${broker_is[kills == 2]}"
	[[ $b -ne $((undisturbed + 2)) ]] || { counts_become "$began"; early=$(rss); }
	[[ $((b % 6)) -ne 5 ]] || echo "$(((b + 1) * at_a_time)) containers in $SECONDS s: $(counts)"
done

# ---- the end ----

counts_become "$began"
echo "at the end: $(cat "$D/counts")"
[[ $(rss) -le $((early + 4096)) ]] || fail "the broker has grown from $early to $(rss) KiB"
[[ -z $(find "$CGROUP2" -maxdepth 1 -name "coffer-test-$TAG-[0-9]*") ]] || fail "a container's cgroup is left"
succeeds coffer ps --json
says_json '.attachments == []'
succeeds coffer audit verify
echo "$((batches * at_a_time)) containers, $SECONDS s"
