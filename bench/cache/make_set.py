#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The files that every side of bench/cache.sh reads.

usage: make_set.py DIR MIB SMALL TREE
  DIR/big                   MIB MiB
  DIR/held                  64 MiB
  DIR/small/NNNNN           SMALL files of 128 KiB
  DIR/tree/NN/.../NNN.EXT   TREE files as in a source tree: 1,000 below each NN, a median of 4 KiB and a mean of 9
"""
import os
import random
import sys

MIB = 1 << 20


def fill(path, size):
    with open(path, "wb", buffering=0) as f:
        while size > 0:
            size -= f.write(os.urandom(min(size, MIB)))


def main():
    base, mib, small, tree = sys.argv[1], *map(int, sys.argv[2:5])
    rng = random.Random(1)
    for name in ("small", "tree"):
        os.makedirs(os.path.join(base, name))
    fill(os.path.join(base, "big"), mib * MIB)
    fill(os.path.join(base, "held"), 64 * MIB)
    for i in range(small):
        fill(os.path.join(base, "small", f"{i:05}"), 128 << 10)
    made = set()
    text = os.urandom(MIB)
    for i in range(tree):
        top, rest = divmod(i, 1000)
        path = os.path.join(base, "tree", f"{top:02}", f"module-{rest // 100}", f"part-{rest // 20 % 5}")
        if path not in made:
            os.makedirs(path)
            made.add(path)
        size = min(int(rng.lognormvariate(8.3, 1.3)), MIB)
        with open(os.path.join(path, f"{rest:03}.{rng.choice('ch')}"), "wb", buffering=0) as f:
            f.write(text[:size])


main()
