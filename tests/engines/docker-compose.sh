#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Compose, with the example file of docs/examples: two services of one image see only what was granted to each by
# Compose's labels, also where the image claims to be another service, and when Compose makes a container anew.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=docker-lib.sh
. "$(dirname "$0")/docker-lib.sh"

command -v docker-compose >/dev/null || { echo "docker-compose is missing: see tests/install-packages" >&2; exit 1; }
docker_with_coffer

# What differs on this host: there is no bridge, and nobody waits for a sleep to end. Debian's Compose is a program of
# its own.
jq -n '{network_mode: "none", stop_grace_period: "0s"} | {services: {db: ., web: .}}' >"$D/here.yaml"
docker() {
	if [[ $1 == compose ]]; then
		DOCKER_HOST=unix://$E/sock docker-compose "${@:2:4}" --file "$D/here.yaml" "${@:6}"
	else
		command docker -H "unix://$E/sock" "$@"
	fi
}
on_exit+=('docker ps -aq | xargs -r "$(type -P docker)" -H "unix://$E/sock" rm -f >>"$D/end.log" 2>&1')
compose() {
	docker compose --project-name shop --file "$docs/examples/compose.yaml" "$@"
}

# ---- the page ----

follow "Compose" 1
grep -q 'correct horse' "$D/out" || fail "the service does not get its secret: $(cat "$D/out" "$D/err")"
[[ -z $(docker ps -aq) ]] || fail "the page leaves containers: $(docker ps -a)"

# ---- each its own ----

printf 'for web' | coffer put web-token >/dev/null
succeeds coffer grant web-token --label com.docker.compose.project=shop --label com.docker.compose.service=web
succeeds compose up --detach
lists() { # SERVICE NAMES
	succeeds compose exec -T "$1" ls /run/secrets
	says "$2"
}
lists db db-password
lists web web-token
succeeds coffer ps --json
says_json '[.attachments[].container] | sort == ["shop_db_1", "shop_web_1"]'

# Another project with services of the same names has nothing.
succeeds docker compose --project-name other --file "$docs/examples/compose.yaml" up --detach
succeeds docker compose --project-name other --file "$docs/examples/compose.yaml" exec -T db ls /run/secrets
says ''

# ---- an image that claims to be a service ----

image debian:12 'LABEL com.docker.compose.project=shop' 'LABEL com.docker.compose.service=db'
succeeds docker run --detach --name hostile debian:12 sleep infinity
run docker exec hostile cat /run/secrets/db-password
[[ $status -ne 0 ]] || fail "an image got a secret by saying that it is the service"
succeeds coffer explain hostile
told 'came with the image, and what an image says of itself never matches'

# Compose makes both anew from that image, since it has changed: each is what Compose says, whatever the image says.
succeeds compose up --detach --force-recreate
[[ $(docker inspect --format '{{.Image}}' shop_web_1) == "$(cat "$D/image.id")" ]] || fail "Compose kept the old image"
lists db db-password
lists web web-token
put web-token newer
succeeds compose exec -T web cat /run/secrets/web-token
says newer
succeeds compose restart --timeout 0
lists db db-password
lists web web-token
echo "$SECONDS s"
