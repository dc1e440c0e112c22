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
docker_options=() # further options of dockerd
mkdir "$E"

docker() {
	command docker -H "unix://$E/sock" "$@"
}

says_in_log() { # FILE PATTERN PID: that process will have said so, or has
	timeout 60 grep -m 1 -q -- "$2" < <(tail -n +1 -F --pid="$3" "$1" 2>/dev/null || true) ||
		fail "nobody says '$2': $(tail -n 5 "$1")"
}

start_containerd() { # returns when it is up
	local said=$D/containerd.$RANDOM
	printf 'version = 2\nroot = "%s"\nstate = "%s"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "%s"\n' \
		"$E/root" "$E/state" "$E/containerd.sock" >"$E/containerd.toml"
	containerd --config "$E/containerd.toml" >"$said" 2>&1 &
	containerd_pid=$!
	says_in_log "$said" 'successfully booted' $containerd_pid
}

start_docker() { # returns when it answers
	local said=$D/dockerd.$RANDOM
	dockerd --iptables=false --bridge=none --live-restore --data-root "$E/data" --exec-root "$E/exec" \
		--containerd "$E/containerd.sock" -H "unix://$E/sock" --pidfile "$E/pid" "${docker_options[@]}" >"$said" 2>&1 &
	docker_pid=$!
	says_in_log "$said" 'API listen on' $docker_pid
}

stop_daemon() { # PID [SIGNAL]
	kill -"${2:-9}" "$1"
	wait "$1" 2>/dev/null || true
}

end_docker() {
	local shims
	docker ps -aq | xargs -r timeout 60 docker -H "unix://$E/sock" rm -f >/dev/null
	mapfile -t shims < <(pgrep -f "containerd-shim.* -address $E/")
	end_processes $docker_pid $containerd_pid "${shims[@]}"
} 2>>"$D/end.log"
on_exit+=(end_docker)
