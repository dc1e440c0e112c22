# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What memory costs, as the kernel counts it: KiB. Needs root and a memory cgroup (v1 or v2); host_memory drops the host's
# caches.
#
#   counted_broker                     an unsealed broker as unsealed_broker's, in a memory cgroup: $counted
#   build_idle_server static|dynamic   the floor: floor_server.c without a file
#   idle_servers PROGRAM COUNT         so many of it, in a memory cgroup: $idle_pids, and memory $idle_before and $idle_after

host_memory() { # KEY=KIB words
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cat /proc/sys/vm/stat_refresh
	awk '$1 ~ /^(KernelStack|Slab|Percpu):$/ { sub(":", "", $1); printf "%s=%d ", $1, $2 }' /proc/meminfo
}

memory_root=/sys/fs/cgroup
[[ ! -d $memory_root/memory ]] || memory_root+=/memory
home=$memory_root$(awk -F: '$2 == "memory" || $1 == 0 { print $3; exit }' /proc/self/cgroup)

group_memory() { # CGROUP: KEY=KIB words
	local group=$1
	if [[ -e $group/memory.kmem.usage_in_bytes ]]; then
		printf 'kernel=%d ' $(($(cat "$group/memory.kmem.usage_in_bytes") / 1024))
	fi
	awk '{ sub(/^rss$/, "anon", $1) } $1 ~ /^(anon|shmem|kernel)$/ { printf "%s=%d ", $1, $2 / 1024 }' "$group/memory.stat"
}

memory() { # CGROUP
	echo "$(host_memory) $(group_memory "$1")"
}

grown() { # BEFORE AFTER of memory: all of a cgroup's
	awk -v was="$1" -v is="$2" '
		function sum(text,  i, n, word, part, all) {
			n = split(text, word, " ")
			for (i = 1; i <= n; i++) {
				split(word[i], part, "=")
				if (part[1] ~ /^(anon|shmem|kernel)$/) all += part[2]
			}
			return all
		}
		BEGIN { print sum(is) - sum(was) }'
}

of_processes() { # FILE FIELD PID...: the sum of the field in that file of each process
	local file=$1 field=$2 pid files=()
	shift 2
	for pid in "$@"; do
		files+=("/proc/$pid/$file")
	done
	awk -v field="$field:" '$1 == field { sum += $2 } END { print sum + 0 }' "${files[@]}"
}
dirty() { of_processes smaps_rollup Private_Dirty "$@"; }
pss() { of_processes smaps_rollup Pss "$@"; }
tables() { of_processes status VmPTE "$@"; }

counted_broker() {
	counted=$BROKER_CGROUP
	if [[ $memory_root == */memory ]]; then
		counted=$memory_root/coffer-test-$TAG
		on_exit+=("end_cgroup 2>/dev/null; rmdir $counted")
		mkdir "$counted"
		echo "$BASHPID" >"$counted/cgroup.procs"
	fi
	unsealed_broker
	[[ $counted == "$BROKER_CGROUP" ]] || echo "$BASHPID" >"$home/cgroup.procs"
}

broker_processes() { # WORKER...: all in the broker's cgroup but these
	comm -23 <(sort "$BROKER_CGROUP/cgroup.procs") <(printf '%s\n' "$@" | sort)
}

build_idle_server() { # static|dynamic PROGRAM
	local fuse from
	from=$(dirname "${BASH_SOURCE[0]}")/floor_server.c
	local cc=(cc -O2 -fPIE -o "$2" "$from" "-Wl,-z,relro" "-Wl,-z,now")
	read -ra fuse <<<"$(pkg-config --cflags --libs fuse3)"
	if [[ $1 == static ]]; then
		"${cc[@]}" -static-pie -Wl,--wrap=dlopen,--defsym=__wrap_dlopen=abort "${fuse[@]}" -lpthread
	else
		"${cc[@]}" -pie "${fuse[@]}"
	fi
}

idle_servers() {
	local i pid
	idle_folder=$(mktemp -d)
	idle_group=$memory_root/$(basename "$idle_folder")
	idle_pids=()
	mkdir "$idle_group"
	mkfifo "$idle_folder/ready"
	exec {idle_ready}<>"$idle_folder/ready"
	idle_before=$(memory "$idle_group")
	for ((i = 0; i < $2; i++)); do
		mkdir "$idle_folder/$i"
		(
			echo "$BASHPID" >"$idle_group/cgroup.procs"
			exec "$1" "$idle_folder/$i" >&"$idle_ready"
		) &
		read -r pid <&"$idle_ready"
		idle_pids+=("$pid")
	done
	idle_after=$(memory "$idle_group")
}

idle_servers_end() {
	local i
	for ((i = 0; i < ${#idle_pids[@]}; i++)); do
		umount "$idle_folder/$i" # the server's loop ends with it
	done
	wait "${idle_pids[@]}"
	exec {idle_ready}<&-
	rmdir "$idle_group"
	rm -r "$idle_folder"
}
