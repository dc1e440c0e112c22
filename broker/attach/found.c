/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/found.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/record.h"
#include "policy/image.h"

#define PROC_TEXT_MAX (64 * 1024) /* 340 lines of a map are 11 KiB */
#define PROC_FILE_MAX 64          /* "/proc/4194304/uid_map" */

void found_clear(struct found *f)
{
	for (size_t i = 0; i < FOUND_FDS; i++)
		f->fds[i] = fd_close(f->fds[i]);
	for (size_t i = 0; i < f->attributes; i++) {
		free(f->attribute[i].key);
		free(f->attribute[i].value);
	}
	free(f->attribute);
	f->attribute = NULL;
	f->attributes = 0;
	oci_config_clear(&f->config);
}

int found_add(struct found *f, const char *key, const char *value, bool from_image)
{
	struct found_attribute *a;

	if (f->attributes >= ATTACH_ATTRIBUTES_MAX || strlen(key) > OCI_ATTRIBUTE_MAX ||
	    strlen(value) > OCI_ATTRIBUTE_MAX)
		return 0;
	if (!f->attribute)
		f->attribute = calloc(ATTACH_ATTRIBUTES_MAX, sizeof(*f->attribute));
	if (!f->attribute)
		return -ENOMEM;
	a = &f->attribute[f->attributes];
	*a = (struct found_attribute){ strdup(key), strdup(value), from_image };
	f->attributes++; /* found_clear frees a half-filled one too */
	return a->key && a->value ? 0 : -ENOMEM;
}

void found_add_digest(struct found *f, const char *digest)
{
	size_t used = strlen(f->digest), len = strlen(digest);

	if (!image_digest(digest) || image_digest(digest) != digest || strstr(f->digest, digest) ||
	    used + len + 1 > FOUND_DIGESTS_MAX)
		return;
	snprintf(f->digest + used, sizeof(f->digest) - used, "%s%s", used ? " " : "", digest);
}

static int read_proc(pid_t pid, const char *name, char **ret)
{
	char path[PROC_FILE_MAX];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return io_read_file(AT_FDCWD, path, PROC_TEXT_MAX, ret, NULL);
}

int found_same_namespace(pid_t a, pid_t b, const char *name)
{
	uint64_t ids[2];
	int r = kern_namespace_id(a, name, &ids[0]);

	if (r == 0)
		r = kern_namespace_id(b, name, &ids[1]);
	return r < 0 ? r : ids[0] == ids[1];
}

static int take_namespace(pid_t pid, const char *name, int *fd, uint64_t *id)
{
	struct stat st;
	int ns = kern_namespace_open(pid, name);

	if (ns < 0)
		return ns;
	*fd = ns;
	if (fstat(ns, &st) < 0)
		return -errno;
	*id = st.st_ino;
	return 0;
}

/*
 * Whether a mount namespace is the host's: ours (unless the broker is sandboxed), that of the
 * host's init, or that of the kernel's own threads. The last two may be closed to us, or not exist
 * where "the host" is itself a container.
 */
static bool is_hosts_mounts(uint64_t id)
{
	const pid_t hosts[] = { getpid(), 1, 2 };

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		uint64_t theirs;

		if (kern_namespace_id(hosts[i], "mnt", &theirs) == 0 && theirs == id)
			return true;
	}
	return false;
}

static int take_namespaces(pid_t pid, struct found *f)
{
	struct ar_facts *n = &f->facts;
	uint64_t pids, users;
	pid_t self = getpid();
	int r;

	if ((r = take_namespace(pid, "mnt", &f->fds[FOUND_MNT], &n->mnt_ns)) < 0 ||
	    (r = take_namespace(pid, "pid", &f->fds[FOUND_PID], &n->pid_ns)) < 0 ||
	    (r = take_namespace(pid, "user", &f->fds[FOUND_USER], &n->user_ns)) < 0 ||
	    (r = kern_namespace_id(self, "pid", &pids)) < 0 ||
	    (r = kern_namespace_id(self, "user", &users)) < 0)
		return r;
	if (is_hosts_mounts(n->mnt_ns))
		n->flags |= FACTS_HOST_MOUNTS;
	if (n->pid_ns == pids)
		n->flags |= FACTS_WEAK;
	if (n->user_ns != users)
		n->flags |= FACTS_USERNS;
	return 0;
}

static int take_map(pid_t pid, const char *name, struct facts_map *map, uint32_t *lines)
{
	SCOPED(free_ptr) char *text = NULL;
	int r = read_proc(pid, name, &text);

	return r < 0 ? r : proc_parse_map(text, map, lines);
}

static int take_cgroup(pid_t pid, struct found *f, struct err *e)
{
	struct kern_cgroup own = { .fd = -1 }, theirs = { .fd = -1 };
	int r = kern_cgroup_of(getpid(), &own, e);

	if (r < 0)
		return r;
	fd_close(own.fd);
	r = kern_cgroup_of(pid, &theirs, e);
	if (r < 0)
		return r;
	f->fds[FOUND_CGROUP] = theirs.fd;
	f->facts.cgroup_id = theirs.id;
	f->facts.cgroup_v2 = theirs.unified;
	memcpy(f->cgroup_path, theirs.path, sizeof(f->cgroup_path));
	if (theirs.root)
		return err_set(
			e, -EPERM,
			"process %d is in the root cgroup, which is no container's; start it in a "
			"cgroup of its own",
			pid);
	if (theirs.id == own.id && theirs.unified == own.unified)
		return err_set(
			e, -EPERM,
			"process %d shares the broker's own cgroup and is taken for no container; "
			"start it in a cgroup of its own",
			pid);
	return 0;
}

static int refuse_own(pid_t pid, struct err *e)
{
	SCOPED(free_ptr) char *text = NULL;
	struct proc_stat stat = { 0 };
	int r = read_proc(pid, "stat", &text);

	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	r = proc_parse_stat(text, &stat);
	if (r < 0)
		return r;
	if (stat.kernel_thread)
		return err_set(e, -EPERM, "process %d is a thread of the kernel, not a container",
		               pid);
	if (pid == getpid() || pid == getppid())
		return err_set(e, -EPERM, "process %d is the broker's own", pid);
	return 0;
}

int found_process(pid_t pid, struct found *f, struct err *e)
{
	struct ar_facts *n = &f->facts;
	uint64_t start, again;
	int r;

	if (pid < 2)
		return err_set(e, -EINVAL, "process %d is not a container's (%s)", pid,
		               pid == 1 ? "it is the host's init" : "a pid is greater than 1");
	n->pid = pid;
	if ((r = f->fds[FOUND_PIDFD] = kern_pidfd_open(pid, 0)) < 0 ||
	    (r = kern_start_time(pid, &start)) < 0)
		return err_errno(e, r, "there is no process %d, or it is only a thread", pid);
	struct err why = { "" };

	if ((r = refuse_own(pid, &why)) < 0 || (r = take_cgroup(pid, f, &why)) < 0) {
		if (!why.text[0])
			return err_errno(e, r, "cannot read what /proc says of process %d", pid);
		return err_set(e, r, "%s", why.text);
	}
	if ((r = take_namespaces(pid, f)) < 0 ||
	    (r = take_map(pid, "uid_map", n->uid_map, &n->uid_maps)) < 0 ||
	    (r = take_map(pid, "gid_map", n->gid_map, &n->gid_maps)) < 0)
		return err_errno(e, r, "cannot read the namespaces of process %d", pid);
	/* All of it by number: it counts only if the number meant one process all along. */
	r = kern_start_time(pid, &again);
	if (r < 0 || again != start || !kern_pidfd_alive(f->fds[FOUND_PIDFD]))
		return err_set(e, -ESRCH, "process %d ended while it was looked at", pid);
	n->start_time = start;
	return 0;
}

static int put_attributes(unsigned char *payload, size_t size, size_t *at, const struct found *f,
                          uint32_t *ret)
{
	uint32_t count = 0;

	for (size_t i = 0; i < f->attributes; i++) {
		const struct found_attribute *a = &f->attribute[i];
		size_t next = *at;

		/* What does not fit is left out: it then matches no grant. */
		if (record_put_text(payload, size, &next, a->from_image ? "i" : "c") < 0 ||
		    record_put_text(payload, size, &next, a->key) < 0 ||
		    record_put_text(payload, size, &next, a->value) < 0)
			continue;
		*at = next;
		count++;
	}
	*ret = count;
	return 0;
}

int found_send(int sock, uint64_t serial, struct found *f, struct err *e)
{
	const char *label = f->config.mount_label ? f->config.mount_label : "";
	const char *const texts[] = { f->runtime, f->name,   f->id,   f->image, f->digest,
		                      f->unit,    f->bundle, f->root, label,    f->trouble.text };
	unsigned char payload[RECORD_PAYLOAD_MAX];
	size_t at = sizeof(f->facts);
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(texts) && r == 0; i++)
		r = record_put_text(payload, sizeof(payload), &at, texts[i]);
	if (r == 0)
		r = put_attributes(payload, sizeof(payload), &at, f, &f->facts.attributes);
	memcpy(payload, &f->facts, sizeof(f->facts));
	if (r == 0)
		r = record_send(sock, AR_FACTS, serial, payload, at, NULL, 0, f->fds, FOUND_FDS);
	return r < 0 ? err_errno(e, r, "cannot send what was found") : 0;
}
