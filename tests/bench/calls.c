/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls RUNTIME_DIR - what one connection to the broker's operator socket can do.
 *
 *	calls DIR info COUNT NAME             look a name up
 *	calls DIR list COUNT PREFIX           list what is below it
 *	calls DIR put COUNT BATCH BYTES NAME  store BATCH values in a transaction, COUNT times: NAME/0, NAME/1 …,
 *	                                      new names at first, then versions of them
 *	calls DIR fill COUNT BATCH BYTES NAME the same with new names throughout: NAME/00000000 …
 *
 * Prints one line of JSON: how many calls, what each took (nanoseconds, percentiles), and for all of them
 * the time when the first began and the last ended, on CLOCK_MONOTONIC.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "call.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "coffer/secret.h"

#define BATCH_MAX 128 /* what the broker takes in one transaction */
#define NAMES 1000    /* put: so many names have their turn */

struct work {
	struct call *call;
	const char *name;
	size_t batch, bytes;
	bool fresh;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int ask(struct work *w, const char *method, json_t *parameters, const int *fds, size_t nfds,
               struct err *e)
{
	const struct call_request request = { method, parameters, strcmp(method, "List") == 0, fds,
		                              nfds };
	bool more = true;
	int r = call_send(w->call, &request, e);

	while (r == 0 && more) {
		SCOPED(json_ptr) json_t *reply = NULL;

		r = call_next(w->call, &reply, &more, e);
	}
	return r;
}

static int info(struct work *w, size_t i, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_pack("{s:s}", "name", w->name);

	return ask(w, "Info", parameters, NULL, 0, e);
}

static int list(struct work *w, size_t i, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_pack("{s:s}", "prefix", w->name);

	return ask(w, "List", parameters, NULL, 0, e);
}

/* A value of its own, as short of patterns as secrets are. */
static int make_value(size_t bytes, size_t seed)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	unsigned char *at;
	uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;

	value = secret_new(bytes);
	if (!value)
		return -ENOMEM;
	at = value->bytes;
	for (size_t i = 0; i < bytes; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		at[i] = (unsigned char)state;
	}
	return secret_to_memfd(value);
}

static int put(struct work *w, size_t i, struct err *e)
{
	SCOPED(json_ptr) json_t *items = json_array();
	SCOPED(json_ptr) json_t *parameters = json_pack("{s:O}", "items", items);
	int fds[BATCH_MAX], r = 0;
	size_t n = 0;

	for (; n < w->batch && r == 0; n++) {
		char name[NAME_LEN_MAX + 1];
		size_t number = i * w->batch + n;

		if (w->fresh)
			snprintf(name, sizeof(name), "%s/%08zu", w->name, number);
		else
			snprintf(name, sizeof(name), "%s/%zu", w->name, number % NAMES);
		fds[n] = make_value(w->bytes, number);
		r = fds[n] < 0 ? fds[n] : 0;
		json_array_append_new(items, json_pack("{s:s, s:i}", "name", name, "fd", (int)n));
	}
	if (r == 0)
		r = ask(w, "Put", parameters, fds, n, e);
	for (size_t k = 0; k < n; k++)
		fd_close(fds[k]);
	return r;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int measure(struct work *w, int (*step)(struct work *w, size_t i, struct err *e),
                   size_t count, struct err *e)
{
	static const double at[] = { 0.5, 0.9, 0.99, 1 };
	SCOPED(free_ptr) uint64_t *times = calloc(count, sizeof(*times));
	uint64_t begin = now(), end;

	if (!times)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		uint64_t before = now();
		int r = step(w, i, e);

		if (r < 0)
			return r;
		times[i] = now() - before;
	}
	end = now();
	qsort(times, count, sizeof(*times), compare);
	printf("{\"calls\":%zu,\"begin\":%" PRIu64 ",\"end\":%" PRIu64 ",\"ns\":{", count, begin,
	       end);
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		size_t rank = (size_t)(at[i] * (double)count + 0.5);

		printf("%s\"p%g\":%" PRIu64, i ? "," : "", at[i] * 100, times[rank ? rank - 1 : 0]);
	}
	puts("}}");
	return 0;
}

static size_t number(const char *text, size_t max)
{
	char *end = NULL;
	unsigned long long value = strtoull(text, &end, 10);

	if (!*text || *end || value == 0 || value > max) {
		fprintf(stderr, "calls: %s is no number from 1 to %zu\n", text, max);
		exit(2);
	}
	return (size_t)value;
}

int main(int argc, char **argv)
{
	struct work w = { .batch = 1 };
	struct err e = { "" };
	const char *mode = argc > 2 ? argv[2] : "";
	bool stores = strcmp(mode, "put") == 0 || strcmp(mode, "fill") == 0;
	int r;

	if ((stores ? argc != 7 : argc != 5) ||
	    (!stores && strcmp(mode, "info") && strcmp(mode, "list"))) {
		fputs("usage: calls DIR info|list COUNT NAME | put|fill COUNT BATCH BYTES NAME\n",
		      stderr);
		return 2;
	}
	w.name = argv[argc - 1];
	w.fresh = strcmp(mode, "fill") == 0;
	if (stores) {
		w.batch = number(argv[4], BATCH_MAX);
		w.bytes = number(argv[5], 1024 * 1024);
	}
	r = secret_process_init(&e);
	if (r == 0)
		r = call_open(argv[1], CALL_TIMEOUT_MS, &w.call, &e);
	if (r == 0)
		r = measure(&w,
		            stores                      ? put
		            : strcmp(mode, "info") == 0 ? info
		                                        : list,
		            number(argv[3], SIZE_MAX), &e);
	call_free(w.call);
	if (r < 0)
		fprintf(stderr, "calls: %s\n", e.text);
	return r < 0;
}
