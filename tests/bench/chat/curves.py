#!/usr/bin/env python3
"""What a message, a delivery and a page of history cost as rooms, members and
history grow: a picture (SVG) of what bench.py and history.py measured.

    make bench-curves
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from report import OURS, median, process, stack

PLOT = """
set terminal svg size 960,360 dynamic font "sans-serif,12" \\
    background rgb "white"
set output "{out}"
set multiplot layout 1,3
set logscale x
set format x "%.0s%c"
set yrange [0:*]
set key below maxrows 2
set grid ytics linecolor rgb "#dddddd"
set border 3
set tics nomirror
"""
PANEL = """
set title "{title}"
set xlabel "{x}"
set ylabel "µs"
plot {lines}
"""
COLOURS = {"writeen": "#1a5fb4", "writeen-mongo": "#26a269"}
STORES = {"writeen": "SQLite", "writeen-mongo": "MongoDB"}


def values(rows, prefix, us, whole):
    """{(peer, what): [(size, µs)]} of the scenarios <prefix>-<size>."""
    out, by = {}, {}
    for r in rows:
        name, _, size = r["scenario"].rpartition("-")
        if name == prefix:
            by.setdefault((r["peer"], int(size)), []).append(r)
    for (peer, size), of in sorted(by.items()):
        out.setdefault((peer, "nginx"), []).append(
            (size, median(of, lambda r: process(r, "server", us))))
        if whole:
            out.setdefault((peer, "all"), []).append(
                (size, median(of, lambda r: stack(r, us))))
    return out


def pages(rows):
    out = {}
    for r in sorted(rows, key=lambda r: r["messages"]):
        us = {k: v for k, v in r["us"].items() if k != "loadgen"}
        out.setdefault((r["peer"], "nginx"), []).append(
            (r["messages"], us["server"]))
        out.setdefault((r["peer"], "all"), []).append(
            (r["messages"], sum(v for v in us.values() if v)))
    return out


def panel(number, title, x, lines):
    blocks, plots = [], []
    for n, ((peer, what), points) in enumerate(sorted(lines.items())):
        name = f"$d{number}_{n}"
        blocks.append(f"{name} << E\n" + "\n".join(
            f"{a} {b}" for a, b in points) + "\nE\n")
        dash = 1 if what == "all" else 2
        plots.append(f'{name} with linespoints pointtype 7 pointsize 0.5 '
                     f'linewidth 2 dashtype {dash} linecolor rgb '
                     f'"{COLOURS[peer]}" title "{STORES[peer]}, {what}"')
    return "".join(blocks) + PANEL.format(title=title, x=x,
                                          lines=", ".join(plots))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--chat", type=Path, required=True, help="bench.py's --out")
    p.add_argument("--history", type=Path, required=True,
                   help="history.py's --out")
    p.add_argument("--picture", type=Path, required=True)
    args = p.parse_args()

    chat, history = ([json.loads(line) for line in f.open(encoding="ascii")]
                     for f in (args.chat, args.history))
    chat = [r for r in chat if r["peer"] in OURS]
    plot = PLOT.format(out=args.picture)
    plot += panel(1, "CPU of a message, 2,000/s", "rooms of two",
                  values(chat, "curve", "us_per_msg", True))
    plot += panel(2, "CPU of a delivery, 20,000/s", "members of one room",
                  values(chat, "members", "us_per_delivery", True))
    plot += panel(3, "CPU of a page of 50", "messages in the room",
                  pages(history))
    subprocess.run(["gnuplot"], input=plot, text=True, check=True)


if __name__ == "__main__":
    sys.exit(main())
