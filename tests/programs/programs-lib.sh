# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scenarios with programs of others share: containers in which Debian's programs run as they come, and how
# to talk with a program that runs.
# shellcheck source=../integration/lib.sh
. "$(dirname "$0")/../integration/lib.sh"

ROTATIONS=${COFFER_ROTATIONS:-12}
secrets=/run/secrets
LC_ALL=C.UTF-8

# debian_container NAME [options of make_bundle]: with the programs of this machine, read-only, a /tmp, what servers
# of Debian start with, and what their capabilities are under Docker
debian_container() {
	local root=$D/$1.bundle/rootfs folder
	bundle "$1" --hook --tmpfs /tmp --mount /usr:/usr --mount /etc/ssl:/etc/ssl \
		--jq '(.mounts[] | select(.destination == "/usr" or .destination == "/etc/ssl") | .options) = ["bind", "ro"]' \
		--jq '.process.capabilities |= map_values(["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID",
			"CAP_SETUID", "CAP_NET_BIND_SERVICE"])' \
		--jq '.process.env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/tmp"]' "${@:2}"
	for folder in bin sbin lib lib64; do
		rm -rf "${root:?}/$folder"
		ln -s "usr/$folder" "$root/$folder"
	done
	cp /etc/passwd /etc/group /etc/ld.so.cache "$root/etc/"
	cp -a /etc/alternatives "$root/etc/"
	run_container "$1"
}

# start_program NAME CONTAINER COMMAND...: with `exec_options` to runc; what it prints is there for `expect`
declare -A program_fd program_log
start_program() {
	local name=$1 fd
	mkfifo "$D/$name.fifo"
	runc exec "${exec_options[@]}" "$2" "${@:3}" </dev/null >"$D/$name.fifo" 2>&1 || true &
	exec {fd}<"$D/$name.fifo"
	program_fd[$name]=$fd
	program_log[$name]=$D/$name.said.log
}
exec_options=()

# expect NAME PATTERN: returns when the program has printed a line that matches (extended), and sets line
expect() {
	while IFS= read -t 60 -r line <&"${program_fd[$1]}"; do
		printf '%s\n' "$line" >>"${program_log[$1]}"
		if [[ $line =~ $2 ]]; then
			return
		fi
	done
	fail "the program $1 did not say '$2'; it said: $(tail -n 20 "${program_log[$1]}")"
}

# said NAME PATTERN: how many lines up to now matched
said() {
	grep -cE -- "$2" "${program_log[$1]}" || true
}
