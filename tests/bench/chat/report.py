"""Results of the generator as Markdown: medians, and what was to be reached.
"""

import statistics

ORDER = ["floor", "nchan-mem", "nchan-nostore", "nchan-dist", "nchan-jwt",
         "centrifuge", "centrifuge-hist", "gohub", "gohub-set", "gohub-nodb",
         "writeen", "writeen-mongo", "writeen-mongo-alone", "writeen-w2"]
OURS = ("writeen", "writeen-mongo")

# What each ratio is of: scenario, value, ours, theirs, at most.
RATIOS = [
    *[(scenario, "delivery", ours, theirs, most)
      for scenario in ("fanout-20", "fanout-50") for ours in OURS
      for theirs, most in (("nchan-nostore", 0.8), ("centrifuge-hist", 0.55),
                           ("floor", 1.3))],
    *[("rooms-5k", "message", ours, theirs, most) for ours in OURS
      for theirs, most in (("nchan-nostore", 0.8),
                           ("centrifuge-hist", 0.45))],
    ("rooms-5k", "stack", "writeen", "gohub", 0.4),
    ("rooms-5k", "stack", "writeen-mongo", "gohub", 0.5),
    # the same mongod for both
    ("rooms-5k", "stack", "writeen-mongo", "gohub-set", 0.5),
    ("rooms-5k", "stack", "writeen-mongo-alone", "gohub", 0.5),
    *[("rooms-5k", "p99", ours, theirs, 1) for ours in OURS
      for theirs in ("nchan-nostore", "centrifuge-hist", "gohub")],
    *[("connect-5k", "connect", "writeen", theirs, most)
      for theirs, most in (("nchan-jwt", 0.7), ("centrifuge-hist", 0.33))],
]
# The same for figures that stand alone.
FIGURES = [
    *[("rooms-5k", "p99", ours, 1.5) for ours in OURS],
    *[("rooms-10k", "lacking", ours, 3) for ours in OURS],
    ("idle-10k", "memory", "writeen", 5),
    ("connect-5k", "connect", "writeen", 0.045),
]
NAMES = {
    "delivery": "server CPU, µs a delivery",
    "message": "server CPU, µs a message",
    "stack": "CPU of all processes, µs a message",
    "p99": "p99 from send to receive, ms",
    "connect": "server CPU, ms a connect",
    "memory": "PSS of the server, KiB a connection",
    "lacking": "of the rate not reached, %",
    "bytes": "bytes on the wire a delivery",
}


def process(row, name, key):
    return row["procs"].get(name, {}).get(key)


def stack(row, key):
    """The sum over all processes but the generator."""
    return sum(p[key] for n, p in row["procs"].items() if n != "loadgen")


def lacking(row):
    want = row["rate"] * row["conns"] / row["rooms"]
    return max(0, 100 * (1 - row["delivered_per_s"] / want))


VALUES = {
    "delivery": lambda r: process(r, "server", "us_per_delivery"),
    "message": lambda r: process(r, "server", "us_per_msg"),
    "stack": lambda r: stack(r, "us_per_msg"),
    "p99": lambda r: r["p99_us"] / 1000,
    "connect": lambda r: process(r, "server", "ms_per_connect"),
    "memory": lambda r: process(r, "server", "kib_per_conn"),
    "bytes": lambda r: r["bytes_in_per_delivery"],
    "lacking": lacking,
}


def median(rows, value):
    values = [v for v in map(value, rows) if v is not None]
    return statistics.median(values) if values else None


def show(value, digits=1):
    return "–" if value is None else f"{value:.{digits}f}"


def spread(rows, value):
    values = [value(r) for r in rows]
    middle = statistics.median(values)
    return 100 * (max(values) - min(values)) / middle if middle else 0


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |",
                      "| --- |" + " ---: |" * (len(head) - 1),
                      *["| " + " | ".join(r) + " |" for r in rows], ""])


def traffic(of, peers):
    """Messages: the table of one scenario."""
    per = "us_per_delivery" if of[peers[0]][0]["rooms"] == 1 else "us_per_msg"
    unit = "delivery" if per == "us_per_delivery" else "msg"
    out = []
    for name in peers:
        rows = of[name]
        full = sum(r["saturated"] for r in rows) * 2 > len(rows)
        lost = max(r["total_expected"] - r["total_delivered"] for r in rows)
        out.append([
            name + (" **(saturated)**" if full else ""),
            show(median(rows, lambda r: r["delivered_per_s"]), 0),
            show(median(rows, lambda r: r["p50_us"] / 1000), 2),
            show(median(rows, VALUES["p99"]), 2),
            *[show(median(rows, lambda r, n=n: process(r, n, per)))
              for n in ("server", "redis", "worker", "mongod")],
            show(median(rows, lambda r: stack(r, per))),
            show(median(rows, VALUES["bytes"]), 0),
            show(spread(rows, lambda r: process(r, "server", per)), 0),
            show(median(rows, lambda r: r["foreign_cpu_pct"]), 0), str(lost)])
    return table(["peer", "deliveries/s", "p50 ms", "p99 ms",
                  *[f"{n} µs/{unit}"
                    for n in ("server", "redis", "pool", "mongod", "all")],
                  "bytes/delivery", "spread %", "foreign %", "lost"], out)


def idle(of, peers):
    out = []
    for name in peers:
        rows = of[name]
        out.append([
            name,
            *[show(median(rows, lambda r, n=n: process(r, n, "kib_per_conn")),
                   2) for n in ("server", "redis", "worker")],
            *[show(median(rows, lambda r, k=k: process(r, "server", k)
                          / 1024)) for k in ("pss_base_kib", "pss_end_kib")],
            show(median(rows, lambda r: process(r, "server",
                                                "idle_cpu_pct")), 2),
            show(median(rows, lambda r: stack(r, "idle_cpu_pct")), 2),
            str(max(r["closed_by_server"] for r in rows))])
    return table(["peer", "server KiB/conn", "redis KiB/conn",
                  "pool KiB/conn", "server empty MiB", "server full MiB",
                  "server CPU %", "all CPU %", "closed"], out)


def connect(of, peers):
    out = []
    for name in peers:
        rows = of[name]
        out.append([
            name, show(median(rows, lambda r: r["connects_per_s"]), 0),
            show(median(rows, VALUES["connect"]), 3),
            show(median(rows, lambda r: stack(r, "ms_per_connect")), 3),
            show(spread(rows, VALUES["connect"]), 0),
            show(median(rows, lambda r: r["connect_foreign_cpu_pct"]), 0),
            str(max(r["connect_failed"] for r in rows))])
    return table(["peer", "connects/s", "server CPU ms", "all CPU ms",
                  "spread %", "foreign %", "failed"], out)


def aims(by):
    """What was to be reached, as far as it was measured."""
    out = []

    def row(scenario, what, is_now, value, most, digits):
        ok = "ok" if value <= most else f"**missed** ({value / most:.2f} x)"
        out.append([scenario, what, is_now, f"≤ {most:g}",
                    f"{value:.{digits}f}: {ok}"])

    for scenario, key, ours, theirs, most in RATIOS:
        a, b = (by.get((scenario, p)) for p in (ours, theirs))
        if a and b:
            a, b = median(a, VALUES[key]), median(b, VALUES[key])
            digits = 3 if key == "connect" else 2
            row(scenario, NAMES[key] + f", {ours} / {theirs}",
                f"{a:.{digits}f} / {b:.{digits}f}", a / b, most, 2)
    for scenario, key, ours, most in FIGURES:
        a = by.get((scenario, ours))
        if a:
            a = median(a, VALUES[key])
            digits = 3 if key == "connect" else 2
            row(scenario, f"{NAMES[key]}, {ours}", f"{a:.{digits}f}", a, most,
                digits)
    for ours in OURS:
        a, b = (by.get((s, ours)) for s in ("text-100-deflate", "text-100"))
        if a and b:
            for key, most in (("bytes", 0.5), ("delivery", 1.3)):
                x, y = median(a, VALUES[key]), median(b, VALUES[key])
                row("text-100", f"{NAMES[key]}, {ours} compressed / plain",
                    f"{x:.1f} / {y:.1f}", x / y, most, 2)
    return table(["scenario", "what", "measured", "to reach", "reached"],
                 out) if out else ""


def text(rows, machine, versions):
    by, scenarios = {}, []
    for r in rows:
        by.setdefault((r["scenario"], r["peer"]), []).append(r)
        if r["scenario"] not in scenarios:
            scenarios.append(r["scenario"])
    out = [f"Machine: {machine}.  "
           + ", ".join(f"{n} {v}" for n, v in versions.items()) + ".\n"]
    counts = sorted({len(v) for v in by.values()})
    out.append(f"Medians of {'–'.join(map(str, counts))} runs.\n")
    for scenario in scenarios:
        of = {p: by[scenario, p] for p in ORDER if (scenario, p) in by}
        first = next(iter(of.values()))[0]
        kind = (connect if scenario.startswith("connect")
                else idle if not first["rate"] else traffic)
        out.append(f"### {scenario}: {first['conns']} connections"
                   + ("" if kind is connect else
                      f", {first['rooms']} rooms of "
                      f"{first['conns'] // first['rooms']}")
                   + (f", {first['rate']:g} messages/s"
                      if first["rate"] else "") + "\n")
        out.append(kind(of, list(of)))
    reached = aims(by)
    if reached:
        out += ["### What was to be reached\n", reached]
    return "\n".join(out)
