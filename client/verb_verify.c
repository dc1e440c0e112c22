/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "call.h"
#include "client.h"
#include "coffer/chain.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "output.h"

static int verify_files(struct call *call, const json_t *reply, struct chain_verifier *v,
                        struct err *e)
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
		SCOPED_FD int fd = call_take_fd(
			call, json_is_integer(fd_value) ? json_integer_value(fd_value) : -1);

		if (fd < 0 || !name)
			return err_set(e, -EPROTO, "the broker's answer came without its files");
		r = chain_verify_file(v, fd, name, e);
		if (r < 0)
			return r;
	}
	return chain_verify_finish(v, e);
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
	printf("ok: %" PRIu64 " lines, ", report.lines);
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
		return err_set(e, -EPROTO, "cannot check with the public key that the broker gave");
	chain_verify_head(v, head);
	r = verify_files(call, reply, v, e);
	return r < 0 ? r : print_report(c, v, e);
}
