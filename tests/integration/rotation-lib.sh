# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scenarios about rotation share; sourced after lib.sh.
#
# The value of a version is one letter repeated, of a size that depends on the version.

rotation_sizes=(0 1 4096 65536 17 1048576 4095 300000 1 131072 0 4097 32768 1048575 2 32769)
letters=abcdefghijklmnopqrstuvwxyz

# The sanitized build is slow, and for finding what a sanitizer finds, not for counting.
rotations() { # COUNT
	if grep -qi '^COFFER_SANITIZE:.*=ON$' "$COFFER_BUILD/CMakeCache.txt" 2>/dev/null; then
		echo $(($1 / 8))
	else
		echo "$1"
	fi
}

size_of_version() { # VERSION
	echo "${rotation_sizes[$1 % ${#rotation_sizes[@]}]}"
}

letter_of_version() { # VERSION; the reader calls that of an empty value 0
	if [[ $(size_of_version "$1") -eq 0 ]]; then
		echo 0
	else
		echo "${letters:$1 % 26:1}"
	fi
}

value_of_version() { # VERSION
	head -c "$(size_of_version "$1")" /dev/zero | tr '\0' "${letters:$1 % 26:1}"
}

# rotate_to NAME VERSION: stores that version, which has to be the next, and waits until all show it
rotate_to() {
	succeeds coffer put "$1" --file <(value_of_version "$2")
	says "$1 $2"
	shown
}

rotation_container() { # NAME [options of make_bundle]: with rotation-reader and rotation-watch in its PATH
	local program
	bundle "$1" --hook --tmpfs /tmp "${@:2}"
	for program in rotation-reader rotation-watch; do
		bundle_program "$D/$1.bundle/rootfs" "$COFFER_BUILD/tests/lib/$program" "/bin/$program"
	done
	run_container "$1"
}

# start_watcher NAME CONTAINER [-a] END PATH...: returns when it watches; its lines come to $D/NAME.events
start_watcher() {
	local name=$1 line
	rm -f "$D/$name.fifo"
	mkfifo "$D/$name.fifo"
	runc exec "$2" rotation-watch "${@:3}" >"$D/$name.fifo" 2>&1 </dev/null &
	watcher_pids[$name]=$!
	exec {watcher_line}<"$D/$name.fifo"
	read -r line <&"$watcher_line" || true
	[[ $line == watching ]] || fail "the watcher $name said '$line'"
	cat <&"$watcher_line" >"$D/$name.events" &
	watcher_cats[$name]=$!
	exec {watcher_line}<&-
}
declare -A watcher_pids watcher_cats

# await_line FILE PATTERN: returns when the file has a line that is that (extended)
await_line() {
	local tail_fd tail_pid found=0
	exec {tail_fd}< <(exec tail -n +1 -f "$1")
	tail_pid=$!
	timeout 60 grep -m 1 -qxE -- "$2" <&"$tail_fd" || found=$?
	kill "$tail_pid"
	exec {tail_fd}<&-
	[[ $found -eq 0 ]] || fail "no line '$2' came; the last are: $(tail -n 5 "$1")"
}

# await_watcher NAME: returns when its last event has come
await_watcher() {
	local status=0
	"$here/await" end "${watcher_pids[$1]}" 2>"$D/err" || fail "the watcher $1 waits for its last event still; \
it has $(wc -l <"$D/$1.events") lines, of which the last are: $(tail -n 5 "$D/$1.events")"
	wait "${watcher_pids[$1]}" || status=$?
	wait "${watcher_cats[$1]}"
	[[ $status -eq 0 ]] || fail "the watcher $1 ended with $status: $(tail -n 5 "$D/$1.events")"
}

# saw NAME COUNT LINE: the watcher saw that line so often
saw() {
	local count
	count=$(grep -cxF -- "$3" "$D/$1.events") || true
	[[ $count -eq $2 ]] || fail "the watcher $1 saw '$3' $count times, not $2; all: $(sort "$D/$1.events" | uniq -c)"
}

# saw_only NAME LINE...: nothing but these
saw_only() {
	local line options=()
	for line in "${@:2}"; do
		options+=(-e "$line")
	done
	! grep -vxF "${options[@]}" "$D/$1.events" >"$D/other" || fail "the watcher $1 saw $(sort "$D/other" | uniq -c)"
}
