/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head file: {"version":1, POINT, "public_key":HEX, "signed":{POINT, "signature":HEX}} with
 * POINT as "seq":N, "hash":HEX, "epoch":N, "oldest":N, "previous":HEX, "time":TEXT, "time_ns":N.
 * "time" is for people; what is signed is time_ns.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/chain.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/times.h"

#define HEAD_VERSION 1

static json_t *point_json(const struct chain_point *point)
{
	char hash[CHAIN_HEX_LEN], previous[CHAIN_HEX_LEN], time[TIMES_TEXT_MAX];

	chain_hex(point->hash, CHAIN_HASH_LEN, hash);
	chain_hex(point->oldest_previous, CHAIN_HASH_LEN, previous);
	return json_pack("{sI ss sI sI ss ss sI}", "seq", (json_int_t)point->seq, "hash", hash,
	                 "epoch", (json_int_t)point->epoch, "oldest", (json_int_t)point->oldest_seq,
	                 "previous", previous, "time", times_format(point->time_ns, time),
	                 "time_ns", (json_int_t)point->time_ns);
}

/* `signed` with its signature, or null. */
static json_t *signed_json(const struct chain_head *head)
{
	SCOPED(json_ptr) json_t *object = NULL;
	char signature[2 * sizeof(head->signature) + 1];

	if (!head->has_signed)
		return json_null();
	object = point_json(&head->signed_point);
	chain_hex(head->signature, sizeof(head->signature), signature);
	if (!object || json_object_set_new(object, "signature", json_string(signature)) < 0)
		return NULL;
	return TAKE_PTR(object);
}

char *chain_head_text(const struct chain_head *head)
{
	SCOPED(json_ptr) json_t *object = json_pack("{si}", "version", HEAD_VERSION);
	SCOPED(json_ptr) json_t *now = point_json(&head->now);
	SCOPED(json_text_ptr) char *text = NULL;
	char key[CHAIN_HEX_LEN] = "";
	size_t len;
	char *ret;

	if (!object || !now || json_object_update(object, now) < 0)
		return NULL;
	if (!sodium_is_zero(head->public_key, sizeof(head->public_key)))
		chain_hex(head->public_key, sizeof(head->public_key), key);
	if (json_object_set_new(object, "public_key", json_string(key)) < 0 ||
	    json_object_set_new(object, "signed", signed_json(head)) < 0)
		return NULL;
	text = json_text(object);
	if (!text)
		return NULL;
	len = strlen(text);
	ret = malloc(len + 2);
	if (!ret)
		return NULL;
	memcpy(ret, text, len);
	memcpy(ret + len, "\n", 2);
	return ret;
}

static int get_hex(const json_t *object, const char *key, uint8_t *ret, size_t len, struct err *e)
{
	const char *hex;
	int r = json_get_string(object, key, true, &hex, e);

	if (r < 0)
		return r;
	if (chain_unhex(hex, ret, len) < 0)
		return err_set(e, -EINVAL, "the field \"%s\" must be %zu hex digits", key, 2 * len);
	return 0;
}

static int get_number(const json_t *object, const char *key, uint64_t *ret, struct err *e)
{
	int64_t value;
	int r = json_get_int(object, key, true, 0, INT64_MAX - 1, &value, e);

	if (r == 0)
		*ret = (uint64_t)value;
	return r;
}

static int get_point(const json_t *object, struct chain_point *ret, struct err *e)
{
	int r = get_number(object, "seq", &ret->seq, e);

	if (r == 0)
		r = get_hex(object, "hash", ret->hash, CHAIN_HASH_LEN, e);
	if (r == 0)
		r = get_number(object, "epoch", &ret->epoch, e);
	if (r == 0)
		r = get_number(object, "oldest", &ret->oldest_seq, e);
	if (r == 0)
		r = get_hex(object, "previous", ret->oldest_previous, CHAIN_HASH_LEN, e);
	if (r == 0)
		r = json_get_int(object, "time_ns", true, INT64_MIN, INT64_MAX, &ret->time_ns, e);
	if (r == 0 && (ret->oldest_seq == 0 || ret->oldest_seq > ret->seq + 1))
		r = err_set(e, -EINVAL, "the field \"oldest\" does not fit \"seq\"");
	return r;
}

static int parse_object(const json_t *object, struct chain_head *ret, struct err *e)
{
	json_t *signed_part = NULL;
	const char *key;
	int64_t version;
	int r = json_get_int(object, "version", true, HEAD_VERSION, HEAD_VERSION, &version, e);

	if (r == 0)
		r = get_point(object, &ret->now, e);
	if (r == 0)
		r = json_get_string(object, "public_key", true, &key, e);
	if (r == 0 && *key)
		r = get_hex(object, "public_key", ret->public_key, sizeof(ret->public_key), e);
	if (r == 0)
		r = json_get_object(object, "signed", false, &signed_part, e);
	if (r < 0 || !signed_part)
		return r;
	ret->has_signed = true;
	r = get_point(signed_part, &ret->signed_point, e);
	if (r == 0)
		r = get_hex(signed_part, "signature", ret->signature, sizeof(ret->signature), e);
	return r;
}

int chain_head_parse(const char *text, size_t len, struct chain_head *ret, struct err *e)
{
	SCOPED(json_ptr) json_t *object = NULL;
	struct chain_head head = { 0 };
	int r;

	if (len > CHAIN_HEAD_MAX)
		return err_set(e, -EINVAL, "the head of the audit log is longer than %d bytes",
		               CHAIN_HEAD_MAX);
	r = json_parse(text, len, &object, e);
	if (r == 0)
		r = parse_object(object, &head, e);
	if (r < 0)
		return err_prefix(e, r, "the head of the audit log can't be read");
	*ret = head;
	return 0;
}
