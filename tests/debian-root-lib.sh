# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# debian_root FOLDER GROUP [FUNCTION]: a root folder of a Debian 12 with the packages of a group of tests/install-packages
# (and what they need) in it. Made once, kept, and made again when the list changes; FUNCTION NEW finishes it before it is
# in its place. FOLDER.log is what debootstrap said.
#
# COFFER_DEBIAN_MIRROR  where the packages come from, if not from where debootstrap takes them by itself

debian_root() { # FOLDER GROUP [FUNCTION]
	local root=$1 new=$1.new log=$1.log packages lock here
	here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
	[[ $(id -u) -eq 0 ]] || { echo "${0##*/}: debootstrap wants root" >&2; return 1; }
	command -v debootstrap >/dev/null || { echo "${0##*/}: debootstrap is missing: see tests/install-packages" >&2; return 1; }
	packages=$("$here/install-packages" --list "$2" | paste -sd,)

	mkdir -p "$(dirname "$root")"
	exec {lock}>"$root.lock"
	flock "$lock" # whoever else wants it waits until it is there
	[[ $(cat "$root/etc/coffer-packages" 2>/dev/null) != "$packages" ]] || return 0

	# shellcheck disable=SC2064 # the name as it is now
	trap "rm -rf --one-file-system '$new'" EXIT
	rm -rf --one-file-system "$new"
	debootstrap --variant=minbase --include="$packages" bookworm "$new" ${COFFER_DEBIAN_MIRROR:+"$COFFER_DEBIAN_MIRROR"} \
		>"$log" 2>&1 </dev/null || {
		tail -n 30 "$log" "$new/debootstrap/debootstrap.log" >&2 || true
		echo "${0##*/}: debootstrap could not make $root (the end of its output is above)" >&2
		return 1
	}
	rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/* "$new"/usr/share/{doc,locale}
	[[ -z ${3-} ]] || "$3" "$new"
	printf '%s\n' "$packages" >"$new/etc/coffer-packages"
	rm -rf --one-file-system "$root"
	mv "$new" "$root"
}
