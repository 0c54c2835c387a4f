# SPDX-License-Identifier: Apache-2.0
"""Readers of a cached mount while its disk, or its origin, has a bad day. A is the mount, E the export, C the cache's file system.

    make E                   the files: many small ones and some large ones
    twice A E C KEEP         reads all of them twice, eight threads; C's free space is watched: never below half of KEEP per cent
    load A E STOP none|errors   eight threads read until STOP is there, each file opened anew; errors: EIO may be seen, for a while
    holders A E STOP FIRST   keeps files open and mapped, and reads them until STOP is there; prints how many reads failed
    break C                  the file system goes: all that is asked of it is answered with EIO
    status A | errors A      what the mount says of its disk, of its volume
Every byte that is read is compared with the export's."""
import errno
import fcntl
import json
import os
import random
import struct
import sys
import threading
import time

SMALL, LARGE = 120, 6
SMALL_SIZE, LARGE_SIZE = 128 << 10, 30 << 20
PIECE = 1 << 20


def names():
    return [f"small{i}" for i in range(SMALL)] + [f"large{i}" for i in range(LARGE)]


def make(export):
    for number, name in enumerate(names()):
        size = LARGE_SIZE if name.startswith("large") else SMALL_SIZE - number * 997
        with open(f"{export}/{name}", "wb") as file:
            file.write(random.Random(number).randbytes(size))


def read_all(fd, size, at):
    """A read may end early where a disk ends; the next one tells."""
    data = b""
    while len(data) < size:
        more = os.pread(fd, size - len(data), at + len(data))
        if not more:
            break
        data += more
    return data


def compare(mount, export, name):
    """All of a file, opened anew; any error of the mount is raised."""
    with open(f"{mount}/{name}", "rb", buffering=0) as file, open(f"{export}/{name}", "rb", buffering=0) as want:
        at = 0
        while True:
            expected = os.pread(want.fileno(), PIECE, at)
            seen = read_all(file.fileno(), PIECE, at)
            assert seen == expected, f"{name} differs in [{at}, {at + PIECE}): {len(seen)} bytes of {len(expected)}"
            if not expected:
                return at
            at += len(expected)


def parallel(count, run):
    failed = []

    def guarded(seed):
        try:
            run(seed)
        except (OSError, AssertionError) as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(seed,)) for seed in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed[:3]


class Watch(threading.Thread):
    """The least that was free on the cache's file system, in per cent."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.least, self.ended = path, 100.0, threading.Event()

    def run(self):
        while not self.ended.wait(0.01):
            disk = os.statvfs(self.path)
            self.least = min(self.least, 100.0 * disk.f_bavail / disk.f_blocks)


def twice(mount, export, disk, keep):
    watch = Watch(disk)
    watch.start()

    def run(seed):
        order = names() * 2
        random.Random(seed).shuffle(order)
        for name in order[seed::4]:  # each file by four of eight, twice on average
            compare(mount, export, name)

    for _ in range(2):
        parallel(8, run)
    watch.ended.set()
    print(f"  least free: {watch.least:.1f} %, {max(0.0, int(keep) - watch.least):.1f} points below the {keep} % to be kept")
    assert watch.least >= int(keep) / 2, watch.least


def load(mount, export, stop, may):
    done, again = [0] * 8, [0] * 8

    def run(seed):
        order = random.Random(seed)
        while not os.path.exists(stop):
            name = order.choice(names())
            until = None
            while True:
                try:
                    done[seed] += compare(mount, export, name)
                    break
                except OSError as error:  # the kernel read the disk, and the daemon has not seen yet that it is gone
                    assert may == "errors" and error.errno == errno.EIO, (name, error)
                    again[seed] += 1
                    until = until or time.monotonic() + 20
                    assert time.monotonic() < until, f"{name} cannot be read when it is opened again and again"
                    time.sleep(0.2)

    parallel(8, run)
    print(f"  {sum(done) >> 20} MiB read, {sum(again)} opens met EIO and were tried again")
    assert min(done) > 0


def holders(mount, export, stop, first):
    """Who had files open before: errors are counted here, and wrong bytes never allowed."""
    files = [open(f"{mount}/small{i}", "rb", buffering=0) for i in range(int(first), int(first) + 20)]
    wants = [open(f"{export}/small{i}", "rb").read() for i in range(int(first), int(first) + 20)]
    reads = errors = 0
    while not os.path.exists(stop):
        for file, want in zip(files, wants):
            try:
                seen = read_all(file.fileno(), len(want), 0)
                assert seen == want, f"{file.name} differs"
                reads += 1
            except OSError as error:
                errors += 1
                assert error.errno == errno.EIO, error
        time.sleep(0.02)
    print(f"  open files: {reads} reads, {errors} errors", flush=True)
    for i in range(int(first), int(first) + 20):  # opened anew beside the old descriptors
        compare(mount, export, f"small{i}")


def broken(path):
    """EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN, without writing the journal out."""
    fd = os.open(path, os.O_RDONLY)
    fcntl.ioctl(fd, 0x8004587D, struct.pack("I", 2))
    os.close(fd)


def ask(mount):
    return json.loads(os.getxattr(mount, "stowage.cache.status"))


def status(mount):
    disk = ask(mount).get("disk", {})
    print(json.dumps({"sick": disk.get("sick"), "reason": disk.get("reason"), "free": disk.get("free_bytes")}))


def errors(mount):
    print(ask(mount).get("errors", -1))


COMMANDS = {"make": make, "twice": twice, "load": load, "holders": holders, "break": broken, "status": status,
            "errors": errors}
COMMANDS[sys.argv[1]](*sys.argv[2:])
