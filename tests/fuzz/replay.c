/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - runs a target over its corpus without libFuzzer: every file as it is, then changed in
 * MUTATIONS ways that follow from the files alone, so that each run does the same.
 *
 *	fuzz-NAME [-m MUTATIONS] FOLDER
 *
 * The input ends where a page without access begins: reading one byte behind it is a crash, with or
 * without a sanitizer. An input that makes the target abort is left in the current folder as
 * crash-NAME.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "fuzz.h"

#define FILES_MAX 256
#define INPUT_MAX (128 * 1024) /* no file of a corpus comes near */
#define MUTATIONS 2000

/* Given by AddressSanitizer, if it is there: called when it ends the program. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct input {
	uint8_t bytes[INPUT_MAX];
	size_t len;
};

/* Signal handlers reach nothing else. */
static struct {
	const uint8_t *bytes;
	size_t len;
	char path[256];
} running;

static void keep_running_input(void)
{
	int fd = open(running.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	static const char kept[] = "\nthe input was kept as ";

	if (fd < 0 || write(fd, running.bytes, running.len) != (ssize_t)running.len ||
	    write(STDERR_FILENO, kept, sizeof(kept) - 1) < 0 ||
	    write(STDERR_FILENO, running.path, strlen(running.path)) < 0 ||
	    write(STDERR_FILENO, "\n", 1) < 0)
		_exit(1);
	fd_close(fd);
}

static void on_signal(int signal_number)
{
	keep_running_input();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void keep_what_crashes(const char *program)
{
	static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	const char *slash = strrchr(program, '/');

	snprintf(running.path, sizeof(running.path), "crash-%s", slash ? slash + 1 : program);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		signal(signals[i], on_signal);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(keep_running_input);
}

/* splitmix64 (public domain, Sebastiano Vigna): small, and good enough for dice. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t limit)
{
	return limit ? (size_t)(next_random(state) % limit) : 0;
}

/* `count` bytes at `at` become `with_len` bytes, copied from `with`; no change without room. */
static void replace(struct input *in, size_t at, size_t count, const uint8_t *with, size_t with_len)
{
	if (in->len - count + with_len > INPUT_MAX)
		return;
	memmove(in->bytes + at + with_len, in->bytes + at + count, in->len - at - count);
	memcpy(in->bytes + at, with, with_len);
	in->len += with_len - count;
}

/* Bytes that mean something to one parser or another. */
static uint8_t telling_byte(uint64_t *dice)
{
	static const char telling[] = "\0\xff\x7f\x80\x01\x1b\r\n\t \"\\/.,:;{}[]()=+-_@0129aAfzZ";

	return (uint8_t)telling[below(dice, sizeof(telling) - 1)];
}

/* One change of a few bytes at one place. */
static void mutate_once(struct input *in, const struct input *other, uint64_t *dice)
{
	size_t at = below(dice, in->len + 1), rest = in->len - at;
	size_t count = below(dice, rest < 32 ? rest + 1 : 32);
	uint8_t copy[32], byte = telling_byte(dice);

	switch (below(dice, 8)) {
	case 0:
		if (rest > 0)
			in->bytes[at] ^= (uint8_t)(1u << below(dice, 8));
		break;
	case 1:
		if (rest > 0)
			in->bytes[at] = byte;
		break;
	case 2:
		replace(in, at, 0, &byte, 1);
		break;
	case 3:
		replace(in, at, count, &byte, 0);
		break;
	case 4: /* twice */
		memcpy(copy, in->bytes + at, count);
		replace(in, at, 0, copy, count);
		break;
	case 5:
		for (size_t i = 0; i < count; i++)
			in->bytes[at + i] = (uint8_t)next_random(dice);
		break;
	case 6: /* cut */
		in->len = at;
		break;
	default: /* a piece of another file */
		if (other->len > 0) {
			size_t from = below(dice, other->len);
			size_t len = below(dice, other->len - from) + 1;

			replace(in, at, count, other->bytes + from, len);
		}
	}
}

/* The target sees the bytes right in front of a page that it cannot read. */
static void run(uint8_t *fence, const struct input *in)
{
	uint8_t *at = fence - in->len;

	memcpy(at, in->bytes, in->len);
	running.bytes = at;
	running.len = in->len;
	LLVMFuzzerTestOneInput(at, in->len);
}

static uint8_t *make_fence(void)
{
	uint8_t *memory = mmap(NULL, INPUT_MAX + 4096, PROT_READ | PROT_WRITE,
	                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(memory != MAP_FAILED);
	MUST(mprotect(memory + INPUT_MAX, 4096, PROT_NONE) == 0);
	return memory + INPUT_MAX;
}

static struct input *read_input(const char *folder, const char *name)
{
	struct input *in = calloc(1, sizeof(*in));
	char path[4096];
	ssize_t n;
	SCOPED_FD int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	MUST(in && fd >= 0);
	n = read(fd, in->bytes, INPUT_MAX);
	MUST(n >= 0 && n < INPUT_MAX);
	in->len = (size_t)n;
	return in;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int replay(const char *folder, long mutations)
{
	static struct input *inputs[FILES_MAX], changed;
	struct dirent **names;
	int count = scandir(folder, &names, is_input, alphasort);
	uint8_t *fence = make_fence();

	if (count <= 0 || count > FILES_MAX) {
		fprintf(stderr, "%s: must be a folder of 1 to %d files\n", folder, FILES_MAX);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		inputs[i] = read_input(folder, names[i]->d_name);
		run(fence, inputs[i]);
	}
	for (int i = 0; i < count; i++) {
		uint64_t dice = (uint64_t)i;

		for (long m = 0; m < mutations; m++) {
			size_t times = 1 + below(&dice, 4);

			changed = *inputs[i];
			for (size_t t = 0; t < times; t++)
				mutate_once(&changed, inputs[below(&dice, (size_t)count)], &dice);
			run(fence, &changed);
		}
	}
	printf("%d files, each changed in %ld ways\n", count, mutations);
	for (int i = 0; i < count; i++) {
		free(inputs[i]);
		free(names[i]);
	}
	free(names);
	return 0;
}

int main(int argc, char **argv)
{
	long mutations = MUTATIONS;
	int option;

	while ((option = getopt(argc, argv, "m:")) != -1) {
		if (option != 'm')
			return 2;
		mutations = strtol(optarg, NULL, 10);
	}
	if (optind + 1 != argc) {
		fputs("usage: fuzz-NAME [-m MUTATIONS] FOLDER\n", stderr);
		return 2;
	}
	keep_what_crashes(argv[0]);
	return replay(argv[optind], mutations);
}
