# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scenarios with servers share that run as their Debian packages bring them: containers from one image, which
# tests/programs/root makes of packages alone; what docs/programs.md says about each program, followed as it stands
# there; and what a program's log must not say.
# shellcheck source=programs-lib.sh
. "$(dirname "$0")/programs-lib.sh"

IMAGE=$COFFER_BUILD/programs-root
PAGE=$here/../../docs/programs.md
[[ -e $IMAGE/etc/coffer-packages ]] || { echo "$IMAGE is missing: tests/programs/root makes it" >&2; exit 1; }

# The capabilities of a container under Docker, if nothing else is asked for.
docker_capabilities='["CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
	"CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
	"CAP_SYS_CHROOT"]'

# image NAME [options of make_bundle]: a bundle whose root is the image, and may be changed: sets root
image() {
	local layers=$D/$1.layers
	bundle "$1" --hook --writable --tmpfs /tmp --jq ".process.capabilities |= map_values($docker_capabilities)" \
		--jq '(.mounts[] | select(.destination == "/tmp") | .options) = ["mode=1777"]' \
		--jq '.process.env = ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]' "${@:2}"
	root=$D/$1.bundle/rootfs
	mkdir -p "$layers/upper" "$layers/work"
	mount -t overlay -o "lowerdir=$IMAGE,upperdir=$layers/upper,workdir=$layers/work" image "$root"
	chroot "$root" useradd --create-home --uid 1000 app # of the image's own, as a Dockerfile would
}

# starts NAME COMMAND...: the first process of the container; what it prints is there for `expect` and clean_log
starts() {
	local name=$1 fd
	printf '%s\n' "${@:2}" | jq -Rn '[inputs]' >"$D/args"
	jq --slurpfile args "$D/args" '.process.args = $args[0]' <"$D/$name.bundle/config.json" >"$D/config.new"
	mv "$D/config.new" "$D/$name.bundle/config.json"
	mkfifo "$D/$name.fifo"
	runc run --detach --bundle "$D/$name.bundle" "$name" </dev/null >"$D/$name.fifo" 2>&1 &
	exec {fd}<"$D/$name.fifo"
	program_fd[$name]=$fd
	program_log[$name]=$D/$name.said.log
	wait $! || fail "runc did not start $name: $(cat <&"$fd")"
}

# joins NAME OTHER: the container NAME, which is not started yet, has the network of OTHER, which runs
joins() {
	jq --arg path "/proc/$(container_pid "$2")/ns/net" \
		'(.linux.namespaces[] | select(.type == "network")) |= {type: "network", path: $path}' \
		<"$D/$1.bundle/config.json" >"$D/config.new"
	mv "$D/config.new" "$D/$1.bundle/config.json"
}

# clean_log NAME [PATTERN]: ends the container; of all that its program said, nothing is about a file of ours or about
# permissions, and nothing is a warning, except lines that match
clean_log() {
	runc kill "$1" KILL
	cat <&"${program_fd[$1]}" >>"${program_log[$1]}"
	[[ -s ${program_log[$1]} ]] || fail "$1 has said nothing at all"
	! grep -iE 'warn|permission|unprotected|too open|bad (owner|mode)|world access|/run/secrets|error|alert|crit|emerg' \
		"${program_log[$1]}" | grep -vE -- "${2-^\$}" >"$D/unwanted" || fail "$1 said: $(cat "$D/unwanted")"
}

# new_pair SERIAL NAME: NAME.crt and NAME.key in this folder, for 127.0.0.1
new_pair() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=127.0.0.1" \
		-addext 'subjectAltName=IP:127.0.0.1' -set_serial "0x$1" -keyout "$2.key" -out "$2.crt" 2>"$D/err"
}

# serves SERIAL CONTAINER PORT [options of openssl s_client]: a new connection meets the certificate with that number
serves() {
	local found
	found=$(in_container "$2" openssl s_client -connect "127.0.0.1:$3" "${@:4}" </dev/null 2>"$D/err" |
		openssl x509 -noout -serial) || fail "no TLS at $3 of $2: $(cat "$D/err")"
	[[ $found == "serial=$1" ]] || fail "$2 serves the certificate with $found, not $1"
}

# ---- docs/programs.md ----

section() { # PROGRAM
	awk -v head="## $1" '$0 == head { on = 1; next } /^## / { on = 0 } on' "$PAGE"
}

# image_files PROGRAM: the blocks whose first lines name a file as a comment, put into the image at $root
image_files() {
	local path file found=0
	section "$1" | awk -v dir="$D/page" '
		/^```/ { if (block) { close(file); block = 0 } else { block = 1; n++; file = dir "." n } next }
		block { print > file }'
	for file in "$D"/page.*; do
		path=$(head -n 2 "$file" | sed -n 's,^\(#\|//\) \(/[^ ]*\)$,\2,p')
		[[ -n $path ]] || continue
		install -D -m 755 "$file" "$root$path"
		found=$((found + 1))
	done
	[[ $found -gt 0 ]] || fail "$PAGE: $1 has no file for the image"
	rm "$D"/page.*
}

# operator PROGRAM N: the commands of the Nth block of type sh, line by line. What a grant asks for stands in the row
# of the table, too.
operator() {
	local line options row
	row=$(grep -F "| [$1](" "$PAGE") || fail "$PAGE has no row for $1"
	section "$1" | awk -v n="$2" '/^```/ { if (on) exit; if ($0 == "```sh" && ++seen == n) on = 1; next } on' >"$D/block"
	[[ -s $D/block ]] || fail "$PAGE: $1 has no block $2 of commands"
	while IFS= read -r line; do
		succeeds eval "$line"
		if [[ $line == 'coffer grant '* ]]; then
			options=${line#* --container * }
			[[ $options == "$line" || $row == *"\`$options\`"* ]] || fail "the table does not say '$options' for $1: $row"
		fi
	done <"$D/block"
}

mkdir "$D/files"
cd "$D/files"
unsealed_broker
