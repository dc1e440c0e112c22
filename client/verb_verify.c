/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "call.h"
#include "client.h"
#include "coffer/chain.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "output.h"
#include "progress.h"

static void on_read(void *progress, size_t bytes)
{
	progress_add(progress, bytes);
}

/* Of the log's files together; 0 if it cannot be told, which only costs the bar. */
static uint64_t total_size(const int *fds, size_t count)
{
	uint64_t total = 0;
	struct stat st;

	for (size_t i = 0; i < count; i++)
		total += fstat(fds[i], &st) == 0 ? (uint64_t)st.st_size : 0;
	return total;
}

struct log_files {
	const char *name[IO_FDS_MAX]; /* borrowed from the answer */
	int fd[IO_FDS_MAX];
	size_t count;
};

static void log_files_clear(struct log_files *f)
{
	for (size_t i = 0; i < f->count; i++)
		fd_close(f->fd[i]);
}

static int take_files(struct call *call, const json_t *reply, struct log_files *f, struct err *e)
{
	json_t *names = NULL, *fds = NULL, *fd_value = NULL;
	size_t i = 0;
	int r = json_get_array(reply, "files", true, IO_FDS_MAX, &names, e);

	if (r == 0)
		r = json_get_array(reply, "fds", true, IO_FDS_MAX, &fds, e);
	if (r < 0)
		return r;
	json_array_foreach (fds, i, fd_value) {
		const char *name = json_string_value(json_array_get(names, i));
		int fd = call_take_fd(call, json_is_integer(fd_value) ? json_integer_value(fd_value)
		                                                      : -1);

		if (fd >= 0) {
			f->fd[f->count] = fd;
			f->name[f->count++] = name;
		}
		if (fd < 0 || !name)
			return err_set(e, -EPROTO,
			               "the broker's answer came without its files: are client and "
			               "broker of one version?");
	}
	return 0;
}

static int verify_files(const struct client *c, const struct log_files *f, struct chain_verifier *v,
                        struct err *e)
{
	SCOPED(progress_end) struct progress progress;
	int r = 0;

	progress_begin(&progress, c, "verifying the audit log", PROGRESS_BYTES,
	               total_size(f->fd, f->count));
	chain_verifier_on_read(v, on_read, &progress);
	for (size_t i = 0; i < f->count && r == 0; i++) {
		progress_note(&progress, f->name[i]);
		r = chain_verify_file(v, f->fd[i], f->name[i], e);
	}
	return r < 0 ? r : chain_verify_finish(v, e);
}

static int print_report(const struct client *c, const struct chain_verifier *v, struct err *e)
{
	struct chain_report report = { 0 };

	chain_report(v, &report);
	if (c->json) {
		SCOPED(json_ptr)
		json_t *answer =
			json_pack("{s:I,s:I,s:I,s:I}", "lines", (json_int_t)report.lines, "first",
		                  (json_int_t)report.first_seq, "last", (json_int_t)report.last_seq,
		                  "signed", (json_int_t)report.signed_seq);

		return answer ? output_json(answer, e) : err_errno(e, -ENOMEM, "cannot answer");
	}
	output_toned(stdout, TONE_GOOD, "ok:");
	printf(" %" PRIu64 " lines, ", report.lines);
	if (report.signed_seq)
		printf("signed to line %" PRIu64 "\n", report.signed_seq);
	else
		puts("not signed yet");
	return 0;
}

int verb_audit_verify(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(json_ptr) json_t *reply = NULL;
	SCOPED(chain_verifier_free_ptr) struct chain_verifier *v = NULL;
	SCOPED(log_files_clear) struct log_files files = { 0 };
	const char *head = NULL, *public_key = NULL;
	int r = call_open(c->runtime_dir, CALL_TIMEOUT_MS, &call, e);

	(void)o;
	if (r == 0)
		r = call_once(call, &(struct call_request){ .method = "AuditFiles" }, &reply, e);
	if (r == 0)
		r = json_get_string(reply, "head", true, &head, e);
	if (r == 0)
		r = json_get_string(reply, "public_key", false, &public_key, e);
	if (r < 0)
		return r;
	v = chain_verifier_new(public_key);
	if (!v)
		return err_set(e, -EPROTO,
		               "the public key that the broker gave is none: the head of the audit "
		               "log is damaged; "
		               "see audit/ in the state folder");
	chain_verify_head(v, head);
	r = take_files(call, reply, &files, e);
	if (r == 0)
		r = verify_files(c, &files, v, e);
	return r < 0 ? r : print_report(c, v, e);
}
