#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `cmake --install` puts every program, unit and snippet in its place, and the installed command runs from there.
. "$(dirname "$0")/lib.sh"

for prefix in /usr /usr/local /opt/coffer; do
	rm -rf "$D/dest"
	[[ $prefix == /usr ]] && zsh=vendor-completions || zsh=site-functions
	DESTDIR=$D/dest cmake --install "$COFFER_BUILD" --prefix "$prefix" >"$D/install.log" 2>&1 || fail "cmake --install"
	for file in bin/coffer bin/coffer-hook bin/coffer-runc sbin/cofferd libexec/coffer/cofferfs libexec/coffer/coffer-enter \
		libexec/coffer/coffer-verify \
		lib/systemd/system/cofferd.service lib/systemd/system/coffer-spawner.service \
		lib/systemd/system/{cofferd,cofferd-workload,coffer-spawner}.socket \
		share/man/man1/coffer.1 share/man/man1/coffer-hook.1 share/man/man5/cofferd.json.5 share/man/man8/cofferd.8 \
		share/man/man8/coffer-enter.8 share/man/man8/cofferfs.8 \
		share/bash-completion/completions/coffer "share/zsh/$zsh/_coffer" \
		share/fish/vendor_completions.d/coffer.fish \
		lib/sysusers.d/coffer.conf lib/tmpfiles.d/coffer.conf; do
		[[ -f $D/dest$prefix/$file ]] || fail "no $prefix/$file: $(cd "$D/dest" && find . -type f)"
	done
	for unit in cofferd coffer-spawner; do
		grep -qE "^ExecStart=$prefix/sbin/cofferd( |$)" "$D/dest$prefix/lib/systemd/system/$unit.service" ||
			fail "installed below $prefix, $unit.service has: $(grep ExecStart "$D/dest$prefix/lib/systemd/system/$unit.service")"
	done
	succeeds jq -r .hook.path "$D/dest$prefix/share/containers/oci/hooks.d/coffer-hook.json"
	says "$prefix/bin/coffer-hook"
	succeeds "$D/dest$prefix/bin/coffer" version
done
succeeds "$D/dest$prefix/bin/coffer" help
for verb in init unseal seal status backup restore doctor put get ls info history rollback rm grant revoke grants attach detach ps explain audit; do
	grep -q "^  $verb " "$D/out" || fail "help does not list $verb"
done
# It finds the program that it needs for that where it was installed.
succeeds "$D/dest$prefix/bin/coffer" backup verify "$here/../fuzz/corpus/backup_file/few"
