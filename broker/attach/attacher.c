/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/attacher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/attach_proto.h"
#include "coffer/cleanup.h"

/* One row for each operation: what must come with it, and who does it. */
static const struct operation_row {
	uint16_t type;
	size_t nfds, fixed; /* descriptors; bytes before the texts */
	int (*run)(struct operation_call *call, struct err *e);
} rows[] = {
	{ AR_INSPECT, 0, sizeof(struct ar_inspect), inspect_run },
	{ AR_MOUNT, 4, sizeof(struct ar_mount), mount_run },
	{ AR_FOLDER, 4, sizeof(struct ar_mount), folder_run },
	{ AR_UNMOUNT, 4, sizeof(struct ar_mount), unmount_run },
	{ AR_CHECK, 4, sizeof(struct ar_mount), check_run },
	{ AR_CHANGE, 2, sizeof(struct ar_change), change_run },
	{ AR_REACT, 4, sizeof(struct ar_react), react_run },
};

void attacher_failed(int sock, uint64_t serial, int error, const char *why)
{
	struct ar_failed failed = { .error = error };
	unsigned char text[sizeof(uint16_t) + ERR_TEXT_MAX];
	size_t len = 0;

	if (record_put_text(text, sizeof(text), &len, why) == 0)
		(void)record_send(sock, AR_FAILED, serial, &failed, sizeof(failed), text, len, NULL,
		                  0);
}

int attacher_done(int sock, uint64_t serial, int result, uint32_t steps)
{
	struct ar_done done = { .result = result, .steps = steps };

	return record_send(sock, AR_DONE, serial, &done, sizeof(done), NULL, 0, NULL, 0);
}

static const struct operation_row *find_row(const struct record *r)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].type == r->type)
			return rows[i].nfds == r->nfds && rows[i].fixed <= r->len ? &rows[i] : NULL;
	return NULL;
}

/* What must hold before a container is touched. Children inherit it over fork. */
static int harden(struct err *e)
{
	const struct rlimit no_core = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 || chdir("/") < 0)
		return err_errno(e, -errno, "cannot prepare the attacher");
	umask(022);
	return 0;
}

int attacher_main(int sock, const struct attach_config *config)
{
	SCOPED(free_ptr) struct record *request = malloc(sizeof(*request));
	struct operation_call call = { .sock = sock, .config = config, .request = request };
	const struct operation_row *row;
	struct err why = { "" };
	int r;

	if (!request) {
		attacher_failed(sock, 0, -ENOMEM, "out of memory");
		return 1;
	}
	do
		r = record_recv(sock, request);
	while (r == -EINTR);
	if (r <= 0)
		return r < 0;
	row = find_row(request);
	if (row) {
		r = harden(&why);
		if (r == 0)
			r = row->run(&call, &why);
	} else {
		r = err_set(&why, -EBADMSG, "the attacher was asked for what it does not know");
	}
	if (r < 0)
		attacher_failed(sock, request->serial, r, why.text[0] ? why.text : "it failed");
	record_close_fds(request);
	return r < 0;
}
