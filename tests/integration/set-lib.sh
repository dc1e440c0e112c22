# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Readers of a set in a container (tests/lib/set_reader.c), and rotations of it from outside.

reader_ids=() # of those that run: their output is in $D/ID.reads, their process $D/ID.pid

set_files() { # GENERATION NAME...: a value for each, of another length in each generation, as NAME=@FILE for put
	local generation=$1 name
	for name in "${@:2}"; do
		printf '%d %s %*s' "$generation" "$name" $((generation % 100)) '' >"$D/value.${name//\//_}"
		printf '%s=@%s\n' "$name" "$D/value.${name//\//_}"
	done
}

rotate() { # GENERATION NAME...
	local -a values
	mapfile -t values < <(set_files "$@")
	coffer put "${values[@]}" >"$D/put.out" 2>"$D/put.err" || fail "put of generation $1: $(cat "$D/put.err")"
	shown "$D/put.out" "$D/put.err"
}

rotate_in_time() { # GENERATION NAME...: the same, where the change may take longer than put waits for it
	local -a values
	mapfile -t values < <(set_files "$@")
	coffer put "${values[@]}" >"$D/put.out" 2>"$D/put.err" || fail "put of generation $1: $(cat "$D/put.err")"
	await_audit show ".name == \"$2\" and .version == $(awk -v name="$2" '$1 == name { print $2 }' "$D/put.out")"
}

set_container() { # NAME: one that has the program
	bundle "$1" --hook --tmpfs /tmp
	install -m 755 "$COFFER_BUILD/tests/lib/set-reader" "$D/$1.bundle/rootfs/bin/set-reader"
	run_container "$1"
}

start_reader() { # ID CONTAINER HOW FILE...: below /run/secrets; returns when its first pass is over
	local line
	mkfifo "$D/$1.fifo"
	runc exec "$2" set-reader "$3" /tmp/stop /run/secrets "${@:4}" >"$D/$1.fifo" 2>&1 </dev/null &
	echo $! >"$D/$1.pid"
	exec {reader_fd}<"$D/$1.fifo"
	read -r line <&"$reader_fd"
	[[ $line == reading ]] || fail "reader $1 said '$line'"
	cat <&"$reader_fd" >"$D/$1.reads" &
	echo $! >"$D/$1.cat"
	exec {reader_fd}<&-
	reader_ids+=("$1")
}

# Every reader: no mismatch, no failure, the last generation at the end, and many on the way.
end_readers() { # CONTAINER LAST LEAST-GENERATIONS
	local id passes mismatches failures generations last longest late
	succeeds in_container "$1" touch /tmp/stop
	for id in "${reader_ids[@]}"; do
		wait "$(cat "$D/$id.pid")" || fail "reader $id ended with an error: $(tail -n 5 "$D/$id.reads")"
		wait "$(cat "$D/$id.cat")"
	done
	local bad=
	for id in "${reader_ids[@]}"; do
		read -r _ passes _ mismatches _ failures _ generations _ last _ longest _ _ late < <(tail -n 1 "$D/$id.reads")
		echo "$id: $passes passes, $mismatches mismatches, $failures failures, $generations generations seen," \
			"longest open and read $longest us, $late passes too late to count"
		[[ $mismatches == 0 && $failures == 0 ]] || bad+="reader $id: $(head -n 3 "$D/$id.reads"); "
		[[ $last == "$2" ]] || bad+="reader $id ends with generation $last, not $2; "
		[[ $generations -ge $3 ]] || bad+="reader $id saw $generations generations only; "
		rm "$D/$id.fifo"
	done
	[[ -z $bad ]] || fail "$bad"
	succeeds in_container "$1" rm /tmp/stop
	reader_ids=()
}
