#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/podman.md, followed line by line as root with a real Podman: what its commands print is what it says they print,
# and the mistakes that it names show as it says.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/podman-lib.sh"
. "$(dirname "$0")/page-lib.sh"

install_hook
podman_broker
page_run "$here/../../docs/podman.md" sh

# The conditions in its table: what matched front, one by one.
succeeds coffer explain front --json
cp "$D/out" "$D/front.json"
says_json '[.matches[] | select(.matches) | .strength] | sort == ["strong", "weak", "weak"]'
says_json 'any(.matches[]; .matches and (.reason | test("its image digest is sha256:[0-9a-f]+ \\(strong\\)")))'
says_json 'any(.matches[]; .matches and (.reason | test("its image is localhost/shop:1 \\(weak\\)")))'
says_json 'any(.matches[]; (.matches | not) and (.reason | test("its name is front, and the grant wants shop")))'

# The Quadlet, as far as a Podman without Quadlet can: what its keys mean, given to podman run.
quadlet=$here/../../docs/examples/shop.container
options=()
while IFS='=' read -r key value; do
	case $key in
	ContainerName) options+=(--name "$value") ;;
	Label) options+=(--label "$value") ;;
	User) options+=(--user "$value") ;;
	ReadOnly) [[ $value != true ]] || options+=(--read-only) ;;
	Image) from=$value ;;
	Exec) read -r -a command <<<"$value" ;;
	*) fail "$quadlet has a key $key, which this test does not know" ;;
	esac
done < <(sed -n '/^\[Container\]/,/^\[Service\]/{/^[^#[]/p}' "$quadlet")
succeeds podman run --detach "${options[@]}" "$from" "${command[@]}"
succeeds podman exec shop cat /run/secrets/db-password
says 'battery staple'
succeeds podman exec shop stat -c '%u %a' /run/secrets/db-password
says '1000 400'

# "When a secret is not there": a label of the image.
of_image=$(coffer grant db-password --label tier=back)
succeeds podman run --detach --name plain localhost/shop:1 sleep infinity
succeeds coffer explain plain --json
says_json "any(.matches[]; .grant == \"$of_image\" and (.matches | not) and .image_label and (.reason | test(\"came with the image\")))"

# No hook: it is found by its name, explained as not registered, and attach gives it its secrets.
mkdir "$D/no-hooks"
succeeds podman --hooks-dir "$D/no-hooks" run --detach --name forgotten --label tier=front localhost/shop:1 \
	sleep infinity
run podman exec forgotten cat /run/secrets/db-password
[[ $status -ne 0 ]] || fail "without a hook it has its secret"
coffer ps >"$D/ps"
! grep -q forgotten "$D/ps" || fail "coffer ps lists what no hook registered"
succeeds coffer explain forgotten --json
says_json 'any(.notes[]; test("not registered"))'
says_json 'any(.facts[]; .name == "container" and .value == "forgotten")'
succeeds coffer attach forgotten
succeeds podman exec forgotten cat /run/secrets/db-password
says 'battery staple'

# A sealed broker: the container starts, explain says why it has nothing, and unsealing brings it.
coffer seal >/dev/null
succeeds podman run --detach --name early --label tier=front localhost/shop:1 sleep infinity
run podman exec early cat /run/secrets/db-password
[[ $status -ne 0 ]] || fail "a sealed broker served a new container"
succeeds coffer explain early --json
says_json 'any(.notes[]; test("sealed"))'
succeeds coffer unseal --keyfile "$D/key"
await_audit attach '.container == "early"'
succeeds podman exec early cat /run/secrets/db-password
says 'battery staple'
