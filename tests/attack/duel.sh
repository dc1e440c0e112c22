# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the attack scenarios share: sourced first by each. Beside the driver of the integration scenarios: a broker
# with a victim whose secret nobody else is granted, and containers that carry the attacker's program.
. "$(dirname "${BASH_SOURCE[0]}")/../integration/lib.sh"

TOOLS=$COFFER_BUILD/tests/attack
for need in attacker rogue-worker sandbox-probe; do
	[[ -x $TOOLS/$need ]] || { echo "$TOOLS/$need is not built" >&2; exit 1; }
done
VICTIM_VALUE="victim's value $TAG"
OWN_VALUE="attacker's value $TAG"

# A container of the victim's with its secret, and one of the attacker's granted.
duel() {
	[[ -n $broker_pid ]] || start_broker
	coffer init --keyfile "$D/key" >/dev/null
	mkdir -m 1777 "$D/shared"
	put victim-secret "$VICTIM_VALUE"
	put own-secret "$OWN_VALUE"
	succeeds coffer grant victim-secret --container victim
	succeeds coffer grant own-secret --container attacker
}

armed_bundle() { # NAME [options of make_bundle]: with the program, the broker's socket and a folder to meet others
	bundle "$1" --hook --mount "$RUN/workload:/coffer" --mount "$D/shared:/shared" "${@:2}"
	install -m 755 "$TOOLS/attacker" "$D/$1.bundle/rootfs/attacker"
}

armed() { # NAME [options of make_bundle]
	armed_bundle "$@"
	run_container "$1"
}

capable() { # CAPABILITY...: the option that adds them to the container
	jq -rn '[$ARGS.positional[]] | ".process.capabilities |= with_entries(.value += \(tojson))"' --args "$@"
}

attack() { # CONTAINER COMMAND...: the attacker's program there; what it printed is in $D/out
	succeeds in_container "$1" /attacker "${@:2}"
}

got() { # PATTERN: a line of what the last command printed matches (extended)
	grep -qE -- "$1" "$D/out" || fail "nothing like '$1' in: $(head -c 4000 "$D/out")"
}

never() { # PATTERN: no line does
	! grep -qE -- "$1" "$D/out" || fail "'$1' in: $(grep -E -- "$1" "$D/out" | head -c 4000)"
}

# A command that goes on until it is told to end, by a q on its input.
declare -A begun_in begun_out
begin() { # NAME COMMAND...: returns with its first line in $line
	local fifo=$D/begun.$1 in out
	mkfifo "$fifo"
	exec {out}< <(exec "${@:2}" <"$fifo" 2>&1)
	exec {in}>"$fifo"
	begun_in[$1]=$in begun_out[$1]=$out
	read -r -t 60 -u "$out" line || fail "'${*:2}' says nothing"
	rm "$fifo"
}

end() { # NAME: the rest of what it says is in $D/out
	local in=${begun_in[$1]} out=${begun_out[$1]}
	printf q >&"$in"
	exec {in}>&-
	cat <&"$out" >"$D/out"
	exec {out}<&-
}

# Neither as it is nor as the API would send it.
nothing_of_the_victim() { # [FILE]
	local file=${1:-$D/out} coded
	coded=$(printf '%s' "$VICTIM_VALUE" | base64 -w 0)
	! grep -qaF -e "$VICTIM_VALUE" -e "$coded" "$file" || fail "the victim's value: $(head -c 4000 "$file")"
}

# Whatever was tried, the victim is served and the broker answers.
all_is_well() {
	reads victim /run/secrets/victim-secret "$VICTIM_VALUE"
	audit_lacks open '.name == "victim-secret" and .container != "victim" and .result == "granted"'
	audit_lacks api.get '.name == "victim-secret" and .container != "victim" and .result == "granted"'
	succeeds coffer audit verify
}
