#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that work on a mount while its daemon is killed or replaced, each against a model of what must be there.

usage: cachefs_keeper.py MOUNT STOP_FILE    runs until STOP_FILE is there; exits 1 when anything was not as it must be
Every operation must give what it would give on a local file system: no error that the model does not expect, no name
missing or left over, no byte different. Prints what was done, and the longest time that one operation took.
"""
import ctypes
import errno
import multiprocessing
import os
import random
import sys
import time
import traceback

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_NOREPLACE = -100, 1


class Clock:
    """Counts operations and remembers the slowest."""

    def __init__(self):
        self.count, self.longest, self.what = 0, 0.0, ""

    def __call__(self, what, function, *args, **kwargs):
        start = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            took = time.monotonic() - start
            self.count += 1
            if took > self.longest:
                self.longest, self.what = took, what


def expect(want, what, function, *args):
    """Calls; `want` is 0 or the errno that must come."""
    try:
        result = function(*args)
    except OSError as error:
        if error.errno != want:
            raise AssertionError(f"{what}: {error}, expected {errno.errorcode.get(want, 'success')}") from error
        return None
    if want:
        raise AssertionError(f"{what}: success, expected {errno.errorcode[want]}")
    return result


def rename_noreplace(source, target):
    if LIBC.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), RENAME_NOREPLACE) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def create_exclusive(path, content):
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        os.write(fd, content)
    finally:
        os.close(fd)


class Names:
    """A directory of files, directories and symlinks; the model is name → [kind, content]."""

    def __init__(self, base, clock, seed):
        self.base, self.clock, self.random, self.model, self.step_number = base, clock, random.Random(seed), {}, 0
        os.mkdir(base)

    def path(self, name):
        return os.path.join(self.base, name)

    def call(self, want, what, function, *args):
        return expect(want, f"{what} {args}", lambda *a: self.clock(what, function, *a), *args)

    def make(self, name):
        there = name in self.model
        want = errno.EEXIST if there else 0
        kind = self.random.choice(["file", "dir", "link"])
        if kind == "file":
            content = b"%d" % self.random.randrange(10**9)
            self.call(want, "create", create_exclusive, self.path(name), content)
            made = ["file", content]
        elif kind == "dir":
            self.call(want, "mkdir", os.mkdir, self.path(name))
            made = ["dir"]
        else:
            self.call(want, "symlink", os.symlink, "nowhere", self.path(name))
            made = ["link", "nowhere"]
        if not there:
            self.model[name] = made

    def remove(self, name):
        kind = self.model.get(name, (None,))[0]
        if kind == "dir":
            self.call(0, "rmdir", os.rmdir, self.path(name))
        else:
            self.call(0 if kind else errno.ENOENT, "unlink", os.unlink, self.path(name))
        self.model.pop(name, None)

    def rename(self, name, other):
        source, target = self.model.get(name), self.model.get(other)
        want = 0
        if source is None:
            want = errno.ENOENT
        elif name != other and target is not None and (source[0] == "dir") != (target[0] == "dir"):
            want = errno.ENOTDIR if source[0] == "dir" else errno.EISDIR
        self.call(want, "rename", os.rename, self.path(name), self.path(other))
        if want == 0 and source is not target:  # two names of one file: nothing happens (POSIX)
            self.model[other] = self.model.pop(name)

    def rename_new(self, name, other):
        source = self.model.get(name)
        if source is None or source[0] == "dir":
            return
        want = errno.EEXIST if other in self.model else 0
        self.call(want, "rename without replacing", rename_noreplace, self.path(name), self.path(other))
        if want == 0:
            self.model[other] = self.model.pop(name)

    def link(self, name, other):
        if self.model.get(name, (None,))[0] != "file":
            return
        want = errno.EEXIST if other in self.model else 0
        self.call(want, "link", os.link, self.path(name), self.path(other))
        if want == 0:
            self.model[other] = self.model[name]

    def look(self):
        names = set(self.call(0, "list", os.listdir, self.base))
        assert names == set(self.model), f"{self.base}: {sorted(names ^ set(self.model))} differ"
        for name, what in self.model.items():
            if what[0] == "file":
                with open(self.path(name), "rb") as file:
                    content = self.clock("read", file.read)
                assert content == what[1], f"{name}: {content} instead of {what[1]}"

    def step(self):
        name, other = (f"n{self.random.randrange(12)}" for _ in range(2))
        action = self.random.choice(["make", "make", "remove", "rename", "rename_new", "link"])
        if action in ("make", "remove"):
            getattr(self, action)(name)
        else:
            getattr(self, action)(name, other)
        self.step_number += 1
        if self.step_number % 50 == 0:
            self.look()

    def end(self):
        self.look()


class Appender:
    """One file, written at its end by one descriptor, read through others; what is in it is known."""

    def __init__(self, base, clock, seed):
        self.path, self.clock, self.random, self.content = base, clock, random.Random(seed), bytearray()
        self.fd = os.open(base, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o644)

    def step(self):
        piece = bytes([self.random.randrange(256)]) * self.random.choice([1, 37, 4096, 70000, 300000])
        written = self.clock("append", os.write, self.fd, piece)
        self.content += piece[:written]
        choice = self.random.random()
        if choice < 0.1:
            self.clock("fsync", os.fsync, self.fd)
        elif choice < 0.2:
            self.check()
        elif choice < 0.25:
            os.close(self.fd)
            self.fd = os.open(self.path, os.O_APPEND | os.O_RDWR)
        if len(self.content) > 8 << 20:
            self.clock("truncate", os.ftruncate, self.fd, 0)
            self.content.clear()

    def check(self):
        assert os.fstat(self.fd).st_size == len(self.content), f"{self.path}: size"
        with open(self.path, "rb") as file:
            assert self.clock("read", file.read) == self.content, f"{self.path}: content"

    def end(self):
        os.close(self.fd)
        with open(self.path, "rb") as file:
            assert file.read() == self.content, f"{self.path}: content at the end"


class Unlinked:
    """Files that live on after their last name went, or was taken over by another."""

    def __init__(self, base, clock, seed):
        self.base, self.clock, self.random = base, clock, random.Random(seed)
        os.mkdir(base)

    def step(self):
        path, other = os.path.join(self.base, "file"), os.path.join(self.base, "other")
        content = os.urandom(self.random.choice([10, 5000, 200000]))
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
        os.write(fd, content[: len(content) // 2])
        if self.random.random() < 0.5:
            self.clock("unlink", os.unlink, path)
        else:
            create_exclusive(other, b"other")
            self.clock("replace", os.rename, other, path)
            os.unlink(path)
        os.write(fd, content[len(content) // 2 :])
        time.sleep(self.random.random() * 0.02)
        assert self.clock("read unlinked", os.pread, fd, len(content), 0) == content, "content of an unlinked file"
        os.close(fd)
        # The last close removes the hidden name in the background; a listing fetched just before may still tell it.
        left = [name for name in self.clock("list", os.listdir, self.base) if not name.startswith(".nfs")]
        assert left == [], f"left over: {left}"

    def end(self):
        os.rmdir(self.base)


class Trees:
    """Directories that are listed while their files are removed, as rm -r does it."""

    def __init__(self, base, clock, seed):
        self.base, self.clock, self.random, self.number = base, clock, random.Random(seed), 0
        os.mkdir(base)

    def step(self):
        directory = os.path.join(self.base, f"d{self.number}")
        self.number += 1
        os.mkdir(directory)
        names = {f"{'x' * self.random.randrange(60)}{i}" for i in range(self.random.choice([3, 300, 900]))}
        for name in names:
            self.clock("create", create_exclusive, os.path.join(directory, name), b"")
        seen = [entry.name for entry in os.scandir(directory)]
        assert sorted(seen) == sorted(names), f"listing: {len(seen)} names instead of {len(names)}"
        for entry in os.scandir(directory):
            self.clock("unlink", os.unlink, entry.path)
        self.clock("rmdir", os.rmdir, directory)

    def end(self):
        os.rmdir(self.base)


class Layer:
    """Files that are made and written at once, as fio lays them out: no write may be short."""

    def __init__(self, base, clock, seed):
        self.path, self.clock, self.random = base, clock, random.Random(seed)

    def step(self):
        size, count = self.random.choice([(128 << 10, 20), (8 << 20, 2)])
        block = bytes([self.random.randrange(256)]) * size
        fd = self.clock("create", os.open, self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
        if self.random.random() < 0.5:
            self.clock("extend", os.ftruncate, fd, count * len(block))
        for i in range(count):
            written = self.clock("write", os.write, fd, block)
            assert written == len(block), f"write {i}: {written} bytes of {len(block)}"
        os.close(fd)
        with open(self.path, "rb") as file:
            assert file.read() == block * count, "content of a new file"
        self.clock("unlink", os.unlink, self.path)

    def end(self):
        pass


class Reader:
    """A file that nobody changes, read in random places."""

    def __init__(self, base, clock, seed):
        self.clock, self.random, self.path = clock, random.Random(seed), base
        self.content = random.Random(seed).randbytes(24 << 20)
        with open(base, "wb") as file:
            file.write(self.content)
        self.fd = os.open(base, os.O_RDONLY)

    def step(self):
        choice = self.random.random()
        if choice < 0.02:  # from the server again
            os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        elif choice < 0.03:  # on a cached mount the kernel reads it by itself from the next open on
            os.close(self.fd)
            self.fd = self.clock("open", os.open, self.path, os.O_RDONLY)
        at, size = self.random.randrange(len(self.content)), self.random.choice([1, 4096, 1 << 20])
        assert self.clock("read", os.pread, self.fd, size, at) == self.content[at : at + size], f"{self.path}: content"

    def end(self):
        os.close(self.fd)


def work(kind, base, seed, stop, results):
    clock = Clock()
    try:
        worker = kind(base, clock, seed)
        while not os.path.exists(stop):
            worker.step()
        worker.end()
        results.put((kind.__name__, clock.count, clock.longest, clock.what, None))
    except BaseException:  # whatever it was, the test has failed
        results.put((kind.__name__, clock.count, clock.longest, clock.what, traceback.format_exc()))


def main():
    mount, stop = sys.argv[1:3]
    results = multiprocessing.Queue()
    kinds = [Names, Names, Appender, Unlinked, Trees, Layer, Layer, Reader]
    run = f"{os.getpid()}"
    workers = [
        multiprocessing.Process(target=work, args=(kind, os.path.join(mount, f"{kind.__name__}-{run}-{i}"), i, stop, results))
        for i, kind in enumerate(kinds)
    ]
    for worker in workers:
        worker.start()
    failed = False
    for _ in workers:
        name, count, longest, what, failure = results.get(timeout=900)
        print(f"  {name}: {count} operations, the longest {longest * 1000:.0f} ms ({what})")
        if failure:
            print(failure)
            failed = True
            open(stop, "w").close()
    for worker in workers:
        worker.join()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
