/* SPDX-License-Identifier: Apache-2.0 */
#include "server/bury.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/kern.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define STACK_SIZE 16384

struct grave {
	void *stack;
	pid_t pid;
	int pidfd;
	sd_event_source *source;
};

/* Our memory is its own, so it touches none: one system call, which a signal ends with it. */
__attribute__((no_sanitize("address", "undefined"))) static int lie(void *unused)
{
	while (syscall(SYS_pause))
		;
	return 0;
}

static void grave_free(struct grave *g)
{
	sd_event_source_disable_unref(g->source);
	fd_close(g->pidfd);
	if (g->stack)
		munmap(g->stack, STACK_SIZE);
	free(g);
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct grave *g = arg;

	if (waitpid(g->pid, NULL, WNOHANG | __WALL) == g->pid || errno == ECHILD)
		grave_free(g);
	return 0;
}

/* A child with copies of all our descriptors, and nothing else of its own. */
static struct grave *grave_new(sd_event *event)
{
	struct grave *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->pidfd = -1;
	g->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (g->stack == MAP_FAILED) {
		g->stack = NULL;
		grave_free(g);
		return NULL;
	}
	g->pid = clone(lie, (char *)g->stack + STACK_SIZE, CLONE_VM | CLONE_PIDFD, NULL, &g->pidfd);
	if (g->pid < 0) {
		grave_free(g);
		return NULL;
	}
	if (sd_event_add_io(event, &g->source, g->pidfd, EPOLLIN, on_end, g) < 0) {
		kern_pidfd_send_signal(g->pidfd, SIGKILL);
		waitpid(g->pid, NULL, __WALL);
		grave_free(g);
		return NULL;
	}
	return g;
}

void bury(sd_event *event, const int *fds, size_t n)
{
	struct grave *g;
	size_t there = 0;

	for (size_t i = 0; i < n; i++)
		there += fds[i] >= 0;
	if (there == 0)
		return;
	g = grave_new(event);
	for (size_t i = 0; i < n; i++)
		fd_close(fds[i]);
	if (g)
		kern_pidfd_send_signal(g->pidfd, SIGKILL);
}

void bury_connection(sd_event *event, int sock)
{
	int unread = 0;

	if (sock < 0)
		return;
	shutdown(sock, SHUT_RDWR); /* nothing more comes in between */
	if (ioctl(sock, SIOCINQ, &unread) == 0 && unread == 0)
		fd_close(sock);
	else
		bury(event, &sock, 1);
}

void bury_refuse_descriptors(int sock)
{
	const int no = 0;

	(void)setsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &no,
	                 sizeof(no)); /* older: what comes is buried */
}
