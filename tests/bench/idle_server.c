/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_server FOLDER - the least that libfuse's low-level interface can be: an empty folder,
 * mounted and answered for. What worker-memory compares a worker with. Prints its process id when
 * the kernel has sent its first request.
 */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_init(void *userdata, struct fuse_conn_info *connection)
{
	printf("%d\n", (int)getpid());
	fflush(stdout);
}

static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(request, ENOENT);
}

static void on_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *file)
{
	const struct stat root = { .st_ino = FUSE_ROOT_ID, .st_mode = S_IFDIR | 0555 };

	fuse_reply_attr(request, &root, 1.0);
}

int main(int argc, char **argv)
{
	static const struct fuse_lowlevel_ops ops = {
		.init = on_init,
		.lookup = on_lookup,
		.getattr = on_getattr,
	};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session;
	int r = 1;

	if (argc != 2) {
		fputs("usage: idle_server FOLDER\n", stderr);
		return 2;
	}
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (session && fuse_session_mount(session, argv[1]) == 0) {
		r = fuse_session_loop(session) == 0 ? 0 : 1;
		fuse_session_unmount(session);
	}
	if (session)
		fuse_session_destroy(session);
	return r;
}
