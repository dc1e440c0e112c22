/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/content.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coffer/cleanup.h"

struct contents {
	struct broker *b;
	struct content *first; /* versions in use: some ten for each set of like containers */
};

struct contents *contents_new(struct broker *b)
{
	struct contents *c = calloc(1, sizeof(*c));

	if (c)
		c->b = b;
	return c;
}

static void content_drop(struct content *content)
{
	if (content->map)
		munmap(content->map, content->version.size);
	fd_close(content->memfd);
	free(content->name);
	free(content);
}

void contents_free(struct contents *c)
{
	if (!c)
		return;
	while (c->first) {
		struct content *next = c->first->next;

		content_drop(c->first);
		c->first = next;
	}
	free(c);
}

/*
 * Keep its pages out of swap and core files. Before Linux 6.7 a write-sealed memfd cannot be mapped
 * shared; a private mapping that is never written to holds the same pages. An empty memfd has none.
 */
static int lock_pages(struct content *content, struct err *e)
{
	if (content->version.size == 0)
		return 0;
	content->map = mmap(NULL, content->version.size, PROT_READ, MAP_PRIVATE, content->memfd, 0);
	if (content->map == MAP_FAILED) {
		content->map = NULL;
		return err_errno(e, -errno, "cannot map a value");
	}
	madvise(content->map, content->version.size, MADV_DONTDUMP);
	if (mlock(content->map, content->version.size) < 0)
		return err_errno(e, -errno,
		                 "cannot lock a value in memory; give the broker CAP_IPC_LOCK or a "
		                 "larger RLIMIT_MEMLOCK");
	return 0;
}

static int load(struct contents *c, const char *name, uint64_t version, struct content **ret,
                struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	struct content *content = calloc(1, sizeof(*content));
	int result;

	if (!content)
		return err_set(e, -ENOMEM, "out of memory");
	content->memfd = -1;
	content->owner = c;
	content->name = strdup(name);
	result = content->name ? vault_get(c->b->vault, name, version, version != 0, &value,
	                                   &content->version, e)
	                       : -ENOMEM;
	content->version.label = NULL;
	content->version.labels = 0;
	if (result >= 0) {
		content->memfd = secret_to_memfd(value);
		result = content->memfd < 0 ? err_errno(e, content->memfd, "cannot make a memfd")
		                            : 0;
	}
	if (result >= 0)
		result = lock_pages(content, e);
	if (result < 0) {
		content_drop(content);
		return result;
	}
	content->next = c->first;
	c->first = content;
	*ret = content;
	return 0;
}

static struct content *find(struct contents *c, const char *name, uint64_t version)
{
	for (struct content *at = c->first; at; at = at->next)
		if (at->version.number == version && strcmp(at->name, name) == 0)
			return at;
	return NULL;
}

int content_get(struct contents *c, const char *name, uint64_t version, struct content **ret,
                struct err *e)
{
	uint64_t number = version;
	struct content *found;
	int result = 0;

	if (!number) {
		struct vault_secret secret;

		result = vault_find(c->b->vault, name, &secret);
		if (result < 0)
			return err_set(e, result, "there is no secret %s", name);
		number = secret.current.number;
	}
	found = find(c, name, number);
	if (!found)
		result = load(c, name, version, &found, e);
	if (result < 0 || !found)
		return result;
	*ret = content_ref(found);
	return 0;
}

struct content *content_ref(struct content *content)
{
	content->uses++;
	return content;
}

void content_unref(struct content *content)
{
	if (!content || --content->uses > 0)
		return;
	for (struct content **at = &content->owner->first; *at; at = &(*at)->next)
		if (*at == content) {
			*at = content->next;
			break;
		}
	content_drop(content);
}
