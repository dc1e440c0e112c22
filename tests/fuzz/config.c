/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_file_read: what is taken is in range. Needs root, since a configuration must be root's.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "fuzz.h"
#include "server/config_file.h"

static void path(const char *text)
{
	if (!text)
		return;
	MUST(text[0] == '/' && text[1] && !strstr(text, "//") && !strstr(text, "/../"));
	MUST(config_path_is_plain(text) && strlen(text) <= CONFIG_TEXT_MAX);
}

static void text(const char *t)
{
	MUST(!t || (*t && strlen(t) <= CONFIG_TEXT_MAX));
}

/* No condition at all would make every container wait. */
static void conditions(const struct config_wait *w)
{
	MUST(w->runtime || w->container || w->image || w->unit || w->label_key);
	text(w->runtime);
	text(w->container);
	text(w->image);
	text(w->unit);
	text(w->label_key);
	MUST(!w->label_key == !w->label_value);
	MUST(!w->label_value || strlen(w->label_value) <= CONFIG_TEXT_MAX);
}

/* Numbers start at 0, which no key may set: so that is "not given". */
static void in_range(const struct config *c)
{
	size_t roots = 0;

	path(c->state_dir);
	path(c->runtime_dir);
	path(c->keyfile);
	path(c->mount_folder);
	path(c->worker_path);
	text(c->worker_user);
	text(c->operator_group);
	while (c->runc_roots[roots])
		path(c->runc_roots[roots++]);
	MUST(roots <= CONFIG_ROOTS_MAX && c->waits <= CONFIG_WAIT_MAX);
	for (size_t i = 0; i < c->waits; i++)
		conditions(&c->wait[i]);
	MUST(c->connections_max <= 1024 && c->calls_per_second <= 100000);
	MUST(c->containers_max <= 65536 && c->audit_budget <= 1000000);
	MUST(c->audit_budget == 0 || c->audit_budget >= 60);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_FD int fd = memfd_create("config", MFD_CLOEXEC);
	struct config *c = calloc(1, sizeof(*c));
	char name[64];
	struct err e = { 0 };
	int r;

	MUST(geteuid() == 0);
	MUST(c && fd >= 0 && fchmod(fd, 0644) == 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	r = config_file_read(c, name, &e);
	if (r == 0)
		in_range(c);
	else
		fuzz_refused(r, &e);
	config_free(c);
	return 0;
}
