# SPDX-License-Identifier: Apache-2.0
"""Files that the kernel reads itself, while the daemon of their mount is killed: MOUNT, EXPORT, the keeper's pid, rounds."""
import mmap
import os
import random
import signal
import subprocess
import sys
import time

MOUNT, EXPORT, KEEPER, ROUNDS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
COUNT, SIZE = 60, 200_000
order = random.Random(5)
data = {f"f{i}": random.Random(i).randbytes(SIZE) for i in range(COUNT)}


def daemon():
    pids = subprocess.run(["pgrep", "-P", str(KEEPER)], capture_output=True, text=True).stdout.split()
    return int(pids[0]) if pids else 0


def check(name, fd):
    at = order.randrange(SIZE - 1000)
    assert os.pread(fd, 1000, at) == data[name][at:at + 1000], name


def get(path):
    with open(path, "rb") as file:
        return file.read()


for name, content in data.items():
    with open(f"{EXPORT}/{name}", "wb") as file:
        file.write(content)
time.sleep(3.2)
for _ in range(2):
    for name, content in data.items():
        assert get(f"{MOUNT}/{name}") == content
held = {name: os.open(f"{MOUNT}/{name}", os.O_RDONLY) for name in list(data)[:30]}
maps = {name: mmap.mmap(fd, SIZE, prot=mmap.PROT_READ) for name, fd in list(held.items())[:10]}
young = {}
longest = 0.0
for round_ in range(ROUNDS):
    os.kill(KEEPER, signal.SIGSTOP)  # nobody follows for a while
    victim = daemon()
    os.kill(victim, signal.SIGKILL)
    time.sleep(0.05)
    for name, fd in held.items():  # without any daemon
        check(name, fd)
    for name, area in maps.items():
        assert area[:] == data[name]
    begun = time.monotonic()
    os.kill(KEEPER, signal.SIGCONT)
    name = order.choice(list(held))
    again = os.open(f"{MOUNT}/{name}", os.O_RDONLY)  # beside opens of the former daemon's
    longest = max(longest, time.monotonic() - begun)
    check(name, again)
    os.close(again)
    for name in order.sample(list(data), 20):
        assert get(f"{MOUNT}/{name}") == data[name], name
    name = order.choice(list(held))
    with open(f"{MOUNT}/{name}", "r+b" if round_ % 2 else "wb") as file:  # a new inode, or written beside its readers
        data[name] = random.Random(1000 + round_).randbytes(SIZE)
        file.write(data[name])
    assert get(f"{MOUNT}/{name}") == data[name] == get(f"{EXPORT}/{name}")
    os.close(held.pop(name))
    if name in maps:
        maps.pop(name).close()
    young[name] = os.open(f"{MOUNT}/{name}", os.O_RDONLY)  # read by the daemon, for it may be growing
    for name, fd in young.items():
        check(name, fd)
    others = [name for name in data if name not in held and name not in young]
    if others:
        name = order.choice(others)
        held[name] = os.open(f"{MOUNT}/{name}", os.O_RDONLY)
for fd in [*held.values(), *young.values()]:
    os.close(fd)
for name in data:
    assert get(f"{MOUNT}/{name}") == data[name] == get(f"{EXPORT}/{name}"), name
print(f"  {ROUNDS} kills; the longest wait for the successor's first open: {longest * 1000:.0f} ms")
