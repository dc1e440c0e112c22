/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/runs.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"

#define FILE_NAME "runs"
#define LINE_SIZE 48 /* "ID FOUND\n": 16 hex digits and up to 20 decimal */

struct run {
	uint64_t id, found;
};

struct runs {
	size_t count;
	struct run run[RUNS_MAX];
};

static void add(struct runs *r, struct run run)
{
	if (r->count == RUNS_MAX)
		memmove(r->run, r->run + 1, --r->count * sizeof(r->run[0]));
	r->run[r->count++] = run;
}

/* What is malformed ends it: runs before it are unknown then. */
static void read_runs(struct runs *r, int runtime_fd)
{
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;
	char *line, *rest;

	if (io_read_file(runtime_fd, FILE_NAME, RUNS_MAX * LINE_SIZE, &text, &len) < 0)
		return;
	for (rest = text; (line = strsep(&rest, "\n")) && *line;) {
		struct run run;

		if (sscanf(line, "%16" SCNx64 " %20" SCNu64, &run.id, &run.found) != 2)
			return;
		add(r, run);
	}
}

static int write_runs(const struct runs *r, int runtime_fd)
{
	SCOPED(free_ptr) char *text = malloc(RUNS_MAX * LINE_SIZE);
	size_t len = 0;

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < r->count; i++)
		len += (size_t)snprintf(text + len, LINE_SIZE, "%016" PRIx64 " %" PRIu64 "\n",
		                        r->run[i].id, r->run[i].found);
	return io_write_file_atomic(runtime_fd, FILE_NAME, text, len, 0600);
}

int runs_begin(int runtime_fd, uint64_t found, struct runs **ret, struct err *e)
{
	struct runs *r = calloc(1, sizeof(*r));
	struct run run = { .found = found };
	int result;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	read_runs(r, runtime_fd);
	while (run.id == 0)
		randombytes_buf(&run.id, sizeof(run.id));
	add(r, run);
	result = write_runs(r, runtime_fd);
	if (result < 0) {
		free(r);
		return err_errno(e, result, "cannot write %s in the runtime folder", FILE_NAME);
	}
	*ret = r;
	return 0;
}

void runs_free(struct runs *r)
{
	free(r);
}

uint64_t runs_id(const struct runs *r)
{
	return r->run[r->count - 1].id;
}

uint64_t runs_last_line(const struct runs *r, uint64_t id)
{
	if (id == 0)
		return r->run[r->count - 1].found;
	for (size_t i = 0; i + 1 < r->count; i++)
		if (r->run[i].id == id)
			return r->run[i + 1].found;
	return 0;
}
