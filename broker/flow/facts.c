/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"

static int take_text(const struct record *r, size_t *at, char **ret)
{
	char text[ATTACH_TEXT_MAX + 1];
	int result = record_get_text(r, at, text, sizeof(text));

	if (result < 0)
		return result;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

/* The record's end: nothing may stand behind them. */
static int take_attributes(const struct record *r, size_t *at, struct facts *f)
{
	struct subject *s = &f->subject;

	s->attribute = calloc(f->fixed.attributes + 1, sizeof(*s->attribute));
	if (!s->attribute)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->fixed.attributes; i++) {
		struct attribute *a = &s->attribute[s->attributes];
		char flag[8];
		int result = record_get_text(r, at, flag, sizeof(flag));

		if (result >= 0)
			result = take_text(r, at, &a->key);
		s->attributes++; /* subject_clear frees a half-filled one too */
		if (result >= 0)
			result = take_text(r, at, &a->value);
		if (result < 0)
			return result;
		a->from_image = flag[0] == 'i';
	}
	return *at == r->len ? 0 : -EBADMSG;
}

static int take_texts(const struct record *r, struct facts *f)
{
	struct subject *s = &f->subject;
	char **const texts[] = { &s->runtime, &s->name,   &s->id,   &s->image, &s->digest,
		                 &s->unit,    &f->bundle, &f->root, &f->label, &f->trouble };
	size_t at = sizeof(f->fixed);

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		int result = take_text(r, &at, texts[i]);

		if (result < 0)
			return result;
	}
	return take_attributes(r, &at, f);
}

static bool numbers_make_sense(const struct ar_facts *n)
{
	return n->pid > 1 && n->uid_maps <= ATTACH_MAPS_MAX && n->gid_maps <= ATTACH_MAPS_MAX &&
	       n->attributes <= ATTACH_ATTRIBUTES_MAX && n->cgroup_id && n->mnt_ns && n->pid_ns &&
	       n->user_ns;
}

int facts_take(struct record *r, struct facts *ret, struct err *e)
{
	struct facts f = {
		.pidfd = -1, .cgroup_fd = -1, .mnt_fd = -1, .pid_fd = -1, .user_fd = -1
	};
	int *const fds[] = { &f.pidfd, &f.cgroup_fd, &f.mnt_fd, &f.pid_fd, &f.user_fd };
	int result;

	if (r->len < sizeof(f.fixed) || r->nfds != ARRAY_LEN(fds))
		return err_set(e, -EBADMSG, "the attacher's facts are malformed");
	memcpy(&f.fixed, r->payload, sizeof(f.fixed));
	if (!numbers_make_sense(&f.fixed))
		return err_set(e, -EBADMSG, "the attacher's facts make no sense");
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		*fds[i] = TAKE_FD(r->fds[i]);
	result = take_texts(r, &f);
	if (result < 0) {
		facts_clear(&f);
		return err_errno(e, result, "the attacher's facts are malformed");
	}
	f.subject.weak = f.fixed.flags & FACTS_WEAK;
	f.subject.host_mounts = f.fixed.flags & FACTS_HOST_MOUNTS;
	f.subject.plain = f.fixed.flags & FACTS_PLAIN;
	f.subject.unverified = f.fixed.flags & FACTS_UNVERIFIED;
	f.subject.uid = f.fixed.uid;
	f.subject.gid = f.fixed.gid;
	*ret = f;
	return 0;
}

void facts_clear(struct facts *f)
{
	subject_clear(&f->subject);
	free(f->bundle);
	free(f->root);
	free(f->label);
	free(f->trouble);
	fd_close(f->pidfd);
	fd_close(f->cgroup_fd);
	fd_close(f->mnt_fd);
	fd_close(f->pid_fd);
	fd_close(f->user_fd);
	*f = (struct facts){
		.pidfd = -1, .cgroup_fd = -1, .mnt_fd = -1, .pid_fd = -1, .user_fd = -1
	};
}

static int map(const struct facts_map *lines, uint32_t count, uint32_t inside, uint32_t *ret)
{
	struct id_map plain[ATTACH_MAPS_MAX];

	for (uint32_t i = 0; i < count; i++)
		plain[i] = (struct id_map){ lines[i].inside, lines[i].outside, lines[i].count };
	return policy_map_id(plain, count, inside, ret);
}

int facts_map_uid(const struct facts *f, uint32_t inside, uint32_t *ret)
{
	return map(f->fixed.uid_map, f->fixed.uid_maps, inside, ret);
}

int facts_map_gid(const struct facts *f, uint32_t inside, uint32_t *ret)
{
	return map(f->fixed.gid_map, f->fixed.gid_maps, inside, ret);
}
