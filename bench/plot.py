#!/usr/bin/python3
"""plot.py SAMPLES FOLDER: one SVG for each part of the benchmark, from its single samples.

Each series is a box (quartiles) with whiskers at the 1st and 99th percentile, and
its median at the right; few samples are dots too.
"""
import collections
import csv
import os
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

SCALES = {
    "ns": [(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns")],
    "bytes": [(1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes")],
    "bytes_per_s": [(1 << 20, "MiB/s")],
    "per_s": [(1e3, "thousand a second")],
    "count": [(1, "count")],
}
OURS, OTHER = "#2a6f97", "#adb5bd"
OTHERS = ("stock", "gen_tcp", "httpc", "port_please", "os_cmd", "fork", "serde_json", "idle")
FEW = 30


def read(path):
    """{(part, unit): {series: [sample]}}, in the order of the file."""
    parts = collections.OrderedDict()
    with open(path, newline="") as file:
        for part, series, _repetition, unit, sample in csv.reader(file):
            group = parts.setdefault((part, unit), collections.OrderedDict())
            group.setdefault(series, []).append(float(sample))
    return parts


def scale_of(unit, groups):
    """The largest unit in which the smallest median is no fraction."""
    smallest = min(sorted(group)[len(group) // 2] for group in groups)
    scales = SCALES[unit]
    return next((one for one in scales if smallest >= one[0]), scales[-1])


def text(figure, unit):
    """As bench_report.erl writes it."""
    factor, name = next((one for one in SCALES[unit] if figure >= one[0]), SCALES[unit][-1])
    return f"{figure / factor:.3g} {name}" if figure / factor < 100 else f"{figure / factor:.0f} {name}"


def is_other(series):
    return any(word in series for word in OTHERS)


def draw(axes, unit, groups):
    factor, name = scale_of(unit, groups.values())
    scaled = [[sample / factor for sample in group] for group in groups.values()]
    boxes = axes.boxplot(
        scaled, vert=False, whis=(1, 99), showfliers=False, patch_artist=True, widths=0.6,
        medianprops={"color": "black"},
    )
    for at, (series, box, samples) in enumerate(zip(groups, boxes["boxes"], scaled), start=1):
        colour = OTHER if is_other(series) else OURS
        box.set(facecolor=colour, alpha=0.8)
        if len(samples) <= FEW:
            axes.plot(samples, [at] * len(samples), "o", color=colour, markersize=4, alpha=0.6)
        middle = text(sorted(samples)[len(samples) // 2] * factor, unit)
        axes.text(1.01, at, middle, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set_yticks(range(1, len(groups) + 1), [series.replace("_", " ") for series in groups])
    axes.set_ylim(len(groups) + 0.7, 0.3)
    highest, lowest = max(map(max, scaled)), min(map(min, scaled))
    if lowest > 0 and highest / lowest > 20:
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    axes.set_xlabel(name)
    axes.grid(axis="x", alpha=0.3)


def main(samples, folder):
    parts = read(samples)
    # The same figures give the same file.
    plt.rcParams["svg.hashsalt"] = "epmd_docker"
    for part in collections.OrderedDict((part, None) for part, _ in parts):
        units = [(unit, groups) for (one, unit), groups in parts.items() if one == part]
        heights = [len(groups) + 1.5 for _, groups in units]
        figure, all_axes = plt.subplots(
            len(units), 1, figsize=(8, 0.45 * sum(heights) + 0.5), squeeze=False,
            gridspec_kw={"height_ratios": heights}, constrained_layout=True,
        )
        for axes, (unit, groups) in zip(all_axes[:, 0], units):
            draw(axes, unit, groups)
        figure.suptitle(part.replace("_", " "))
        path = os.path.join(folder, f"{part}.svg")
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
        print(f"written: {path}")


main(*sys.argv[1:])
