/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linger SOCKET CONNECTIONS - sends TCP sockets that linger, with unsent data, over connections to a Unix
 * socket that nobody reads, and lets go of all of its own. Whoever closes one last waits for the other end
 * of that TCP connection, which this keeps and never reads. Prints "given" and how many were taken, and
 * holds on until its input ends.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINGER_S 300

__attribute__((noreturn)) static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

static int lingering(const struct sockaddr_in *at)
{
	static const char bytes[65536];
	const struct linger linger = { 1, LINGER_S };
	const int small = 4096;
	int sock = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if (connect(sock, (const struct sockaddr *)at, sizeof(*at)) < 0 ||
	    fcntl(sock, F_SETFL, O_NONBLOCK) < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
		give_up("a socket that lingers");
	while (send(sock, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
		;
	return sock;
}

/* 1 if it was taken. */
static int give(const char *path, int sock)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
		                .cmsg_level = SOL_SOCKET,
		                .cmsg_type = SCM_RIGHTS } };
	char byte = '{';
	struct iovec bytes = { &byte, 1 };
	struct msghdr message = { .msg_iov = &bytes,
		                  .msg_iovlen = 1,
		                  .msg_control = &control,
		                  .msg_controllen = sizeof(control) };
	int to = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (connect(to, (struct sockaddr *)&at, sizeof(at)) < 0)
		give_up("connect");
	memcpy(CMSG_DATA(&control.head), &sock, sizeof(sock));
	return sendmsg(to, &message, MSG_NOSIGNAL) == 1;
}

static void give_all(const char *path, int connections, const struct sockaddr_in *at)
{
	int taken = 0;

	for (int i = 0; i < connections; i++)
		taken += give(path, lingering(at));
	printf("given %d\n", taken);
	fflush(stdout);
	_exit(0); /* a process that dies does not wait */
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int small = 4096;
	socklen_t len = sizeof(at);
	int door = socket(AF_INET, SOCK_STREAM, 0);
	char unused;

	if (argc != 3)
		return 2;
	setsockopt(door, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(door, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(door, 256) < 0 ||
	    getsockname(door, (struct sockaddr *)&at, &len) < 0)
		give_up("listen");
	if (fork() == 0)
		give_all(argv[1], atoi(argv[2]), &at);
	wait(NULL);
	while (read(STDIN_FILENO, &unused, 1) > 0)
		;
	return 0;
}
