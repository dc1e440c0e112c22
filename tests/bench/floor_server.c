/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor_server FOLDER [SIZE...] - the least that a secret's file system can be, busy or idle: libfuse's low-level
 * interface, one thread, no checks, no records. For each SIZE a file of so many bytes, named by it.
 * The kernel may keep names, attributes and pages for ever, so that open, read and close cost one round
 * trip, as with a worker. Prints its process id when the kernel has sent its first request.
 */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOREVER_S 1e9
#define FILES_MAX 16
#define FIRST_FILE 2 /* its inode */

static size_t size_of[FILES_MAX];
static size_t files;

static struct stat attributes(fuse_ino_t node)
{
	if (node == FUSE_ROOT_ID)
		return (struct stat){ .st_ino = node, .st_mode = S_IFDIR | 0555, .st_nlink = 2 };
	return (struct stat){ .st_ino = node,
		              .st_mode = S_IFREG | 0444,
		              .st_nlink = 1,
		              .st_size = (off_t)size_of[node - FIRST_FILE] };
}

static void on_init(void *userdata, struct fuse_conn_info *connection)
{
	printf("%d\n", (int)getpid());
	fflush(stdout);
}

static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { .attr_timeout = FOREVER_S, .entry_timeout = FOREVER_S };

	for (size_t i = 0; i < files; i++)
		if (strtoull(name, NULL, 10) == size_of[i]) {
			entry.ino = FIRST_FILE + i;
			entry.attr = attributes(entry.ino);
			fuse_reply_entry(request, &entry);
			return;
		}
	fuse_reply_err(request, ENOENT);
}

static void on_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *file)
{
	const struct stat st = attributes(node);

	fuse_reply_attr(request, &st, FOREVER_S);
}

static void on_open(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *file)
{
	file->keep_cache = 1;
	file->noflush = 1;
	fuse_reply_open(request, file);
}

static void on_read(fuse_req_t request, fuse_ino_t node, size_t size, off_t at,
                    struct fuse_file_info *file)
{
	static char bytes[1024 * 1024];
	size_t whole = size_of[node - FIRST_FILE];
	size_t left = (size_t)at < whole ? whole - (size_t)at : 0;

	fuse_reply_buf(request, bytes, size < left ? size : left);
}

int main(int argc, char **argv)
{
	static const struct fuse_lowlevel_ops ops = {
		.init = on_init,
		.lookup = on_lookup,
		.getattr = on_getattr,
		.open = on_open,
		.read = on_read,
	};
	static char program[] = "floor_server", option[] = "-oallow_other,default_permissions";
	char *words[] = { program, option, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(2, words);
	struct fuse_session *session;
	int r = 1;

	if (argc < 2 || argc - 2 > FILES_MAX) {
		fputs("usage: floor_server FOLDER [SIZE...]\n", stderr);
		return 2;
	}
	for (int i = 2; i < argc; i++)
		size_of[files++] = strtoull(argv[i], NULL, 10);
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (session && fuse_session_mount(session, argv[1]) == 0) {
		r = fuse_session_loop(session) == 0 ? 0 : 1;
		fuse_session_unmount(session);
	}
	if (session)
		fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return r;
}
