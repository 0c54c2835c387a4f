# SPDX-License-Identifier: Apache-2.0
"""What POSIX promises, asked of directory A (and of B, the same share mounted a second time)."""
import ctypes
import errno
import mmap
import os
import signal
import stat
import sys
import threading
import time

A, B = sys.argv[1], sys.argv[2]
CASES = []


def case(function):
    CASES.append(function)
    return function


def put(path, data=b"x", flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode=0o644):
    fd = os.open(path, flags, mode)
    os.write(fd, data)
    os.close(fd)


def get(path):
    with open(path, "rb") as file:
        return file.read()


def refused(want, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except OSError as error:
        assert error.errno == want, f"{errno.errorcode[error.errno]} instead of {errno.errorcode[want]}"
        return
    raise AssertionError(f"went through instead of {errno.errorcode[want]}")


def as_user(uid, gid, groups, function):
    """Runs in a child with these ids; an exception there is one here."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            function()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001
            print(f"    in the child: {error!r}", flush=True)
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


@case
def hard_links_are_one_file():
    put("a", b"one")
    os.link("a", "b")
    assert os.stat("a").st_nlink == 2 and os.stat("a").st_ino == os.stat("b").st_ino
    put("b", b"two!")
    assert get("a") == b"two!" and os.stat("a").st_size == 4
    os.unlink("a")
    assert os.stat("b").st_nlink == 1 and get("b") == b"two!"
    os.mkdir("dir")
    refused(errno.EPERM, os.link, "dir", "c")
    refused(errno.EEXIST, os.link, "b", "dir")


@case
def symbolic_links_hold_any_text():
    for text in ("somewhere", "/abs/o/lute", "../up", "x" * 1000, "ü ä"):
        os.symlink(text, "link")
        assert os.readlink("link") == text and stat.S_ISLNK(os.lstat("link").st_mode)
        os.unlink("link")
    os.symlink("loop", "loop")
    refused(errno.ELOOP, os.stat, "loop")


@case
def rename_replaces_and_refuses_as_it_should():
    put("f", b"f")
    put("g", b"g")
    os.rename("f", "g")
    assert get("g") == b"f" and not os.path.exists("f")
    os.mkdir("d1")
    os.mkdir("d2")
    put("d2/in", b"in")
    refused(errno.ENOTEMPTY, os.rename, "d1", "d2")
    refused(errno.EISDIR, os.rename, "g", "d1")
    refused(errno.ENOTDIR, os.rename, "d1", "g")
    refused(errno.EINVAL, os.rename, "d2", "d2/inside")
    refused(errno.ENOENT, os.rename, "missing", "h")
    os.rename("d2", "d1")
    assert get("d1/in") == b"in" and not os.path.exists("d2")
    os.link("g", "h")
    os.rename("g", "h")  # the same file: nothing happens
    assert os.path.exists("g") and os.path.exists("h")


@case
def rename_without_replacing():
    libc = ctypes.CDLL(None, use_errno=True)

    def rename2(old, new, flags):
        if libc.renameat2(-100, old.encode(), -100, new.encode(), flags) < 0:
            raise OSError(ctypes.get_errno(), "renameat2")

    put("f", b"f")
    put("g", b"g")
    refused(errno.EEXIST, rename2, "f", "g", 1)
    rename2("f", "h", 1)
    assert get("h") == b"f" and not os.path.exists("f") and os.stat("h").st_nlink == 1
    refused(errno.EINVAL, rename2, "g", "h", 2)
    os.mkdir("d")
    refused(errno.EINVAL, rename2, "d", "e", 1)


@case
def an_unlinked_file_lives_until_its_last_close():
    fd = os.open("f", os.O_RDWR | os.O_CREAT, 0o600)
    os.write(fd, b"before")
    os.unlink("f")
    assert os.listdir(".") == [] and not os.path.exists("f")
    os.write(fd, b" after")
    assert os.pread(fd, 100, 0) == b"before after" and os.fstat(fd).st_nlink == 0
    os.ftruncate(fd, 3)
    assert os.fstat(fd).st_size == 3
    os.close(fd)


@case
def a_replaced_file_lives_until_its_last_close():
    put("old", b"old")
    put("new", b"new")
    fd = os.open("old", os.O_RDONLY)
    os.rename("new", "old")
    assert get("old") == b"new" and os.read(fd, 10) == b"old" and os.listdir(".") == ["old"]
    os.close(fd)


@case
def a_directory_of_unlinked_open_files_can_be_removed():
    os.mkdir("d")
    fd = os.open("d/f", os.O_RDWR | os.O_CREAT)
    os.unlink("d/f")
    os.rmdir("d")
    os.write(fd, b"still")
    assert os.pread(fd, 9, 0) == b"still"
    os.close(fd)
    assert os.listdir(".") == []


@case
def what_becomes_of_unlinked_open_files_is_never_listed():
    stop, seen = threading.Event(), []

    def look():
        while not stop.is_set():
            seen.extend(name for name in os.listdir(".") if name != "d")

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(150):
            os.mkdir("d")
            fd = os.open("d/f", os.O_RDWR | os.O_CREAT)
            os.unlink("d/f")
            closing = threading.Thread(target=os.close, args=(fd,))
            closing.start()  # while what is left of the file moves out of the directory
            os.rmdir("d")
            closing.join()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not seen, f"listed: {seen[:3]}"
    for _ in range(100):  # a file ends a moment after its last close
        if not os.listdir(f"{B}/{os.path.basename(os.getcwd())}"):
            return
        time.sleep(0.1)
    raise AssertionError(f"left: {os.listdir(B + '/' + os.path.basename(os.getcwd()))}")


@case
def appends_go_to_the_end():
    put("f", b"head\n")
    one = os.open("f", os.O_WRONLY | os.O_APPEND)
    two = os.open("f", os.O_WRONLY | os.O_APPEND)
    for i in range(200):
        os.write(one if i % 2 else two, b"%03d\n" % i)
    os.close(one)
    os.close(two)
    assert get("f") == b"head\n" + b"".join(b"%03d\n" % i for i in range(200))


@case
def truncation_cuts_and_extends_with_zeros():
    put("f", b"a" * 10000)
    os.truncate("f", 5000)
    assert os.stat("f").st_size == 5000
    os.truncate("f", 9000)
    assert get("f") == b"a" * 5000 + b"\0" * 4000
    fd = os.open("f", os.O_RDWR)
    os.pwrite(fd, b"end", 20000)
    os.ftruncate(fd, 20001)
    assert os.pread(fd, 100, 19999) == b"\0e"
    os.close(fd)
    put("f", b"")
    assert os.stat("f").st_size == 0


@case
def holes_read_as_zeros_and_take_no_room():
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"end", 1 << 30)
    os.fsync(fd)
    assert os.pread(fd, 4096, 1 << 29) == b"\0" * 4096
    assert os.fstat(fd).st_size == (1 << 30) + 3 and os.fstat(fd).st_blocks < 2048
    os.close(fd)


@case
def overlapping_writes_end_as_they_were_made():
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    want = bytearray(300000)
    for i in range(300):
        data = bytes([i % 251 + 1]) * (1 + i * 37 % 5000)
        offset = i * 7919 % 290000
        os.pwrite(fd, data, offset)
        want[offset:offset + len(data)] = data
        if i % 50 == 0:
            assert os.pread(fd, len(want), 0) == bytes(want[:os.fstat(fd).st_size])
    size = os.fstat(fd).st_size
    os.close(fd)
    assert get("f") == bytes(want[:size]) == get(os.path.join(B, os.path.basename(os.getcwd()), "f"))


@case
def a_shared_mapping_reaches_the_file():
    put("f", b"m" * 8192)
    fd = os.open("f", os.O_RDWR)
    with mmap.mmap(fd, 8192) as area:
        area[4096:4100] = b"MMAP"
        area.flush()
        assert os.pread(fd, 4, 4096) == b"MMAP"
        area[0:4] = b"LAST"
    os.close(fd)
    assert get(os.path.join(B, os.path.basename(os.getcwd()), "f"))[:4] == b"LAST"


@case
def names_of_255_bytes_and_deep_paths():
    name = "n" * 255
    put(name)
    assert os.listdir(".") == [name]
    refused(errno.ENAMETOOLONG, os.open, "n" * 256, os.O_CREAT | os.O_WRONLY)
    here = os.getcwd()
    for _ in range(60):
        os.mkdir("directory")
        os.chdir("directory")
    put("bottom", b"deep")
    os.chdir(here)
    assert get("/".join(["directory"] * 60) + "/bottom") == b"deep"


@case
def wrong_uses_have_their_errno():
    put("f")
    os.mkdir("d")
    put("d/x")
    refused(errno.EEXIST, os.mkdir, "d")
    refused(errno.EEXIST, os.open, "f", os.O_CREAT | os.O_EXCL)
    refused(errno.ENOTEMPTY, os.rmdir, "d")
    refused(errno.ENOTDIR, os.rmdir, "f")
    refused(errno.EISDIR, os.unlink, "d")
    refused(errno.ENOENT, os.unlink, "missing")
    refused(errno.ENOTDIR, os.stat, "f/x")
    refused(errno.EISDIR, os.open, "d", os.O_WRONLY)
    refused(errno.EOPNOTSUPP, os.setxattr, "f", "user.x", b"1")
    fd = os.open("f", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(4096)) == -1
    assert ctypes.get_errno() == errno.EOPNOTSUPP
    os.posix_fallocate(fd, 0, 8192)  # the C library writes instead
    assert os.fstat(fd).st_size == 8192
    os.close(fd)


@case
def special_files():
    os.mkfifo("fifo", 0o640)
    os.mknod("sock", stat.S_IFSOCK | 0o600)
    os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert stat.S_ISFIFO(os.stat("fifo").st_mode) and stat.S_IMODE(os.stat("fifo").st_mode) == 0o640
    assert stat.S_ISSOCK(os.stat("sock").st_mode)
    assert os.stat("null").st_rdev == os.makedev(1, 3)


@case
def times_are_set_and_kept():
    put("f")
    os.utime("f", ns=(1_000_000_001, 2_000_000_003))
    st = os.stat("f")
    assert (st.st_atime_ns, st.st_mtime_ns) == (1_000_000_001, 2_000_000_003)
    before = st.st_mtime_ns
    put("f", b"y")
    assert os.stat("f").st_mtime_ns > before
    fd = os.open("f", os.O_WRONLY)
    os.write(fd, b"z")
    os.utime(fd, ns=(5, 7))
    os.close(fd)
    assert os.stat("f").st_mtime_ns == 7  # no late write moved it


@case
def owners_modes_and_groups():
    os.chmod(".", 0o777)

    def user():
        put("mine", b"1", mode=0o600)
        st = os.stat("mine")
        assert (st.st_uid, st.st_gid) == (4321, 4321)
        os.chmod("mine", 0o640)
        os.chown("mine", -1, 5000)  # one of its groups
        assert os.stat("mine").st_gid == 5000
        refused(errno.EPERM, os.chown, "mine", 1, -1)
        refused(errno.EACCES, os.open, "roots", os.O_RDONLY)
        refused(errno.EPERM, os.chmod, "roots", 0o777)
        put("readonly", b"1", mode=0o400)
        refused(errno.EACCES, os.open, "readonly", os.O_WRONLY)
        fd = os.open("fresh", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o000)
        os.write(fd, b"the creator may")
        assert os.pread(fd, 3, 0) == b"the"
        os.close(fd)
        assert get("groups") == b"g"

    put("roots", b"r", mode=0o600)
    put("groups", b"g", mode=0o640)
    os.chown("groups", 0, 5000)
    as_user(4321, 4321, [4321, 5000], user)
    refused_to_others = lambda: refused(errno.EACCES, os.open, "mine", os.O_RDONLY)  # noqa: E731
    as_user(4322, 4322, [], refused_to_others)


@case
def sticky_and_set_group_id_directories():
    os.chmod(".", 0o777)
    os.mkdir("sticky")
    os.chmod("sticky", 0o1777)
    os.mkdir("shared")
    os.chown("shared", 0, 5000)
    os.chmod("shared", 0o2777)
    as_user(4321, 4321, [], lambda: put("sticky/f"))
    as_user(4322, 4322, [], lambda: refused(errno.EPERM, os.unlink, "sticky/f"))

    def inherit():
        put("shared/f")
        os.mkdir("shared/d")
        assert os.stat("shared/f").st_gid == 5000 and os.stat("shared/d").st_gid == 5000
        assert os.stat("shared/d").st_mode & stat.S_ISGID

    as_user(4321, 4321, [], inherit)
    assert stat.S_IMODE(os.stat("shared").st_mode) == 0o2777


@case
def directories_are_listed_whole():
    names = {f"entry-{i:05d}" for i in range(3000)}
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    assert set(os.listdir(".")) == names == set(os.listdir(os.path.join(B, os.path.basename(os.getcwd()))))
    with os.scandir(".") as entries:
        for entry in entries:
            os.unlink(entry.name)
    assert os.listdir(".") == []


@case
def a_directory_is_listed_while_entries_come_and_go_there():
    other = os.path.join(B, os.path.basename(os.getcwd()), "busy")
    os.mkdir("busy")
    stay = {f"stay-{i}" for i in range(300)}
    for name in stay:
        put(f"busy/{name}")
    churners = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            while True:
                for i in range(300):
                    put(f"{other}/come-{number}-{i}")
                for i in range(300):
                    os.unlink(f"{other}/come-{number}-{i}")
        churners.append(pid)
    try:
        for _ in range(400):
            listed = os.listdir("busy")
            assert len(listed) == len(set(listed)), "a name twice"
            assert stay <= set(listed), f"not listed: {sorted(stay - set(listed))[:3]}"
    finally:
        for pid in churners:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@case
def one_of_many_creators_wins():
    other = os.path.join(B, os.path.basename(os.getcwd()))
    for i in range(100):
        wins = []

        def create(directory, number=i):
            try:
                os.close(os.open(f"{directory}/race-{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                wins.append(directory)
            except FileExistsError:
                pass

        threads = [threading.Thread(target=create, args=(d,)) for d in (".", other, ".", other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wins) == 1, wins


@case
def what_was_closed_there_is_seen_by_an_open_here():
    other = os.path.join(B, os.path.basename(os.getcwd()))
    for i in range(1000):
        here, there = (".", other) if i % 2 else (other, ".")
        data = b"%d " % i * (1 + i % 50)
        put(f"{here}/f", data)
        assert get(f"{there}/f") == data, i
        assert os.stat(f"{there}/f").st_size == len(data)


@case
def a_reader_that_never_asks_for_the_size_sees_it_change():
    """cat, cp and web servers read by sendfile(2), for which the kernel goes by the size it knows."""
    other = os.path.join(B, os.path.basename(os.getcwd()))

    def spliced(path):
        fd = os.open(path, os.O_RDONLY)
        reader, writer = os.pipe()
        count = os.splice(fd, writer, 1000)
        data = os.read(reader, 1000) if count else b""
        for each in (fd, reader, writer):
            os.close(each)
        return data

    for i in range(50):
        put("f", b"one ")
        assert os.stat("f").st_size == 4
        put(f"{other}/f", b"two " * i, os.O_WRONLY | os.O_APPEND)
        assert spliced("f") == b"one " + b"two " * i, i
        os.truncate(f"{other}/f", 2)
        assert spliced("f") == b"on", i
    # Opened past any name, the kernel cannot be sent to look the name up once more: it must open all the same.
    fd = os.open("f", os.O_RDONLY)
    for i in range(20):
        put(f"{other}/f", b"more", os.O_WRONLY | os.O_APPEND)
        os.close(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY))
    os.close(fd)
    # No open fails while another mount keeps changing the file.
    stop = threading.Event()

    def change():
        while not stop.is_set():
            put(f"{other}/f", b"and more", os.O_WRONLY | os.O_APPEND)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for i in range(300):
            os.close(os.open("f", os.O_RDONLY))
    finally:
        stop.set()
        thread.join()


@case
def file_system_figures():
    st = os.statvfs(".")
    assert st.f_blocks > st.f_bavail > 0 and st.f_files > 0 and st.f_namemax == 255


def main():
    failed = 0
    for function in CASES:
        directory = os.path.join(A, function.__name__)
        os.mkdir(directory)
        os.chdir(directory)
        try:
            function()
            print(f"  ok      {function.__name__}", flush=True)
        except Exception as error:  # noqa: BLE001
            import traceback
            failed += 1
            print(f"  FAILED  {function.__name__}: {error!r} at line {traceback.extract_tb(error.__traceback__)[-1].lineno}",
                  flush=True)
        os.chdir("/")
    sys.exit(1 if failed else 0)


main()
