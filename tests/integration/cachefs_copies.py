# SPDX-License-Identifier: Apache-2.0
"""What a cached mount promises beside POSIX. A and B are two nodes' mounts, each with a cache of its own; E is the export itself.

The mounts have --cache-settle 2, so a file that was left alone for three seconds is copied, and handed to the kernel."""
import mmap
import os
import random
import sys
import threading
import time

A, B, E = sys.argv[1:4]
ROUNDS = int(os.environ.get("CLOSE_TO_OPEN_ROUNDS", "1500"))
OTHERS = 12  # files that are checked after each change, beside the one that was changed
BY_KERNEL = os.environ.get("READ_BY") != "daemon"  # does the kernel read complete copies itself?
SETTLED = 3.2
CASES = []


def case(function):
    CASES.append(function)
    return function


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def get(path):
    with open(path, "rb") as file:
        return file.read()


def noise(size, seed):
    return random.Random(seed).randbytes(size)


def settled(*names, size=300_000):
    """Files that are old enough, read twice on A, so that A has them in full."""
    for number, name in enumerate(names):
        put(f"{E}/{name}", noise(size, number))
    time.sleep(SETTLED)
    for number, name in enumerate(names):
        for _ in range(2):
            assert get(f"{A}/{name}") == noise(size, number), name


@case
def what_another_node_wrote_is_seen_by_the_next_open():
    settled("other")
    held = open(f"{A}/other", "rb", buffering=0)
    assert held.read(10) == noise(300_000, 0)[:10]
    put(f"{B}/other", noise(200_000, 77))
    assert get(f"{A}/other") == noise(200_000, 77)
    held.seek(0)
    assert held.read(100) in (noise(300_000, 0)[:100], noise(200_000, 77)[:100])  # either version, no error
    held.close()
    assert get(f"{A}/other") == noise(200_000, 77)
    time.sleep(SETTLED)
    for _ in range(2):
        assert get(f"{A}/other") == noise(200_000, 77)


@case
def a_change_that_keeps_size_and_mtime_is_seen():
    settled("forged", size=4096)
    before = os.stat(f"{E}/forged")
    put(f"{E}/forged", noise(4096, 5))
    os.utime(f"{E}/forged", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert get(f"{A}/forged") == noise(4096, 5)


@case
def a_reader_sees_what_the_same_node_writes():
    settled("local")
    held = os.open(f"{A}/local", os.O_RDONLY)
    assert os.pread(held, 5, 1000) == noise(300_000, 0)[1000:1005]
    writer = os.open(f"{A}/local", os.O_WRONLY)
    os.pwrite(writer, b"HELLO", 1000)
    assert os.pread(held, 5, 1000) == b"HELLO"
    os.close(writer)
    assert os.pread(held, 5, 1000) == b"HELLO"
    want = bytearray(noise(300_000, 0))
    want[1000:1005] = b"HELLO"
    assert get(f"{A}/local") == want and get(f"{B}/local") == want and get(f"{E}/local") == want
    os.close(held)


@case
def a_reader_and_a_writer_that_reads():
    settled("both")
    held = os.open(f"{A}/both", os.O_RDONLY)
    os.pread(held, 5, 0)
    writer = os.open(f"{A}/both", os.O_RDWR)
    assert os.pread(writer, 5, 1000) == noise(300_000, 0)[1000:1005]
    with mmap.mmap(writer, 4096) as area:  # shared and writable: must reach the origin
        area[:6] = b"MAPPED"
        area.flush()
    os.pwrite(writer, b"WRITE", 9000)
    assert os.pread(writer, 5, 9000) == b"WRITE"
    os.close(writer)
    want = bytearray(noise(300_000, 0))
    want[:6], want[9000:9005] = b"MAPPED", b"WRITE"
    assert get(f"{E}/both") == want and get(f"{A}/both") == want and get(f"{B}/both") == want
    assert len(os.pread(held, 5, 1000)) == 5
    os.close(held)


@case
def appending_to_a_file_that_is_read():
    settled("log")
    held = os.open(f"{A}/log", os.O_RDONLY)
    os.pread(held, 5, 0)
    with open(f"{A}/log", "ab") as file:
        file.write(b"one more line")
    assert os.fstat(held).st_size == 300_013
    assert os.pread(held, 100, 300_000) == b"one more line"
    assert get(f"{A}/log")[300_000:] == b"one more line" == get(f"{E}/log")[300_000:]
    os.close(held)


@case
def mapped_readers_survive_truncation_and_replacement():
    settled("cut", "replaced")
    files = [open(f"{A}/{name}", "rb") for name in ("cut", "replaced")]
    areas = [mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) for file in files]
    assert areas[0][299_000:] == noise(300_000, 0)[299_000:]
    if BY_KERNEL:  # a mapping of a file's own pages ends with the file, on every file system
        os.truncate(f"{A}/cut", 10)
    put(f"{A}/new", b"new")
    os.rename(f"{A}/new", f"{A}/replaced")
    for number, area in enumerate(areas):  # SIGBUS would end the test
        assert area[299_000:] == noise(300_000, number)[299_000:]
    assert get(f"{A}/replaced") == b"new" and (not BY_KERNEL or get(f"{A}/cut") == noise(300_000, 0)[:10])
    assert get(f"{B}/replaced") == b"new"


@case
def removed_files_stay_readable_where_they_are_open():
    settled("gone", "gone-elsewhere")
    held = open(f"{A}/gone", "rb")
    os.unlink(f"{A}/gone")
    assert held.read() == noise(300_000, 0)
    assert not os.path.exists(f"{A}/gone") and not os.path.exists(f"{E}/gone")
    held.close()
    held = open(f"{A}/gone-elsewhere", "rb")
    os.unlink(f"{E}/gone-elsewhere")
    assert held.read() == noise(300_000, 1)  # from the copy: it is complete
    held.close()


@case
def many_readers_of_one_cold_file_agree():
    size = 40 << 20
    put(f"{E}/cold", noise(size, 3))
    time.sleep(SETTLED)
    want, bad = noise(size, 3), []

    def read(seed):
        order = random.Random(seed)
        fd = os.open(f"{A}/cold", os.O_RDONLY)
        for _ in range(300):
            at = order.randrange(size)
            n = order.randrange(1, 300_000)
            if os.pread(fd, n, at) != want[at:at + n]:
                bad.append(at)
        os.close(fd)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bad, bad[:3]
    assert get(f"{A}/cold") == want


@case
def a_file_that_changes_while_it_is_fetched_is_not_mixed():
    size = 8 << 20
    names = [f"moving{i}" for i in range(4)]
    for name in names:
        put(f"{E}/{name}", b"\0" * size)
    time.sleep(SETTLED)
    stop = threading.Event()

    def change():
        value = 0
        while not stop.is_set():
            value = (value + 1) % 256
            for name in names:  # whole blocks of one value, in place
                with open(f"{E}/{name}", "r+b") as file:
                    file.write(bytes([value]) * size)
            time.sleep(0.5)

    thread = threading.Thread(target=change)
    thread.start()
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        for name in names:
            get(f"{A}/{name}")
    stop.set()
    thread.join()
    for name in names:
        assert get(f"{A}/{name}") == get(f"{E}/{name}"), name
    time.sleep(SETTLED)
    for _ in range(2):
        for name in names:
            assert get(f"{A}/{name}") == get(f"{E}/{name}"), name


@case
def close_to_open_on_two_nodes():
    """One writes and closes, the other opens and reads: files of all ages, so that some are passed through when they change."""
    order = random.Random(11)
    names = [f"cto{i}" for i in range(400)]
    holds = {}
    for name in names:
        put(f"{A}/{name}", b"%020d" % 0)
    value = dict.fromkeys(names, 0)
    time.sleep(SETTLED)
    for round_ in range(1, ROUNDS + 1):
        name = names[min(order.randrange(len(names)), order.randrange(len(names)))]  # some often, some seldom
        writer, reader = order.choice(((A, B), (B, A), (A, A), (E, A), (E, B)))
        value[name] = round_
        if order.random() < 0.5:
            put(f"{writer}/{name}", b"%020d" % round_)
        else:
            put(f"{writer}/{name}.new", b"%020d" % round_)
            os.rename(f"{writer}/{name}.new", f"{writer}/{name}")
        seen = get(f"{reader}/{name}")
        assert seen == b"%020d" % round_, f"round {round_}: {name} written on {writer}, read on {reader}: {seen}"
        for other in order.choices(names, k=OTHERS):
            reader = order.choice((A, B))
            seen = get(f"{reader}/{other}")
            assert seen == b"%020d" % value[other], f"round {round_}: {reader}/{other} is {seen}, not {value[other]}"
        if order.random() < 0.2:  # somebody keeps it open, through the kernel when it is old
            if other in holds:
                os.close(holds.pop(other))
            elif len(holds) < 100:
                holds[other] = os.open(f"{A}/{other}", os.O_RDONLY)
                assert len(os.read(holds[other], 100)) == 20
    for fd in holds.values():
        os.close(fd)
    print(f"  {ROUNDS * (OTHERS + 1)} opens saw what was closed last")


for test in CASES:
    if len(sys.argv) > 4 and test.__name__ not in sys.argv[4:]:
        continue
    begun = time.monotonic()
    test()
    print(f"  {test.__name__}: {time.monotonic() - begun:.1f} s", flush=True)
