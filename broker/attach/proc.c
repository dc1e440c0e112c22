/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/proc.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PF_KTHREAD 0x00200000 /* Linux' include/linux/sched.h; proc(5) sends readers there */

/* A decimal number at *at, blanks before it skipped. Moves *at behind it. */
static int number(const char **at, uint64_t max, uint64_t *ret)
{
	const char *p = *at;
	uint64_t value = 0;

	while (*p == ' ' || *p == '\t')
		p++;
	if (!isdigit((unsigned char)*p))
		return -EBADMSG;
	for (; isdigit((unsigned char)*p); p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (value > (max - digit) / 10)
			return -EBADMSG;
		value = value * 10 + digit;
	}
	*at = p;
	*ret = value;
	return 0;
}

static int map_line(const char **at, struct facts_map *ret)
{
	uint64_t inside, outside, count;

	if (number(at, UINT32_MAX, &inside) < 0 || number(at, UINT32_MAX, &outside) < 0 ||
	    number(at, UINT32_MAX, &count) < 0 || **at != '\n' || count == 0)
		return -EBADMSG;
	++*at;
	*ret = (struct facts_map){ (uint32_t)inside, (uint32_t)outside, (uint32_t)count };
	return 0;
}

int proc_parse_map(const char *text, struct facts_map map[ATTACH_MAPS_MAX], uint32_t *ret)
{
	struct facts_map line;
	uint32_t lines = 0;

	while (*text) {
		if (map_line(&text, &line) < 0)
			return -EBADMSG;
		if (lines < ATTACH_MAPS_MAX)
			map[lines++] = line;
	}
	*ret = lines;
	return 0;
}

int proc_map_root(const char *text, uint32_t *ret)
{
	struct facts_map line;

	while (*text) {
		if (map_line(&text, &line) < 0)
			return -EBADMSG;
		if (line.inside == 0) {
			*ret = line.outside;
			return 0;
		}
	}
	return -ERANGE;
}

int proc_parse_stat(const char *text, struct proc_stat *ret)
{
	const char *at = strrchr(text, ')');
	uint64_t parent, flags, skipped;

	/* Behind the name: state, ppid, pgrp, session, tty_nr, tpgid, flags. tpgid may be -1. */
	if (!at || at[1] != ' ' || !isalpha((unsigned char)at[2]))
		return -EBADMSG;
	at += 3;
	if (number(&at, INT32_MAX, &parent) < 0 || number(&at, INT32_MAX, &skipped) < 0 ||
	    number(&at, INT32_MAX, &skipped) < 0 || number(&at, INT32_MAX, &skipped) < 0)
		return -EBADMSG;
	if (strncmp(at, " -", 2) == 0)
		at += 2;
	if (number(&at, INT32_MAX, &skipped) < 0 || number(&at, UINT32_MAX, &flags) < 0)
		return -EBADMSG;
	ret->parent = (pid_t)parent;
	ret->kernel_thread = flags & PF_KTHREAD;
	return 0;
}

int proc_parse_nspid(const char *status, pid_t *ret_last)
{
	static const char key[] = "\nNSpid:";
	const char *at = strstr(status, key);
	uint64_t pid = 0;
	int count = 0;

	if (!at)
		return -EBADMSG;
	at += strlen(key);
	while (*at != '\n') {
		if (number(&at, INT32_MAX, &pid) < 0)
			return -EBADMSG;
		count++;
	}
	if (count == 0)
		return -EBADMSG;
	*ret_last = (pid_t)pid;
	return count;
}

int proc_parse_mask(const char *status, const char *key, uint64_t *ret)
{
	char line[32];
	const char *at;
	char *end;
	unsigned long long mask;

	snprintf(line, sizeof(line), "\n%s:\t", key);
	at = strstr(status, line);
	if (!at || !isxdigit((unsigned char)at[strlen(line)]))
		return -EBADMSG;
	errno = 0;
	mask = strtoull(at + strlen(line), &end, 16);
	if (errno || *end != '\n')
		return -EBADMSG;
	*ret = mask;
	return 0;
}

/* "%-25s %-20s %-20s …": the name, which has blanks in it, then soft and hard limit. */
#define LIMIT_SOFT_AT 26
#define LIMIT_HARD_AT 47

static int limit(const char *line, size_t at, rlim_t *ret)
{
	static const char none[] = "unlimited ";
	const char *text = line + at;
	uint64_t value = 0;

	if (strnlen(line, LIMIT_HARD_AT + sizeof(none)) <= at || text[-1] != ' ')
		return -EBADMSG;
	if (strncmp(text, none, strlen(none)) == 0) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	if (number(&text, UINT64_MAX - 9, &value) < 0 || *text != ' ')
		return -EBADMSG;
	*ret = value;
	return 0;
}

int proc_parse_limits(const char *text, struct rlimit *limits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		text = strchr(text, '\n'); /* the first line is a heading */
		if (!text++ || limit(text, LIMIT_SOFT_AT, &limits[i].rlim_cur) < 0 ||
		    limit(text, LIMIT_HARD_AT, &limits[i].rlim_max) < 0)
			return -EBADMSG;
	}
	return 0;
}

/* The field behind the next blank, or NULL at the end of the line. */
static const char *next_field(const char *at)
{
	at += strcspn(at, " \n");
	return *at == ' ' ? at + 1 : NULL;
}

int proc_mount_is_shared(const char *mountinfo, uint64_t id)
{
	static const char shared[] = "shared:";

	for (const char *line = mountinfo; *line;) {
		const char *end = strchr(line, '\n'), *at = line;
		uint64_t this_id;

		if (!end || number(&at, UINT64_MAX - 9, &this_id) < 0)
			return -EBADMSG;
		if (this_id == id) {
			/* id, parent, device, root, mount point, options; then optional ones up to
			 * "-" */
			for (int i = 0; at && i < 6; i++)
				at = next_field(at);
			for (; at && *at != '-'; at = next_field(at))
				if (strncmp(at, shared, strlen(shared)) == 0)
					return 1;
			return at ? 0 : -EBADMSG;
		}
		line = end + 1;
	}
	return -ENOENT;
}

static bool ends_in(const char *name, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len > n && memcmp(name + len - n, suffix, n) == 0;
}

static bool unit_name_ok(const char *name, size_t len)
{
	if (len > UNIT_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr(":_.\\@-", name[i]))
			return false;
	return true;
}

bool proc_unit_ok(const char *name)
{
	size_t len = strlen(name);

	return unit_name_ok(name, len) &&
	       (ends_in(name, len, ".service") || ends_in(name, len, ".scope"));
}

int proc_unit_of_cgroup(const char *path, char ret_unit[UNIT_NAME_MAX + 1], unsigned int *ret_below)
{
	const char *at = path, *name;
	unsigned int below = 0;
	size_t len;

	do {
		if (*at != '/')
			return -ENOENT;
		name = at + 1;
		len = strcspn(name, "/");
		at = name + len;
	} while (ends_in(name, len, ".slice") && unit_name_ok(name, len));
	/* systemd puts '_' before names that the kernel might take for a file of its own */
	if (len > 1 && *name == '_') {
		name++;
		len--;
	}
	if (len > UNIT_NAME_MAX)
		return -ENOENT;
	for (; *at; at++)
		below += *at == '/';
	char unit[UNIT_NAME_MAX + 1] = "";

	memcpy(unit, name, len);
	if (!proc_unit_ok(unit))
		return -ENOENT;
	memcpy(ret_unit, unit, sizeof(unit));
	*ret_below = below;
	return 0;
}
