#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Python program, as an ordinary user: lets in who has the password of its mount, signs with a key from a JSON file
# beside, and does so with the next ones from the moment that `coffer put` returns.
. "$(dirname "$0")/image-lib.sh"

request='
import base64, sys, urllib.error, urllib.request
request = urllib.request.Request("http://127.0.0.1:8080/")
request.add_header("Authorization", "Basic " + base64.b64encode(("api:" + sys.argv[1]).encode()).decode())
try:
    with urllib.request.urlopen(request) as answer:
        print(answer.status, answer.read().decode(), answer.headers["Signature"])
except urllib.error.HTTPError as error:
    print(error.code)
'
asks() { # PASSWORD ANSWER
	succeeds in_container api python3 -c "$request" "$1"
	says "$2"
}
secrets_of() { # N: the values with that number, and the answer that they give
	echo "password-$1" >password
	jq -n --arg n "$1" '{greeting: "hello \($n)", key: "key-\($n)"}' >config.json
	answer="200 hello $1 $(printf 'hello %s' "$1" | openssl dgst -sha256 -hmac "key-$1" | sed 's/.* //')"
}

image api --user 1000:1000
image_files Python
secrets_of 1
operator Python 1
starts api python3 /srv/api.py
expect api '^listening$'
asks password-1 "$answer"
asks password-2 401
for ((number = 2; number <= ROTATIONS; number++)); do
	secrets_of $number
	operator Python 2
	asks password-$number "$answer"
	asks password-$((number - 1)) 401
done
succeeds in_container api stat -c '%a %u' $secrets/api/password $secrets/api/config.json
says $'400 1000\n400 1000'
clean_log api
