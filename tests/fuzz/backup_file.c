/* SPDX-License-Identifier: Apache-2.0 */
/* backup_file_read: whatever stands in a file, it is refused with a sentence or lies within it; and what is good stops
 * being so when anything is put behind it. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backup_file.h"

#include "fuzz.h"

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("backup", MFD_CLOEXEC);

	MUST(fd >= 0);
	MUST(size == 0 || write(fd, data, size) == (ssize_t)size);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct progress p = { .fd = -1 };
	struct backup_file f;
	struct err e = { 0 };
	int fd = file_of(data, size), r = backup_file_read(fd, &f, &p, &e);

	if (r < 0) {
		fuzz_refused(r, &e);
	} else {
		MUST(json_is_object(f.about) && strlen(f.head_text) <= CHAIN_HEAD_MAX);
		MUST(f.store_offset % 512 == 0 && f.store_offset <= size);
		MUST(f.store_size <= size - f.store_offset);
		backup_file_clear(&f);
		MUST(write(fd, "x", 1) == 1);
		r = backup_file_read(fd, &f, &p, &e);
		MUST(r == -EBADMSG);
	}
	backup_file_clear(&f);
	close(fd);
	return 0;
}
