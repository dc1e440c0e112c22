/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toy_fuse.h - the least FUSE server that a mount of ours can be tested with, in a process of its
 * own.
 *
 * Root folder with: the file "a" (node 10 + version, "version-N\n"), the entries of EXISTING as
 * placeholders, and a hidden folder ".coffer-t" in which the name "N" is node N. A rename of it to
 * "a" makes node N what "a" is. Callers from outside the container (header.pid 0) may look up,
 * rename and unlink but not open. It speaks the kernel's protocol (linux/fuse.h) itself, so that a
 * test sees exactly what the kernel sends.
 */
#pragma once

#include <linux/fuse.h>
#include <sys/mman.h>

#include "lab.h"

#define TOY_STAGING ".coffer-t"
#define TOY_STAGING_NODE 2
#define TOY_PLACEHOLDER 100

struct toy_state {
	volatile int version; /* of "a"; 0: removed */
	volatile int outside_opens, inside_opens, renames;
	volatile int last_inside_pid;
	unsigned int owner; /* of the files, host side */
};

struct toy {
	pid_t pid;
	int fuse;
	struct toy_state *state;
	struct {
		char name[256], link[256];
		uint32_t kind;
	} existing[16];
	uint32_t count;
};

LAB void toy_attr(const struct toy *t, uint64_t node, struct fuse_attr *a)
{
	memset(a, 0, sizeof(*a));
	a->ino = node;
	a->nlink = 1;
	a->mode = S_IFDIR | 0755;
	if (node >= 10 && node < TOY_PLACEHOLDER) {
		a->mode = S_IFREG | 0400;
		a->size = 10;
		a->uid = a->gid = t->state->owner;
	} else if (node >= TOY_PLACEHOLDER) {
		uint32_t kind = t->existing[node - TOY_PLACEHOLDER].kind;

		a->mode = kind == 3 ? S_IFDIR | 0755 : kind == 4 ? S_IFREG | 0444 : S_IFLNK | 0777;
		a->size = kind == 5 ? strlen(t->existing[node - TOY_PLACEHOLDER].link) : 0;
	}
}

LAB uint64_t toy_find(const struct toy *t, uint64_t parent, const char *name)
{
	if (parent == TOY_STAGING_NODE)
		return (uint64_t)atoi(name);
	if (strcmp(name, "a") == 0)
		return t->state->version ? 10 + (uint64_t)t->state->version : 0;
	if (strcmp(name, TOY_STAGING) == 0)
		return TOY_STAGING_NODE;
	for (uint32_t i = 0; i < t->count; i++)
		if (strcmp(name, t->existing[i].name) == 0)
			return TOY_PLACEHOLDER + i;
	return 0;
}

LAB size_t toy_list(const struct toy *t, unsigned char *out, uint64_t offset)
{
	const char *names[17] = { "a" };
	size_t at = 0;

	for (uint32_t i = 0; i < t->count; i++)
		names[i + 1] = t->existing[i].name;
	for (uint64_t i = offset; i <= t->count; i++) {
		struct fuse_dirent d = { .ino = 1000 + i,
			                 .off = i + 1,
			                 .namelen = (uint32_t)strlen(names[i]) };

		memcpy(out + at, &d, FUSE_NAME_OFFSET);
		memcpy(out + at + FUSE_NAME_OFFSET, names[i], d.namelen);
		at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
	}
	return at;
}

/* What tells the kernel about nodes. Otherwise as toy_answer. */
LAB int toy_describe(struct toy *t, const struct fuse_in_header *in, const void *arg,
                     unsigned char *out)
{
	switch (in->opcode) {
	case FUSE_INIT: {
		struct fuse_init_out init = {
			.major = 7, .minor = 31, .max_write = 4096, .max_readahead = 65536
		};

		memcpy(out, &init, sizeof(init));
		return (int)sizeof(init);
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out e = { .nodeid = toy_find(t, in->nodeid, arg) };

		if (!e.nodeid)
			return -ENOENT;
		toy_attr(t, e.nodeid, &e.attr);
		memcpy(out, &e, sizeof(e));
		return (int)sizeof(e);
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out a = { 0 };

		toy_attr(t, in->nodeid, &a.attr);
		memcpy(out, &a, sizeof(a));
		return (int)sizeof(a);
	}
	default:
		return -ENOSYS;
	}
}

/* Negative: an error; else the length of the answer in `out`. -1000: no answer. */
LAB int toy_answer(struct toy *t, const struct fuse_in_header *in, const void *arg,
                   unsigned char *out)
{
	struct toy_state *s = t->state;

	switch (in->opcode) {
	case FUSE_INIT:
	case FUSE_LOOKUP:
	case FUSE_GETATTR:
		return toy_describe(t, in, arg, out);
	case FUSE_READLINK:
		strcpy((char *)out, t->existing[in->nodeid - TOY_PLACEHOLDER].link);
		return (int)strlen((char *)out);
	case FUSE_OPEN:
	case FUSE_OPENDIR: {
		struct fuse_open_out o = { .fh = in->nodeid, .open_flags = FOPEN_KEEP_CACHE };

		if (in->pid == 0) {
			s->outside_opens++;
			return -EACCES;
		}
		s->inside_opens++;
		s->last_inside_pid = (int)in->pid;
		memcpy(out, &o, sizeof(o));
		return (int)sizeof(o);
	}
	case FUSE_READ:
		if (((const struct fuse_read_in *)arg)->offset)
			return 0;
		return sprintf((char *)out, "version-%d\n", (int)in->nodeid - 10);
	case FUSE_READDIR:
		return (int)toy_list(t, out, ((const struct fuse_read_in *)arg)->offset);
	case FUSE_RENAME:
	case FUSE_RENAME2: {
		size_t skip = in->opcode == FUSE_RENAME ? sizeof(struct fuse_rename_in)
		                                        : sizeof(struct fuse_rename2_in);
		const char *from = (const char *)arg + skip;

		if (in->pid != 0)
			return -EROFS;
		s->version = atoi(from) - 10;
		s->renames++;
		return 0;
	}
	case FUSE_UNLINK:
		if (in->pid != 0)
			return -EROFS;
		s->version = 0;
		return 0;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		return 0;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return -1000;
	default:
		return -ENOSYS;
	}
}

LAB void toy_serve(struct toy *t)
{
	static unsigned char request[65536], answer[65536];

	for (;;) {
		ssize_t n = read(t->fuse, request, sizeof(request));
		struct fuse_in_header in;
		struct fuse_out_header out = { 0 };
		int len;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < (ssize_t)sizeof(in))
			_exit(0);
		memcpy(&in, request, sizeof(in));
		request[n < (ssize_t)sizeof(request) ? n : 0] = '\0';
		len = toy_answer(t, &in, request + sizeof(in), answer + sizeof(out));
		if (len == -1000)
			continue;
		out.unique = in.unique;
		out.error = len < 0 ? len : 0;
		out.len = (uint32_t)(sizeof(out) + (len > 0 ? (size_t)len : 0));
		memcpy(answer, &out, sizeof(out));
		(void)!write(t->fuse, answer, out.len);
	}
}

/* Take EXISTING from an attacher and serve what it came with. */
LAB void toy_start(struct toy *t, int sock, unsigned int owner)
{
	static struct record r;
	struct ar_existing fixed;
	size_t at = sizeof(fixed);

	memset(t, 0, sizeof(*t));
	lab_expect(sock, AR_EXISTING, &r);
	ck_assert_int_eq((int)r.nfds, 1);
	t->fuse = TAKE_FD(r.fds[0]);
	memcpy(&fixed, r.payload, sizeof(fixed));
	ck_assert_uint_le(fixed.count, 16);
	for (; t->count < fixed.count; t->count++) {
		memcpy(&t->existing[t->count].kind, r.payload + at, sizeof(uint32_t));
		at += sizeof(uint32_t);
		ck_assert_int_eq(record_get_text(&r, &at, t->existing[t->count].name, 256), 0);
		ck_assert_int_eq(record_get_text(&r, &at, t->existing[t->count].link, 256), 0);
	}
	ck_assert_uint_eq(at, r.len);
	t->state = mmap(NULL, sizeof(*t->state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	                -1, 0);
	ck_assert_ptr_ne(t->state, MAP_FAILED);
	t->state->version = 1;
	t->state->owner = owner;
	t->pid = fork();
	ck_assert_int_ge(t->pid, 0);
	if (t->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		toy_serve(t);
	}
}

LAB void toy_stop(struct toy *t)
{
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
	t->fuse = fd_close(t->fuse);
	munmap(t->state, sizeof(*t->state));
}

/* MOUNT from end to end. Returns the read-write clone. */
LAB int toy_mount(struct lab *l, struct toy *t, const struct lab_facts *f, unsigned int owner,
                  uint64_t *ret_dev)
{
	static struct record r;
	SCOPED_FD int sock = lab_attacher(l);
	struct ar_mounted mounted;

	lab_send_mount(sock, AR_MOUNT, f, "/run/secrets", 0);
	toy_start(t, sock, owner);
	ck_assert_int_eq(record_send(sock, AR_GO, 9, NULL, 0, NULL, 0, NULL, 0), 0);
	lab_expect(sock, AR_MOUNTED, &r);
	ck_assert_int_eq((int)r.nfds, 1);
	memcpy(&mounted, r.payload, sizeof(mounted));
	*ret_dev = mounted.dev;
	return TAKE_FD(r.fds[0]);
}
