#!/usr/bin/env python3
"""Runs the sweeps of docs/studies and writes their tables and plots again: `make studies`.

    tools/studies.py PROGRAM [NAME...]      PROGRAM is `accllm`; without names, all that need no other files

Each docs/studies/NAME.toml is a sweep; its page NAME.md keeps the words, and gets the table between the marks and the plot
NAME.svg. Needs nothing but Python.
"""

import csv
import re
import subprocess
import sys
from pathlib import Path

from pictures import BLUE, INK, LINE, ROOT, SOFT, Svg

FOLDER = ROOT / "docs/studies"
WORK = ROOT / "build/studies"

def best_of_each(*keys):
    """Of the points that are equal in these, the one that fits and is fastest, at the fewest joules."""
    def pick(all_points):
        best = {}
        for p in all_points:
            if p["status"] == "ok" and p["fits"] == "1":
                order = (-float(p["decode.tokens_per_s"]), -float(p["prefill.tokens_per_s"]), float(p["decode.joules_per_token"]))
                best.setdefault(tuple(p[k] for k in keys), []).append((order, p))
        return [min(points, key=lambda one: one[0])[1] for points in best.values()]
    return pick


# For each study: columns of the table (heading, metric or axis, digits), what the plot shows: x, y, one colour each, and
# which points the table has, if not all.
STUDIES = {
    "engine": (
        [("channels", "channels", 0), ("lanes", "lanes", 0), ("vec", "vec", 0), ("decode, tokens/s", "decode.tokens_per_s", 1),
         ("prefill, tokens/s", "prefill.tokens_per_s", 0), ("DSP, % of the card", "dsp_percent", 0), ("LUT, %", "lut_percent", 0),
         ("decode, J a token", "decode.joules_per_token", 3), ("fits", "fits", 0)],
        ("dsp_percent", "prefill.tokens_per_s", "channels"),
    ),
    "cards": (
        [("card", "card", 0), ("model", "shape", 0), ("channels", "channels", 0), ("decode, tokens/s", "decode.tokens_per_s", 1),
         ("W", "decode.watts", 0), ("J a token", "decode.joules_per_token", 3), ("fits", "fits", 0)],
        ("decode.joules_per_token", "decode.tokens_per_s", "card"),
    ),
    "context": (
        [("window", "window", 0), ("tokens before", "context", 0), ("tokens/s", "decode.tokens_per_s", 1),
         ("J a token", "decode.joules_per_token", 3)],
        ("context", "decode.tokens_per_s", "window"),
    ),
    "batch": (
        [("sequences", "batch", 0), ("tokens before", "context", 0), ("tokens/s", "decode.tokens_per_s", 1),
         ("ms a step", "decode.ms", 2), ("W", "decode.watts", 0), ("J a token", "decode.joules_per_token", 3)],
        ("batch", "decode.tokens_per_s", "context"),
    ),
    "formats": (
        [("format", "format", 0), ("bits a weight", "decode.bits_per_weight", 2), ("tokens/s", "decode.tokens_per_s", 1),
         ("J a token", "decode.joules_per_token", 3)],
        ("decode.bits_per_weight", "decode.tokens_per_s", "format"),
    ),
    "tuned": (
        [("card", "card", 0), ("model", "shape", 0), ("channels", "channels", 0), ("lanes", "lanes", 0), ("vec", "vec", 0),
         ("FIFO", "fifo", 0), ("link", "link", 0), ("decode, tokens/s", "decode.tokens_per_s", 1),
         ("prefill, tokens/s", "prefill.tokens_per_s", 0), ("W", "decode.watts", 0), ("LUT, %", "lut_percent", 0),
         ("DSP, %", "dsp_percent", 0), ("BRAM, %", "bram_percent", 0), ("URAM, %", "uram_percent", 0)],
        ("decode.joules_per_token", "decode.tokens_per_s", "card"),
        best_of_each("card", "shape"),
    ),
    "quality": (
        [("format", "format", 0), ("bits a weight", "decode.bits_per_weight", 2), ("window", "window", 0),
         ("tokens/s", "decode.tokens_per_s", 0), ("perplexity", "decode.perplexity", 2)],
        ("decode.tokens_per_s", "decode.perplexity", "format"),
    ),
    "smollm2": (
        [("format", "format", 0), ("bits a weight", "decode.bits_per_weight", 2), ("window", "window", 0),
         ("tokens/s", "decode.tokens_per_s", 0), ("J a token", "decode.joules_per_token", 4), ("perplexity", "decode.perplexity", 2)],
        ("decode.tokens_per_s", "decode.perplexity", "format"),
    ),
}
# Studies whose front runs on the RTL too (minutes a point). Most of the others would build an engine for each point.
CONFIRMED = ["batch"]
# What follows the name of a metric that the RTL gave.
SIMULATED = " simulated"
SPEED = "decode.tokens_per_s"
# Studies of a checkpoint and texts that are not in the repository.
APART = ["smollm2"]
COLOURS = ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0f172a", "#db2777"]


def points(program, name):
    """The points of a study, `{column: text}`; units and labels are taken off the headings."""
    out = WORK / name
    confirm = "front" if name in CONFIRMED else "none"
    command = [program, "sweep", str(FOLDER / f"{name}.toml"), "-o", str(out), "--confirm", confirm]
    WORK.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, check=True, cwd=ROOT)
    with open(out / "points.csv", newline="") as file:
        rows = list(csv.reader(file))
    heads = [head.split(" [")[0] + (SIMULATED if head.endswith("simulated]") else "") for head in rows[0]]
    return [dict(zip(heads, row)) for row in rows[1:]]


def shown(text, digits):
    try:
        return f"{float(text):,.{digits}f}"
    except ValueError:
        words = text.strip("{}").replace('"', "").replace(" = ", " ")
        return formats(words) or "-"


def formats(words):
    """`down:w4,gate:w2s,...` as the format of most layers, and the layers that have another."""
    each = [pair.split(":") for pair in words.split(",")]
    if len(each) < 7 or any(len(pair) != 2 for pair in each):
        return words
    kinds = [kind for _, kind in each]
    most = max(sorted(set(kinds)), key=kinds.count)
    return ", ".join([most, *(f"{linear} {kind}" for linear, kind in each if kind != most)])


def error(point):
    """How far the estimated speed is from that of the RTL."""
    rtl = point.get(SPEED + SIMULATED)
    return f"{100 * (float(point[SPEED]) / float(rtl) - 1):+.2f}%" if rtl else ""


def table(all_points, columns):
    confirmed = any(p.get(SPEED + SIMULATED) for p in all_points)
    heads = [head for head, _, _ in columns] + (["tokens/s on the RTL", "error"] if confirmed else [])
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    digits = next((n for _, key, n in columns if key == SPEED), 1)
    for p in all_points:
        if p["status"] == "ok":
            cells = [{"1": "yes", "0": "no"}.get(p[key], "-") if key == "fits" else shown(p.get(key, ""), n)
                     for _, key, n in columns]
            if confirmed:
                rtl = p.get(SPEED + SIMULATED)
                cells += [shown(rtl, digits) if rtl else "", error(p)]
            lines.append("| " + " | ".join(cells) + " |")
    left = [p for p in all_points if p["status"] != "ok"]
    if left:
        lines += ["", f"{len(left)} of {len(all_points)} points are against a rule and have no figures."]
    return "\n".join(lines)


def plot(all_points, name, x, y, colour):
    good = [p for p in all_points if p["status"] == "ok" and p.get(x) and p.get(y)]
    xs, ys = [float(p[x]) for p in good], [float(p[y]) for p in good]
    svg = Svg(640, 360, f"{name}: {y} by {x}")
    (left, top, right, bottom) = (70, 20, 480, 310)
    high = max(ys) * 1.08
    low_x, high_x = min(xs), max(xs) + (max(xs) == min(xs))
    at = lambda a, b: (left + 15 + (right - left - 30) * (a - low_x) / (high_x - low_x), bottom - (bottom - top) * b / high)
    svg.line([(left, top), (left, bottom), (right, bottom)], LINE)
    for part in (0, 0.5, 1):
        svg.text(left - 6, bottom - (bottom - top) * part + 4, f"{high * part:,.0f}", "end", 11)
        value = low_x + (high_x - low_x) * part
        svg.text(left + 15 + (right - left - 30) * part, bottom + 16, f"{value:,.3g}", "middle", 11)
    svg.text((left + right) / 2, bottom + 36, x, "middle", 12, INK)
    svg.text(left, top - 6, y, "start", 12, INK)
    kinds = list(dict.fromkeys(p[colour] for p in good))
    for p, a, b in zip(good, xs, ys):
        cx, cy = at(a, b)
        tint = COLOURS[kinds.index(p[colour]) % len(COLOURS)]
        svg.parts.append(f"<circle cx='{cx:.1f}' cy='{cy:.1f}' r='5' fill='{tint}' fill-opacity='0.75'/>")
    for i, kind in enumerate(kinds):
        svg.parts.append(f"<circle cx='{right + 20}' cy='{top + 20 * i + 6}' r='5' fill='{COLOURS[i % len(COLOURS)]}'/>")
        svg.text(right + 32, top + 20 * i + 10, f"{colour} {shown(kind, 0)}", "start", 12, SOFT)
    return svg


def main():
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(STUDIES):
        sys.exit(__doc__)
    for name in sys.argv[2:] or [name for name in STUDIES if name not in APART]:
        columns, (x, y, colour), *pick = STUDIES[name]
        found = points(sys.argv[1], name)
        rows = pick[0](found) if pick else found
        page = FOLDER / f"{name}.md"
        text = page.read_text()
        body = f"<!-- table -->\n{table(rows, columns)}\n<!-- end -->"
        new, count = re.subn(r"<!-- table -->.*?<!-- end -->", lambda _: body, text, flags=re.S)
        if count != 1:
            sys.exit(f"{page}: expected one table between its marks")
        page.write_text(new)
        (FOLDER / f"{name}.svg").write_text(plot(found, name, x, y, colour).render("make studies"))
        print(f"{page.relative_to(ROOT)}: {len(found)} points")


if __name__ == "__main__":
    main()
