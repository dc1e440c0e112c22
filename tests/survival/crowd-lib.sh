# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the survival scenarios share: a crowd of containers, in each of them honest readers (reader.c) that never try
# twice, and the account of what they read. Sourced after ../integration/lib.sh.
#
# A container of the crowd costs little: all have one root file system, and their first process is the reader.
# shellcheck disable=SC2154 # D, RUN, HOOK and others are lib.sh's
#
#	CROWD     names of the containers
#	SHARED    a folder that all of them have as /shared: where readers count, and how they are told to end

READER=$COFFER_BUILD/tests/survival/survival-reader
[[ -x $READER ]] || { echo "$READER is not built" >&2; exit 1; }
SHARED=$D/shared
CROWD=()
STARTS=4 # at a time

# Secrets that everything with the label crowd=1 has: two small ones, and one whose reading takes several requests.
crowd_secrets() {
	local name
	mkdir -m 777 "$SHARED"
	put first "$(head -c 60 /dev/urandom | base64 -w 0)"
	put second "$(head -c 3000 /dev/urandom | base64 -w 0)"
	head -c 100000 /dev/urandom >"$D/large.value"
	succeeds coffer put large --file "$D/large.value"
	for name in first second large; do
		succeeds coffer grant $name --label crowd=1
	done
	make_bundle "$D/crowd.bundle" "$HOOK" "$RUN" --hook --annotation crowd=1 --mount "$SHARED:/shared"
	install -m 755 "$READER" "$D/crowd.bundle/rootfs/bin/survival-reader"
	mkfifo "$D/crowd.said"
	exec {said}<>"$D/crowd.said"
	# What a failure shows, beside the logs that all scenarios have.
	on_exit+=('timeout 1 cat <&$said >"$D/said.log"')
	on_exit+=('cat "$STATE"/audit/*.jsonl | grep -vE "\"event\":\"(open|register|adopt|show|end|start|unseal)\"" >"$D/events.log"')
}

crowd_start() { # NAME: a container whose first process reads, with the options in reader_options
	local name=$1 args
	args=$(printf '%s\n' survival-reader --name "$name" --ready --until /shared/stop --counts "/shared/$name.counts" \
		"${reader_options[@]}" /run/secrets/{first,second,large} | jq -nR '[inputs]')
	mkdir "$D/$name.bundle"
	jq --argjson args "$args" --arg root "$D/crowd.bundle/rootfs" --arg cgroup "/coffer-test-$TAG-$name" \
		'.root.path = $root | .process.args = $args | .linux.cgroupsPath = $cgroup' \
		"$D/crowd.bundle/config.json" >"$D/$name.bundle/config.json"
	runc run --detach --bundle "$D/$name.bundle" "$name" </dev/null >"$D/crowd.said" 2>"$D/$name.log" ||
		fail "runc did not start $name: $(cat "$D/$name.log")"
}

# The first $eager of them have two processes that hardly pause. Every fourth asks its worker for each page anew.
crowd() { # COUNT PAUSE-US: all have had their first look when this returns
	local count=$1 pause=$2 i pids=() line reading=0
	for ((i = 0; i < count; i++)); do
		CROWD+=("c$i")
	done
	for ((i = 0; i < count; i++)); do
		local reader_options=(--hold --pause-us "$pause")
		[[ $((i % 4)) -ne 0 ]] || reader_options+=(--cold)
		[[ $i -ge ${eager:-0} ]] || reader_options=(--hold --cold --pause-us 1000 --processes 2)
		crowd_start "c$i" &
		pids+=($!)
		if [[ ${#pids[@]} -ge $STARTS ]]; then
			wait "${pids[0]}" || fail "a container of the crowd was not started"
			pids=("${pids[@]:1}")
		fi
	done
	for i in "${pids[@]}"; do
		wait "$i" || fail "a container of the crowd was not started"
	done
	while [[ $reading -lt $count ]]; do
		read -r -t 60 -u "$said" line || fail "$reading of $count readers have begun"
		[[ $line == c*' reading' ]] || fail "a reader said '$line'"
		reading=$((reading + 1))
	done
}

# One container more, in which several users read these files without a pause; readers are called uUID.
crowd_beside() { # NAME UID,UID... FILE...
	local name=$1 uid line
	cp -a "$D/crowd.bundle" "$D/$name.bundle"
	jq --arg cgroup "/coffer-test-$TAG-$name" '.linux.cgroupsPath = $cgroup | .process.args = ["sleep", "infinity"]' \
		"$D/crowd.bundle/config.json" >"$D/$name.bundle/config.json"
	run_container "$name"
	for uid in ${2//,/ }; do
		install -m 666 /dev/null "$SHARED/u$uid.counts"
		runc exec --detach --user "$uid:$uid" "$name" survival-reader --name "u$uid" --ready --until /shared/stop \
			--counts "/shared/u$uid.counts" --hold --cold "${@:3}" </dev/null >"$D/crowd.said" 2>&1
		read -r -t 60 -u "$said" line
		[[ $line == "u$uid reading" ]] || fail "the reader of user $uid said '$line'"
		CROWD+=("u$uid")
	done
}

# What its readers said, as of one container: for the account. After crowd_stop.
crowd_sum_beside() { # NAME
	jq -c --arg name "$1" 'if .name | startswith("u") then .name = $name else . end' "$D/crowd.json" |
		jq -sc 'group_by(.name)[] | {name: .[0].name, opens: (map(.opens) | add), reads: (map(.reads) | add), failures: 0,
			longest_us: (map(.longest_us) | max)}' >"$D/summed"
	mv "$D/summed" "$D/crowd.json"
}

counted() { # FIELD NAME...: "NAME NUMBER" lines; fields are 1 reads, 2 opens, 3 failures, 4 longest look in us
	local name
	for name in "${@:2}"; do
		od -An -v -tu8 -w32 "$SHARED/$name.counts" |
			awk -v name="$name" -v f="$1" '{ n += $f } END { print name, n }'
	done
}

# Returns when every container has made so many more looks. What a reader says meanwhile is a failure.
crowd_progress() { # LOOKS [NAME...]
	local looks=$1 names=("${@:2}") line try
	[[ ${#names[@]} -gt 0 ]] || names=("${CROWD[@]}")
	counted 1 "${names[@]}" >"$D/progress"
	for ((try = 0; try < 1200; try++)); do
		counted 1 "${names[@]}" | paste -d' ' "$D/progress" - |
			awk -v looks="$looks" '$4 - $2 < looks { exit 1 }' && return
		if read -r -t 0.05 -u "$said" line; then
			fail "a reader said '$line'"
		fi
	done
	fail "readers stand still: $(counted 1 "${names[@]}" | paste -d' ' "$D/progress" - |
		awk -v looks="$looks" '$4 - $2 < looks' | head)"
}

# Ends the readers. Each line of theirs is in $D/crowd.end; nothing may have failed.
crowd_stop() { # LOOKS: each container has made so many at least
	local line ended=0
	touch "$SHARED/stop"
	: >"$D/crowd.end"
	while [[ $ended -lt ${#CROWD[@]} ]]; do
		read -r -t 60 -u "$said" line || fail "only $ended of ${#CROWD[@]} readers have ended"
		echo "$line" >>"$D/crowd.end"
		[[ $line != \{* ]] || ended=$((ended + 1))
	done
	! grep -q FAILED "$D/crowd.end" || fail "$(grep -c FAILED "$D/crowd.end") failures: $(grep FAILED "$D/crowd.end" |
		head -n 20)"
	grep '^{' "$D/crowd.end" >"$D/crowd.json"
	jq -se "all(.[]; .failures == 0 and .reads >= $1)" "$D/crowd.json" >/dev/null ||
		fail "readers failed, or read too little: $(cat "$D/crowd.json")"
}

# Every open that a reader made stands in the log once. After crowd_stop. The secret mark is none of theirs.
crowd_accounts() {
	coffer audit --json >"$D/audit"
	jq -c 'select(.event == "open" and .name == null)' "$D/audit" >"$D/nameless"
	[[ ! -s $D/nameless ]] || fail "the log does not say what was opened: $(head -n 5 "$D/nameless")"
	jq -r 'select(.event == "open" and .result == "granted" and .name != "mark") | "\(.container) \(.count)"' "$D/audit" |
		awk '{ n[$1] += $2 } END { for (c in n) print c, n[c] }' | sort >"$D/recorded"
	jq -r '"\(.name) \(.opens)"' "$D/crowd.json" | sort >"$D/opened"
	diff "$D/opened" "$D/recorded" >"$D/account" ||
		fail "opens as counted by the readers (<) and by the log (>) differ: $(head -n 20 "$D/account")"
	succeeds coffer audit verify
}

crowd_report() { # CASE
	jq -rs --arg case "$1" '"\($case): \(length) containers, \(map(.reads) | add) reads of files, 0 failures; " +
		"the longest took \((map(.longest_us) | max) / 1000 | round) ms"' "$D/crowd.json"
}

# "NAME PID" of each container's worker that runs.
crowd_workers() {
	coffer ps --json | jq -r '.attachments[] | select(.worker) | "\(.container) \(.worker)"'
}
