#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lines "FIGURE UNIT BASE ROUND SIDE VALUE" of bench/cache.sh become figures: each side's median, and side to BASE.

usage: report.py FIGURES RESULTS     prints the figures of one section and appends them to RESULTS
       report.py --aims RESULTS      the figures that join several, and which aim was missed
A ratio is the median of the rounds' ratios. A unit "s" is a time: below 1 is faster than the base.
"""
import statistics
import sys

OURS = "stowage"
# joined figure: how, and of which others
JOINED = {
    "warm_seq_ratio": (min, [f"warm_seq_{io}_{page}_ratio" for io in ("buffered", "direct") for page in ("hot", "cold")]),
    "mmap_ratio": (min, ["mmap_hot_ratio", "mmap_cold_ratio"]),
    "small_files_per_s": (min, ["small_stowage_ttl", "small_stowage_immutable"]),
    "small_files_ratio": (min, ["small_ratio_stowage_ttl", "small_ratio_stowage_immutable"]),
}
AIMS = {
    "warm_seq_ratio": (">=", 0.97),
    "warm_rand_qd1_ratio": (">=", 0.95),
    "warm_rand_qd32_ratio": (">=", 0.95),
    "mmap_ratio": (">=", 0.98),
    "small_files_per_s": (">=", 20000),
    "small_files_ratio": (">=", 0.5),
    "tree_ratio": ("<=", 1.15),
    "cold_seq_10g_ratio": (">=", 0.90),  # the network is the limit, as in the field
    "cold_seq_loopback_ratio": (">=", 0.90),  # the processors are, which all share here
    "cold_small_ratio": (">=", 1.0),
    "epoch2_origin_bytes": ("<=", 0),
    "epoch_hit_ratio": (">=", 0.48),
    "volume_rss_mib": ("<=", 8),
    "node_rss_mib": ("<=", 256),
    "daemon_cpu": ("<=", 1),
    "crash_errors": ("<=", 0),
    "crash_stall_ms": ("<=", 1000),
    "upgrade_errors": ("<=", 0),
    "upgrade_stall_ms": ("<=", 200),
}


def shown(value):
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def section(path):
    """Yields (name, value, unit)."""
    figures, about = {}, {}
    for line in open(path):
        name, unit, base, round_, side, value = line.split()
        figures.setdefault(name, {}).setdefault(side, {})[round_] = float(value)
        about[name] = unit, base
    for name, sides in figures.items():
        unit, base = about[name]
        sides = dict(sorted(sides.items(), key=lambda item: (item[0] != base, not item[0].startswith(OURS), item[0])))
        for side, rounds in sides.items():
            yield (name if base == "-" else f"{name}_{side}"), statistics.median(rounds.values()), unit
        for side, rounds in sides.items():
            if base == "-" or side == base:
                continue
            ratios = [value / sides[base][r] for r, value in rounds.items() if r in sides[base]]
            if ratios:
                yield f"{name}_ratio" + ("" if side == OURS else f"_{side}"), statistics.median(ratios), "ratio"


def main():
    if sys.argv[1] != "--aims":
        with open(sys.argv[2], "a") as results:
            for name, value, unit in section(sys.argv[1]):
                print(f"cache.{name} {shown(value)} {unit}", flush=True)
                results.write(f"{name} {value} {unit}\n")
        return
    results = {name: (float(value), unit) for name, value, unit in map(str.split, open(sys.argv[2]))}
    for name, (join, parts) in JOINED.items():
        have = [results[p] for p in parts if p in results]
        if have:
            results[name] = join(v for v, _ in have), have[0][1]
            print(f"cache.{name} {shown(results[name][0])} {results[name][1]}")
    for name, (sign, aim) in AIMS.items():
        if name not in results:
            print(f"# {name}: not measured (aim {sign} {aim})")
            continue
        value = results[name][0]
        met = value >= aim if sign == ">=" else value <= aim
        print(f"# {name}: {'met' if met else 'MISSED'}, {shown(value)} (aim {sign} {aim})")


main()
