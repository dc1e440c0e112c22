#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a shell on a terminal makes of a line when Tab is pressed behind it.

    shell_line.py bash|zsh START-FILE LINE...

START-FILE is read by the shell when it starts. Prints the line after the Tab, one for each LINE. The shell writes
its line into a fifo when Ctrl-X d is pressed, so that nothing is read off the terminal and nothing is waited for by
the clock.
"""
import os
import pty
import select
import signal
import sys
import tempfile
import threading

DUMP = {
    "bash": """PS1='> '; bind 'set enable-bracketed-paste off'
dump() {{ printf '%s\\n' "$READLINE_LINE" >{fifo}; }}
bind -x '"\\C-xd": dump'
""",
    "zsh": """PS1='> '; unsetopt zle_bracketed_paste BEEP; zstyle ':completion:*' menu no; LISTMAX=1000
dump() {{ print -r -- "$BUFFER" >{fifo} }}
zle -N dump; bindkey -e; bindkey '^Xd' dump
""",
}
START = {
    "bash": ["bash", "--noprofile", "--rcfile"],
    "zsh": ["zsh", "-i"],
}


def drain(master):
    """A terminal that nobody reads would stop the shell."""
    try:
        while os.read(master, 65536):
            pass
    except OSError:
        pass


def main():
    shell, start, lines = sys.argv[1], sys.argv[2], sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "line")
        os.mkfifo(fifo)
        rc = os.path.join(folder, ".zshrc" if shell == "zsh" else "rc")
        with open(rc, "w", encoding="utf-8") as out:
            out.write(open(start, encoding="utf-8").read())
            out.write(DUMP[shell].format(fifo=fifo))
            out.write(f"echo ready >{fifo}\n")
        pid, master = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm", ZDOTDIR=folder, HISTFILE="/dev/null")
            args = START[shell] + ([rc] if shell == "bash" else [])
            os.execvp(args[0], args)
        threading.Thread(target=drain, args=(master,), daemon=True).start()

        # Ours to write too, so that it never ends between two of the shell's lines.
        answers = os.fdopen(os.open(fifo, os.O_RDWR), "rb", buffering=0)

        def answer():
            text = b""
            while not text.endswith(b"\n"):
                if not select.select([answers], [], [], 60)[0]:
                    sys.exit(f"{shell} did not answer")
                text += answers.read(65536)
            return text.decode().rstrip("\n")

        try:
            answer()
            for line in lines:
                os.write(master, line.encode() + b"\t\x18d")
                print(f"<{answer()}>")
                os.write(master, b"\x15")  # Ctrl-U: an empty line again
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


main()
