#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Run a command on a terminal of its own and print every byte that it wrote there.

    on_terminal.py [--columns N] [--plain-stdout FILE] [--until TEXT --then COMMAND] COMMAND...

--plain-stdout: standard output is FILE, only the rest is the terminal. When TEXT was written, COMMAND is run by the
shell, once. Ends as the command ends; one that does not end within two minutes is killed.
"""
import argparse
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--plain-stdout")
    parser.add_argument("--until")
    parser.add_argument("--then")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    pid, master = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, given.columns, 0, 0))
        if given.plain_stdout:
            os.dup2(os.open(given.plain_stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.execvp(given.command[0], given.command)
    written, deadline = b"", time.monotonic() + 120
    while True:
        if not select.select([master], [], [], max(0, deadline - time.monotonic()))[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            sys.exit(f"did not end; wrote: {written!r}")
        try:
            piece = os.read(master, 65536)
        except OSError:
            piece = b""
        if not piece:
            break
        written += piece
        if given.until and given.until.encode() in written:
            subprocess.run(given.then, shell=True, check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)
            given.until = None
    sys.stdout.buffer.write(written)
    sys.stdout.flush()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()
