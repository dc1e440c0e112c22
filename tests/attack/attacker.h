/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attacker.h - what the attacks share. The program runs in the attacker's container, without
 * libraries and without a user database; a few commands run on the host, where the attack needs
 * an accomplice with more power than the container has.
 *
 * Each command prints what it got, one fact a line, and leaves the judgement to its scenario. It
 * fails only when it could not attack at all.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define ANSWER_MAX 65536

/* Status 1 with a sentence: the attack could not be made. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* As above with errno's text. */
_Noreturn void die_errno(const char *what);

/* attacker.c: small system calls. */
int pidfd_of(pid_t pid);
int steal_fd(int pidfd, int fd);
void read_whole(const char *path, char *buffer, size_t size); /* "" if it can't be read */
void print_result(const char *what, int error);               /* 0 prints "SUCCEEDED" */

/* sockets.c */
int connect_to(const char *path);
/*
 * One message to the broker, and its answer without the NUL in `answer`. Its length; 0 if the
 * connection was closed without a byte.
 */
size_t call(int fd, const char *method, const char *parameters, char *answer, size_t size);
void print_answer(const char *what, const char *answer, size_t len);

/* The commands: argv[0] is the command's own name. Status of the program. */
int cmd_ask(int argc, char **argv);
int cmd_forge(int argc, char **argv);
int cmd_lend(int argc, char **argv);
int cmd_borrow(int argc, char **argv);
int cmd_move(int argc, char **argv);
int cmd_slow(int argc, char **argv);
int cmd_garbage(int argc, char **argv);
int cmd_reuse(int argc, char **argv);
int cmd_respawn(int argc, char **argv);
int cmd_writes(int argc, char **argv);
int cmd_handles(int argc, char **argv);
int cmd_nested(int argc, char **argv);
int cmd_swap(int argc, char **argv);
int cmd_opens(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_fill(int argc, char **argv);
int cmd_halt(int argc, char **argv);
int cmd_peek(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_overwrite(int argc, char **argv);
