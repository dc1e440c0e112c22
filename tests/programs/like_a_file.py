# SPDX-License-Identifier: Apache-2.0
"""Does to a file in each of two folders what programs do to files, and prints where the answers differ.

like_a_file.py FOLDER CONTROL NAME...     the second on an ordinary file system that is mounted read-only
"""
import ctypes
import errno
import fcntl
import mmap
import os
import select
import socket
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
SCRATCH = "/tmp/scratch"


def opened(function):
    def call(path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return function(fd)
        finally:
            os.close(fd)

    call.__name__ = function.__name__
    return call


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def read_whole(fd):
    parts = []
    while part := os.read(fd, 70001):
        parts.append(part)
    return b"".join(parts)


def stat_fields(path):
    st = os.stat(path)
    return (oct(st.st_mode), st.st_size, st.st_nlink, st.st_blocks >= 0, st.st_blksize, st.st_rdev)


def direct(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    area = mmap.mmap(-1, 1 << 21)
    count = os.readv(fd, [area])
    os.close(fd)
    return area[:count]


@opened
def short_reads(fd):
    return [os.pread(fd, 3, at) for at in (0, 1, 4095, 4096, 1 << 20, 1 << 40)]


@opened
def read_ahead(fd):
    return libc.readahead(fd, ctypes.c_int64(0), ctypes.c_size_t(1 << 20)), read_whole(fd)


@opened
def advise(fd):
    for advice in (os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_WILLNEED, os.POSIX_FADV_DONTNEED, os.POSIX_FADV_NOREUSE):
        os.posix_fadvise(fd, 0, 0, advice)
    return read_whole(fd)


@opened
def maps(fd):
    size = os.fstat(fd).st_size
    found = []
    for flags in (mmap.MAP_PRIVATE, mmap.MAP_SHARED, mmap.MAP_PRIVATE | mmap.MAP_POPULATE):
        with mmap.mmap(fd, size, flags=flags, prot=mmap.PROT_READ) as area:
            area.madvise(mmap.MADV_WILLNEED)
            found.append(area[:])
    with mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as area:
        area[0:1] = b"#"
        found.append(area[:])
    return found, read_whole(fd)


@opened
def map_writable(fd):
    mmap.mmap(fd, os.fstat(fd).st_size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)


@opened
def map_executable(fd):
    mmap.mmap(fd, os.fstat(fd).st_size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)


@opened
def seeks(fd):
    found = [os.lseek(fd, 0, os.SEEK_END), os.lseek(fd, 5, os.SEEK_SET), os.lseek(fd, 2, os.SEEK_CUR)]
    for at in (0, 1, 1 << 30):
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            try:
                found.append(os.lseek(fd, at, whence))
            except OSError as error:
                found.append(errno.errorcode[error.errno])
    return found


@opened
def send_to_socket(fd):
    here, there = socket.socketpair()
    here.setblocking(False)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    sent = os.sendfile(here.fileno(), fd, 0, 5000)
    return sent, there.recv(sent, socket.MSG_WAITALL) if sent else b""


@opened
def send_to_file(fd):
    with open(SCRATCH, "w+b") as to:
        while os.sendfile(to.fileno(), fd, None, 1 << 20):
            pass
        to.seek(0)
        return to.read()


@opened
def copy_range(fd):
    with open(SCRATCH, "w+b") as to:
        try:
            while os.copy_file_range(fd, to.fileno(), 1 << 20):
                pass
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL):
                raise
            return read_whole(fd)
        to.seek(0)
        return to.read()


@opened
def splice(fd):
    out, into = os.pipe()
    count = os.splice(fd, into, 4000)
    found = os.read(out, count) if count else b""
    os.close(out)
    os.close(into)
    return found


@opened
def locks(fd):
    fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(fd, fcntl.LOCK_UN)
    fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    fcntl.lockf(fd, fcntl.LOCK_UN)


@opened
def write_lock(fd):
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


@opened
def ready(fd):
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLOUT)
    return [events for _, events in poll.poll(0)]


@opened
def synced(fd):
    os.fsync(fd)
    os.fdatasync(fd)


@opened
def terminal(fd):
    return os.isatty(fd)


@opened
def readable_bytes(fd):
    count = ctypes.c_int(-1)
    checked(libc.ioctl(fd, 0x541B, ctypes.byref(count)))
    return count.value


@opened
def times_of(fd):
    os.utime(fd)


@opened
def mode_of(fd):
    os.fchmod(fd, 0o600)


@opened
def set_xattr(fd):
    os.setxattr(fd, "user.own", b"x")


def not_there(path):
    os.stat(path + "-not-there")


def below_a_file(path):
    os.stat(path + "/below")


def unknown_xattr(path):
    os.getxattr(path, "user.unknown")


def acl(path):
    os.getxattr(path, "system.posix_acl_access")


def capabilities(path):
    os.getxattr(path, "security.capability")


def through_proc(path):
    fd = os.open(path, os.O_PATH)
    try:
        with open(f"/proc/self/fd/{fd}", "rb") as file:
            return file.read()
    finally:
        os.close(fd)


def by_flags(flags):
    def call(path):
        fd = os.open(path, flags)
        found = read_whole(fd)
        os.close(fd)
        return found

    call.__name__ = f"open {flags:#o}"
    return call


def by_access(mode):
    def call(path):
        return os.access(path, mode), checked(libc.access(path.encode(), mode))

    call.__name__ = f"access {mode}"
    return call


def command(text):
    def call(path):
        folder, name = os.path.split(path)
        done = subprocess.run(["/bin/bash", "-c", text], cwd=folder, env=dict(os.environ, f=name),
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr.replace(folder.encode(), b"FOLDER")

    call.__name__ = text
    return call


def write(path):
    os.open(path, os.O_WRONLY)


def truncate(path):
    os.truncate(path, 0)


def link(path):
    os.link(path, path + "-linked")


def rename(path):
    os.rename(path, path + "-renamed")


def unlink(path):
    os.unlink(path)


CALLS = [
    stat_fields, direct, short_reads, read_ahead, advise, maps, map_writable, map_executable, seeks, send_to_socket,
    send_to_file, copy_range, splice, locks, write_lock, ready, synced, terminal, readable_bytes, times_of,
    mode_of, set_xattr, not_there, below_a_file, unknown_xattr, acl, capabilities, through_proc, write, truncate, link,
    rename, unlink, by_access(os.R_OK), by_access(os.W_OK), by_access(os.X_OK), by_flags(os.O_NOFOLLOW),
    by_flags(os.O_NONBLOCK), by_flags(os.O_SYNC), by_flags(os.O_NOATIME), by_flags(os.O_RDWR), by_flags(os.O_DIRECTORY),
    by_flags(os.O_CREAT), by_flags(os.O_CREAT | os.O_EXCL), by_flags(os.O_APPEND),
] + [command(text) for text in (
    'cat "$f"', 'cat <"$f" | md5sum', 'wc -c "$f"', 'wc -l <"$f"', 'head -c 10 "$f"', 'tail -c 10 "$f"', 'tail -n 1 "$f"',
    'cp "$f" /tmp/scratch && cmp "$f" /tmp/scratch', 'cp -p "$f" /tmp/s2 && cmp "$f" /tmp/s2; stat -c "%a %s" /tmp/s2',
    'cp -a --reflink=auto "$f" /tmp/s3 && cmp "$f" /tmp/s3', 'cp --sparse=always "$f" /tmp/s4 && cmp "$f" /tmp/s4',
    'install -m 600 "$f" /tmp/s5 && cmp "$f" /tmp/s5', 'mv "$f" /tmp/s6', 'dd if="$f" bs=1M status=none | md5sum',
    'dd if="$f" iflag=direct bs=4096 status=none | md5sum', 'tar cf - "$f" | tar xOf - | md5sum', 'sha256sum "$f"',
    'grep -c . "$f"', 'sed -n 1p "$f"', 'sort "$f" | tail -n 1 | md5sum', 'mapfile -t lines <"$f"; echo "${#lines[@]}"',
    'read -r word <"$f"; echo "$word" | md5sum', 'x=$(<"$f"); echo "${#x}"', 'base64 "$f" | md5sum', 'od -c "$f" | md5sum',
    'find . -name "$f" -type f -perm /400 -printf "%f %s %n\\n"', 'find . -mindepth 1 -newer "$f" | sort', 'ls "$f"', 'stat -c "%F %h %s" "$f"',
    'test -r "$f" -a -f "$f" -a ! -x "$f"; echo $?', 'test -s "$f"; echo $?', 'readlink "$f"', 'realpath --relative-to=. "$f"',
    'touch "$f"', 'echo x >"$f"', 'echo x >>"$f"', 'rm -f "$f"', 'truncate -s 0 "$f"', 'ln "$f" /tmp/hard',
    '/usr/bin/perl -e \'open F, "<", $ENV{f} or die; local $/; print length <F>\'', 'node -p "fs.readFileSync(process.env.f).length"',
    'openssl dgst -sha256 "$f"', 'awk "END { print NR }" "$f"', 'socat -u "OPEN:$f" STDOUT | md5sum', 'strings "$f" | md5sum',
)]


def outcome(call, path):
    try:
        return call(path)
    except OSError as error:
        return errno.errorcode.get(error.errno, error.errno)
    except ValueError as error:  # an empty file cannot be mapped
        return str(error)


def short(answer):
    text = repr(answer)
    return text if len(text) < 300 else text[:300] + "..."


def main(folder, control, names):
    different = 0
    # Two differences are known, and the same with any FUSE: epoll takes such files, and there is no lsattr.
    for name in names:
        for call in CALLS:
            ours, theirs = (outcome(call, os.path.join(where, name)) for where in (folder, control))
            if ours != theirs:
                different += 1
                print(f"{name}: {call.__name__}: {short(ours)}, and elsewhere {short(theirs)}")
    print(f"{len(names) * len(CALLS)} comparisons, {different} different")
    sys.exit(1 if different else 0)


main(sys.argv[1], sys.argv[2], sys.argv[3:])
