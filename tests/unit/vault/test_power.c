/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power fails. Unlike a killed process, that loses what was written but not synced, or a part
 * of it, in any order.
 *
 * The changes of workload.h are made while a VFS records every write. Then, for each moment of the
 * recording, the files are made as a power cut at that moment may leave them: all that was synced,
 * and of the rest nothing, everything, or a random choice of 512-byte sectors. Each time the store
 * must open and be as it was when the last change was acknowledged, or as after the next.
 */
#include "recording_vfs.h"
#include "workload.h"

#define SECTOR 512
#define IMAGE_MAX (1 << 20) /* bytes: the files of the workload stay below 300 KiB */

struct file_state {
	bool exists;          /* as programs see it */
	bool durable_exists;  /* as it is on the disk */
	unsigned char *bytes; /* as it is on the disk */
	sqlite3_int64 size;
	size_t pending[RECORD_EVENTS_MAX]; /* events that are not synced */
	size_t n;
};

static struct file_state state[RECORD_FILES_MAX];

enum survival { NOTHING_MORE, EVERYTHING, SOME_SECTORS, SOME_WRITES, SURVIVALS };

static const char *const survival_names[SURVIVALS] = { "nothing unsynced", "everything",
	                                               "some sectors", "some writes" };

/* A generator of our own, so that a failure can be had again. */
static uint32_t seed;

static uint32_t dice(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 16;
}

static bool survives(enum survival how)
{
	return how == EVERYTHING || (how != NOTHING_MORE && dice() % 2);
}

static void write_bytes(struct file_state *to, const struct event *event, int from, int len)
{
	sqlite3_int64 end = event->offset + from + len;

	ck_assert_int_le(end, IMAGE_MAX);
	if (to->size < event->offset + from)
		memset(to->bytes + to->size, 0, (size_t)(event->offset + from - to->size));
	memcpy(to->bytes + event->offset + from, event->bytes + from, (size_t)len);
	if (to->size < end)
		to->size = end;
}

static void apply_write(struct file_state *to, const struct event *event, enum survival how)
{
	if (how != SOME_SECTORS) {
		if (survives(how))
			write_bytes(to, event, 0, event->len);
		return;
	}
	for (int from = 0; from < event->len; from += SECTOR)
		if (survives(how))
			write_bytes(to, event, from,
			            event->len - from < SECTOR ? event->len - from : SECTOR);
}

static void apply(struct file_state *to, const struct event *event, enum survival how)
{
	if (event->kind == EV_WRITE) {
		apply_write(to, event, how);
	} else if (event->kind == EV_TRUNCATE && survives(how)) {
		if (to->size < event->offset)
			memset(to->bytes + to->size, 0, (size_t)(event->offset - to->size));
		to->size = event->offset;
	}
}

/* SQLite syncs the folder with the first sync of a new file: what was deleted before is gone too.
 */
static void sync_folder(void)
{
	for (int i = 0; i < recording.names; i++) {
		state[i].durable_exists = state[i].exists;
		if (!state[i].exists) {
			state[i].size = 0;
			state[i].n = 0;
		}
	}
}

/* The disk's state moves on by one event. */
static void step(const struct event *event)
{
	struct file_state *f = &state[event->file];

	switch (event->kind) {
	case EV_CREATE:
		f->exists = true;
		f->durable_exists = false;
		f->size = 0;
		f->n = 0;
		break;
	case EV_WRITE:
	case EV_TRUNCATE:
		f->pending[f->n++] = (size_t)(event - recording.event);
		break;
	case EV_SYNC:
		for (size_t i = 0; i < f->n; i++)
			apply(f, &recording.event[f->pending[i]], EVERYTHING);
		f->n = 0;
		if (!f->durable_exists)
			sync_folder();
		break;
	case EV_DELETE:
		f->exists = false;
		if (event->durable)
			sync_folder();
		break;
	case EV_ACKNOWLEDGED:
		break;
	}
}

static void put_file(const char *name, const struct file_state *f)
{
	int fd = openat(fix.dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, f->bytes, (size_t)f->size), f->size);
	fd_close(fd);
}

/* Make the files as the disk may have them after the power came back. */
static void cut_power(enum survival how)
{
	static unsigned char bytes[IMAGE_MAX];

	for (int i = 0; i < recording.names; i++) {
		struct file_state after = state[i];
		bool there = after.durable_exists;

		unlinkat(fix.dirfd, recording.name[i], 0);
		if (after.exists != after.durable_exists)
			there = survives(how) ? after.exists : after.durable_exists;
		if (!there)
			continue;
		after.bytes = bytes;
		memcpy(bytes, state[i].bytes, (size_t)state[i].size);
		for (size_t j = 0; j < after.n; j++)
			apply(&after, &recording.event[after.pending[j]], how);
		put_file(recording.name[i], &after);
	}
}

static void record_workload(void)
{
	recording_start();
	ck_ok(vault_open(fixture_store(), &fix.vault, &fix.err));
	for (size_t i = 0; i < ARRAY_LEN(workload); i++) {
		ck_ok(workload_apply(fix.vault, fix.key, i, &fix.err));
		recording_add(EV_ACKNOWLEDGED, 0)->offset = (sqlite3_int64)i + 1;
		if (i == ARRAY_LEN(workload) / 2)
			fixture_restart(); /* the log is moved over and deleted, with something in
			                      it */
	}
	fixture_close();
	recording_stop();
}

static void setup(void)
{
	fixture_empty();
	fixture_close();
	ck_assert_int_eq(unlinkat(fix.dirfd, FIXTURE_FILE, 0), 0);
	for (size_t i = 0; i < RECORD_FILES_MAX; i++) {
		state[i] = (struct file_state){ .bytes = calloc(1, IMAGE_MAX) };
		ck_assert_ptr_nonnull(state[i].bytes);
	}
	record_workload();
	/* The file itself is made and its folder synced before SQLite sees it. */
	state[recording_name(FIXTURE_FILE)].exists = true;
	state[recording_name(FIXTURE_FILE)].durable_exists = true;
}

static void teardown(void)
{
	for (size_t i = 0; i < RECORD_FILES_MAX; i++)
		free(state[i].bytes);
	recording_free();
	fixture_teardown();
}

START_TEST(after_a_power_cut_at_any_moment_the_store_has_what_was_acknowledged)
{
	const enum survival how = (enum survival)(_i % SURVIVALS);
	size_t acknowledged = 0, writes = 0;
	char what[96];

	for (size_t i = 0; i < recording.events; i++) {
		const struct event *event = &recording.event[i];

		step(event);
		writes += event->kind == EV_WRITE;
		if (event->kind == EV_ACKNOWLEDGED)
			acknowledged = (size_t)event->offset;
		seed = (uint32_t)(i * 31 + (size_t)_i);
		snprintf(what, sizeof(what), "power cut after event %zu, %s (%d)", i,
		         survival_names[how], _i);
		cut_power(how);
		workload_check(acknowledged, what);
	}
	ck_assert_uint_eq(acknowledged, ARRAY_LEN(workload));
	ck_assert_uint_gt(writes, 40);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("power");
	TCase *tests = tcase_create("power");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 110);
	tcase_add_loop_test(tests,
	                    after_a_power_cut_at_any_moment_the_store_has_what_was_acknowledged, 0,
	                    3 * SURVIVALS);
	suite_add_tcase(suite, tests);
	return fixture_main(suite);
}
