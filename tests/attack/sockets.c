/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks by way of the sockets: forged credentials, connections given away, noise, slowness.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attacker.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		die("%s: too long for a socket", path);
	strcpy(address.sun_path, path);
	return address;
}

int connect_to(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die_errno(path);
	return fd;
}

static size_t write_message(char *buffer, size_t size, const char *method, const char *parameters)
{
	int len = snprintf(buffer, size, "{\"method\":\"io.coffer.workload.%s\",\"parameters\":%s}",
	                   method, parameters);

	if (len < 0 || (size_t)len >= size)
		die("the message is too long");
	return (size_t)len + 1;
}

static size_t read_answer(int fd, char *answer, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, answer + len, size - 1 - len)) > 0) {
		len += (size_t)n;
		if (memchr(answer, '\0', len))
			return strlen(answer);
	}
	answer[len] = '\0';
	return len;
}

size_t call(int fd, const char *method, const char *parameters, char *answer, size_t size)
{
	char message[8192];
	size_t len = write_message(message, sizeof(message), method, parameters);

	/* A connection that was refused already takes nothing: what counts is what comes back. */
	(void)!send(fd, message, len, MSG_NOSIGNAL);
	return read_answer(fd, answer, size);
}

void print_answer(const char *what, const char *answer, size_t len)
{
	printf("%s %s\n", what, len ? answer : "closed");
	fflush(stdout);
}

int cmd_ask(int argc, char **argv)
{
	char answer[ANSWER_MAX];
	int fd = connect_to(argv[1]);

	print_answer("answer", answer, call(fd, argv[2], argv[3], answer, sizeof(answer)));
	return 0;
}

/* Beside the bytes: the credentials of our namespace's init, and a pidfd of it. */
static void send_forged(int fd, const char *bytes, size_t len)
{
	struct ucred creds = { .pid = 1, .uid = 0, .gid = 0 };
	int pidfd = pidfd_of(1);
	char control[CMSG_SPACE(sizeof(creds)) + CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec io = { .iov_base = (char *)(size_t)bytes, .iov_len = len };
	struct msghdr message = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	if (pidfd < 0)
		die_errno("pidfd of 1");
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(creds));
	memcpy(CMSG_DATA(c), &creds, sizeof(creds));
	c = CMSG_NXTHDR(&message, c);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pidfd, sizeof(int));
	if (sendmsg(fd, &message, MSG_NOSIGNAL) >= 0)
		return;
	/* From Linux 6.16 on no descriptor goes there: the credentials alone. */
	message.msg_controllen = CMSG_SPACE(sizeof(creds));
	if (errno != EPERM || sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
		die_errno("forged credentials");
}

int cmd_forge(int argc, char **argv)
{
	char message[8192], answer[ANSWER_MAX];
	size_t len = write_message(message, sizeof(message), argv[2], argv[3]);
	int fd = connect_to(argv[1]);

	printf("pid %d\n", getpid());
	send_forged(fd, message, len);
	print_answer("answer", answer, read_answer(fd, answer, sizeof(answer)));
	return 0;
}

static void send_fd(int via, int fd)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(via, &message, MSG_NOSIGNAL) < 0)
		die_errno("give a descriptor away");
}

static int receive_fd(int via)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	int fd = -1;

	if (recvmsg(via, &message, MSG_CMSG_CLOEXEC) <= 0 || !(c = CMSG_FIRSTHDR(&message)))
		die("no descriptor came");
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int cmd_lend(int argc, char **argv)
{
	int fd = connect_to(argv[1]), via = connect_to(argv[2]);
	char byte;

	printf("pid %d\n", getpid());
	fflush(stdout);
	send_fd(via, fd);
	(void)!read(via, &byte, 1); /* until the borrower has asked */
	return 0;
}

/* The lender's end is an event of its pidfd. */
static void await_end_of_peer(int via)
{
	struct pollfd p = { .fd = -1, .events = POLLIN };
	socklen_t len = sizeof(p.fd);

	if (getsockopt(via, SOL_SOCKET, SO_PEERPIDFD, &p.fd, &len) < 0)
		die_errno("SO_PEERPIDFD of the lender");
	shutdown(via, SHUT_WR);
	if (poll(&p, 1, 30000) != 1)
		die("the lender does not end");
}

int cmd_borrow(int argc, char **argv)
{
	struct sockaddr_un address = address_of(argv[1]);
	int door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[ANSWER_MAX], parameters[4200];
	int via, fd;

	if (door < 0 || bind(door, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(door, 1) < 0)
		die_errno(argv[1]);
	printf("listening\n");
	fflush(stdout);
	via = accept4(door, NULL, NULL, SOCK_CLOEXEC);
	if (via < 0)
		die_errno("accept");
	fd = receive_fd(via);
	print_answer("identity", answer, call(fd, "Identity", "{}", answer, sizeof(answer)));
	for (int i = 2; i < argc; i++) {
		snprintf(parameters, sizeof(parameters), "{\"path\":\"%s\"}", argv[i]);
		print_answer(argv[i], answer, call(fd, "Get", parameters, answer, sizeof(answer)));
	}
	await_end_of_peer(via);
	print_answer("after", answer, call(fd, "List", "{}", answer, sizeof(answer)));
	return 0;
}

/*
 * Into the cgroup, then ask. With -u a user namespace comes between opening the door of the cgroup
 * and going through it.
 */
int cmd_move(int argc, char **argv)
{
	int at = strcmp(argv[1], "-u") == 0 ? 2 : 1, fd;
	char path[4096], answer[ANSWER_MAX];

	if (argc - at < 4)
		die("CGROUP SOCKET METHOD JSON");
	snprintf(path, sizeof(path), "%s/cgroup.procs", argv[at]);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		die_errno(path);
	if (at == 2 && unshare(CLONE_NEWUSER) < 0)
		die_errno("a user namespace");
	print_result("move", write(fd, "0", 1) == 1 ? 0 : errno);
	fd = connect_to(argv[at + 1]);
	print_answer("answer", answer,
	             call(fd, argv[at + 2], argv[at + 3], answer, sizeof(answer)));
	return 0;
}

/* Held until our input ends, or says q; then says how many the broker has ended meanwhile. */
int cmd_slow(int argc, char **argv)
{
	static const char half[] = "{\"method\":\"io.coffer.";
	struct sockaddr_un address = address_of(argv[1]);
	int count = atoi(argv[2]), open = 0, ended = 0;
	int *fds = calloc((size_t)count, sizeof(int));
	char byte;

	if (!fds)
		die("no memory");
	for (int i = 0; i < count; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fds[i] < 0)
			die_errno("socket");
		if (connect(fds[i], (struct sockaddr *)&address, sizeof(address)) == 0 &&
		    send(fds[i], half, sizeof(half) - 1, MSG_NOSIGNAL) > 0)
			open++;
	}
	printf("open %d\n", open);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0 && byte != 'q')
		for (int i = 0; i < count;
		     i++) /* one byte more on each, for each line of our input */
			(void)!send(fds[i], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (int i = 0; i < count; i++)
		if (recv(fds[i], &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
			ended++; /* with an answer, or without */
	printf("ended %d\n", ended);
	return 0;
}

int cmd_garbage(int argc, char **argv)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"null",
		"{\"method\":5}",
		"{\"method\":\"\"}",
		"\"",
		"{\"method\":\"x\"",
		"{\"method\":\"io.coffer.workload.Get\"}",
		"{\"method\":\"io.coffer.workload.Get\",\"parameters\":[]}",
		"{\"method\":\"io.coffer.workload.Get\",\"parameters\":{\"path\":5}}",
		"{\"method\":\"io.coffer.workload.List\",\"parameters\":{\"x\":1}}",
		"{\"method\":\"io.coffer.workload.List\",\"method\":\"io.coffer.workload.Get\"}",
	};
	static char noise[200000];
	int rounds = atoi(argv[2]);
	char answer[4096];

	for (int i = 0; i < rounds; i++) {
		const char *text = texts[(size_t)i % (sizeof(texts) / sizeof(texts[0]))];
		int fd = connect_to(argv[1]);

		if (i % 3 == 0) {
			if (getrandom(noise, sizeof(noise), 0) < 0)
				die_errno("noise");
			(void)!send(fd, noise, sizeof(noise), MSG_NOSIGNAL | MSG_DONTWAIT);
		} else if (i % 3 == 1) {
			memset(noise, i % 2 ? '[' : 'a', sizeof(noise)); /* deep, or without end */
			(void)!send(fd, noise, sizeof(noise), MSG_NOSIGNAL | MSG_DONTWAIT);
		} else {
			(void)!send(fd, text, strlen(text) + 1, MSG_NOSIGNAL);
			shutdown(fd, SHUT_WR);
			(void)!read(fd, answer, sizeof(answer));
		}
		close(fd);
	}
	printf("sent %d\n", rounds);
	return 0;
}
