# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A Docker of our own (containerd and dockerd, as where a service manager runs both), for scenarios that use the engine:
# sourced behind the driver. Its folder is $E. What is exported when containerd starts is in its runtimes' environment.

for need in docker dockerd containerd; do
	command -v "$need" >/dev/null || { echo "$need is missing: see tests/install-packages" >&2; exit 1; }
done

E=$D/docker
docker_pid=
containerd_pid=
reloads=0 # of this dockerd
docker_options=(--live-restore) # of dockerd, beside where its things lie
mkdir "$E"

docker() {
	command docker -H "unix://$E/sock" "$@"
}

says_in_log() { # FILE PATTERN PID [TIMES]: that process will have said so, or has
	[[ $(timeout 60 grep -c -m "${4:-1}" -- "$2" < <(tail -n +1 -F --pid="$3" "$1" 2>/dev/null || true)) == "${4:-1}" ]] ||
		fail "nobody says '$2': $(tail -n 5 "$1")"
}

start_containerd() { # returns when it is up
	local said=$D/containerd.$RANDOM
	cat >"$E/containerd.toml" <<-END
		version = 2
		root = "$E/root"
		state = "$E/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		address = "$E/containerd.sock"
	END
	containerd --config "$E/containerd.toml" >"$said" 2>&1 &
	containerd_pid=$!
	says_in_log "$said" 'successfully booted' $containerd_pid
}

start_docker() { # returns when it answers
	docker_log=$D/dockerd.$RANDOM
	reloads=0
	dockerd --iptables=false --bridge=none --data-root "$E/data" --exec-root "$E/exec" \
		--containerd "$E/containerd.sock" -H "unix://$E/sock" --pidfile "$E/pid" --cgroup-parent "/coffer-test-$TAG-docker" \
		"${docker_options[@]}" >"$docker_log" 2>&1 &
	docker_pid=$!
	says_in_log "$docker_log" 'API listen on' $docker_pid
}

stop_daemon() { # PID [SIGNAL]
	kill -"${2:-9}" "$1"
	wait "$1" 2>/dev/null || true
}

end_docker() {
	local shims
	docker ps -aq | xargs -r timeout 60 docker -H "unix://$E/sock" rm -f >/dev/null
	mapfile -t shims < <(pgrep -f "containerd-shim.* -address $E/")
	end_processes "$docker_pid" "$containerd_pid" "${shims[@]}"
	find /sys/fs/cgroup -depth -type d -path "*/coffer-test-$TAG-docker*" -exec rmdir {} +
} 2>>"$D/end.log"
on_exit+=(end_docker)

# ---- with Coffer, as docs/docker.md sets it up ----

docs=$here/../../docs

page_block() { # HEADING N: the page's Nth fenced block below that heading
	awk -v heading="## $1" -v n="$2" '
		/^## / { inside = ($0 == heading) }
		inside && /^```/ { open = !open; if (open) block++; next }
		inside && open && block == n' "$docs/docker.md" >"$D/block"
	[[ -s $D/block ]] || fail "docs/docker.md has no block $2 below '$1'"
	sed "s|/root/|$D/|g; s|/usr/bin/|$COFFER_BUILD/client/|g; s|examples/|$docs/&|g" "$D/block"
}

follow() { # HEADING N: does what stands there; what it prints is in $D/out
	local commands
	commands=$(page_block "$@")
	(eval "$commands") >"$D/out" 2>"$D/err" </dev/null
}

told() { # TEXT: the page has that message, and so does what the last command printed
	grep -qF -- "$1" "$docs/docker.md" || fail "docs/docker.md does not tell of '$1'"
	cat "$D/out" "$D/err" | tr -s '\n ' ' ' | grep -qF -- "$1" || fail "nothing says '$1': $(cat "$D/out" "$D/err")"
}

systemctl() { # reload docker: as Debian's unit does it
	[[ $* == "reload docker" ]] || fail "the page says: systemctl $*"
	kill -HUP "$docker_pid"
	reloads=$((reloads + 1))
	says_in_log "$docker_log" 'Reloaded configuration' "$docker_pid" "$reloads"
}

image() { # NAME [CHANGE...]: busybox's userland, with changes as of a Dockerfile
	local name=$1 change changes=()
	shift
	[[ -d $D/image ]] || bundle_root "$D/image"
	for change in "$@"; do
		changes+=(--change "$change")
	done
	tar -C "$D/image" -c . | docker import "${changes[@]}" - "$name" >"$D/image.id"
}

docker_config() { # [JQ-FILTER]: of a broker that knows this Docker
	write_config ". + {runc_roots: [\"$E/exec/runtime-runc/moby\"], engine_roots: [\"$E/data\"]} | ${1:-.}"
}

# A Docker whose runtime is coffer-runc, the image that the page's examples use, and a broker that knows this Docker.
docker_with_coffer() { # [further options of dockerd]
	echo '{}' >"$E/daemon.json"
	docker_options=(--config-file "$E/daemon.json" "$@")
	start_containerd
	start_docker
	page_block "Set up" 2 >"$E/daemon.json"
	image debian:12
	docker_config
	broker_options=(--keyfile "$D/coffer.key")
	start_broker
	follow "Set up" 1
	follow "Set up" 3
	says "$(page_block "Set up" 4)"
}

pid_of() { # NAME
	docker inspect --format '{{.State.Pid}}' "$1"
}

await_event() { # PATTERN [TIMES]: events of Docker, past or to come, each a line of its status and its container's name
	local reader found
	exec {reader}< <(exec "$(type -P docker)" -H "unix://$E/sock" events --since 0 \
		--format '{{.Status}} {{index .Actor.Attributes "name"}}' 2>>"$D/end.log")
	local teller=$!
	found=$(timeout 60 grep -c -m "${2:-1}" -- "$1" <&"$reader" || true)
	exec {reader}<&-
	kill "$teller" 2>/dev/null || true
	[[ $found == "${2:-1}" ]] || fail "Docker tells of no event '$1'"
}
