#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What processes and their descendants take.

usage: sample.py memory PID…     the most that was seen until its standard input ends: "RSS_MIB PSS_MIB" (PSS counts a page
                                 that several share once)
       sample.py cpu PID…        processor time until now, in seconds
"""
import os
import select
import sys

TICK = os.sysconf("SC_CLK_TCK")


def stat(pid):
    """The fields after the name, which may hold anything."""
    return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()


def family(pids):
    children = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            children.setdefault(stat(pid)[1], []).append(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass
    found = list(pids)
    for pid in found:
        found += children.get(pid, [])
    return found


def memory(pid):
    rss = pss = 0
    try:
        for line in open(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Rss:"):
                rss = int(line.split()[1])
            elif line.startswith("Pss:"):
                pss = int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return rss, pss


def cpu(pid):
    try:
        return sum(map(int, stat(pid)[11:13]))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def main():
    what, pids = sys.argv[1], sys.argv[2:]
    if what == "cpu":
        print(sum(map(cpu, family(pids))) / TICK)
    else:
        most = [0, 0]
        while True:
            now = [memory(pid) for pid in family(pids)]
            most = [max(old, sum(one[i] for one in now)) for i, old in enumerate(most)]
            if select.select([0], [], [], 0.1)[0]:
                break
        print(f"{most[0] / 1024:.1f} {most[1] / 1024:.1f}")


main()
