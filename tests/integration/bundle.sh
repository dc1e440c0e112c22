# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# make_bundle DIR HOOK RUNTIME_DIR [options]: an OCI bundle with a static busybox as its userland.
#
#   --hook              registers with the broker by createRuntime and poststop hooks (HOOK, RUNTIME_DIR)
#   --annotation K=V    may be repeated
#   --user UID:GID      what the container's first process starts as; default 0:0
#   --userns            a user namespace of its own: inside 0…65535 is outside 100000…165535
#   --writable          the root is not read-only
#   --mount SRC:DST     a bind mount, read-write
#   --tmpfs DST         a tmpfs
#   --with PROGRAM      a host program with its libraries, at the same path
#   --args WORDS        the first process; default "sleep infinity"
#   --cgroup PATH       the cgroup to make, below each hierarchy's root
#   --jq FILTER         any other change to config.json
#
# The root always has /run/secrets missing: what puts something there says so.

bundle_program() { # ROOT PROGRAM [PATH]: with its libraries; at PATH there instead of where it is here
	local root=$1 program file
	program=$(command -v "$2") || { echo "make_bundle: there is no program $2" >&2; return 1; }
	install -D -m 755 "$program" "$root${3:-$program}"
	while read -r file; do
		install -D -m 755 "$file" "$root$file"
	done < <(ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || true)
}

bundle_root() { # ROOT
	local root=$1 applet
	mkdir -p "$root"/{bin,dev,etc,proc,root,run,sbin,sys,tmp,usr,var}
	cp /bin/busybox "$root/bin/busybox"
	for applet in $(/bin/busybox --list); do
		[[ $applet == busybox ]] || ln -sf busybox "$root/bin/$applet"
	done
	printf 'root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\napp:x:1000:\n' >"$root/etc/group"
}

# Fills `filters`, `programs` and `userns` of make_bundle.
bundle_options() { # HOOK RUNTIME_DIR options...
	local hook=$1 runtime_dir=$2
	shift 2
	while [[ $# -gt 0 ]]; do
		case $1 in
		--hook)
			local call
			call=$(jq -cn --arg hook "$hook" --arg dir "$runtime_dir" \
				'{path: $hook, args: ["coffer-hook", "--runtime-dir", $dir], env: ["PATH=/usr/bin:/bin"]}')
			filters+=(".hooks = {createRuntime: [$call], poststop: [$call]}")
			shift; continue ;;
		--userns)
			userns=true
			filters+=('.linux.namespaces += [{type: "user"}]
				| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
				| .linux.gidMappings = .linux.uidMappings')
			shift; continue ;;
		--writable)
			filters+=('.root.readonly = false')
			shift; continue ;;
		esac
		[[ $# -ge 2 ]] || { echo "make_bundle: $1 wants a value" >&2; return 1; }
		local value
		value=$(jq -n --arg value "$2" '$value')
		case $1 in
		--annotation) filters+=("($value | split(\"=\")) as \$a | .annotations[\$a[0]] = (\$a[1:] | join(\"=\"))") ;;
		--user) filters+=("($value | split(\":\") | map(tonumber)) as \$u
			| .process.user = {uid: \$u[0], gid: \$u[1]}") ;;
		--mount) filters+=("($value | split(\":\")) as \$m | .mounts += [{source: \$m[0], destination: \$m[1],
			type: \"bind\", options: [\"bind\", \"rw\"]}]") ;;
		--tmpfs) filters+=(".mounts += [{source: \"tmpfs\", destination: $value, type: \"tmpfs\",
			options: [\"mode=755\"]}]") ;;
		--with) programs+=("$2") ;;
		--args) filters+=(".process.args = ($value | split(\" \"))") ;;
		--cgroup) filters+=(".linux.cgroupsPath = $value") ;;
		--jq) filters+=("$2") ;;
		*) echo "make_bundle: unknown option $1" >&2; return 1 ;;
		esac
		shift 2
	done
}

make_bundle() { # DIR HOOK RUNTIME_DIR [options]
	local dir=$1 filters=() programs=() userns=false program
	bundle_options "${@:2}" || return
	mkdir -p "$dir"
	bundle_root "$dir/rootfs"
	for program in "${programs[@]}"; do
		bundle_program "$dir/rootfs" "$program" || return
	done
	if $userns; then
		chown -R -h 100000:100000 "$dir/rootfs"
	fi
	(cd "$dir" && runc spec)
	local filter='.process.terminal = false | .process.args = ["sleep", "infinity"] | .process.env = ["PATH=/bin:/usr/bin"]
		| .annotations = {}' step
	for step in "${filters[@]}"; do
		filter+=" | ($step)"
	done
	jq "$filter" "$dir/config.json" >"$dir/config.new"
	mv "$dir/config.new" "$dir/config.json"
}
