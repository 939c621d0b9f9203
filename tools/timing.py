#!/usr/bin/env python3
"""Holds the timing model against the RTL and writes the tables of docs/timing.md again: `make timing`.

    tools/timing.py PROGRAM [--random N] [--only TEXT] [--parts named,random]

PROGRAM is `accllm`. Whole steps of models on the named configurations, then N random configurations (default 60) with
random shapes, on which nothing was tuned. With --only, runs whose description holds TEXT are made and printed, and the page
stays as it is. Each new configuration is Verilated, a minute or more. Needs nothing but Python.
"""

import argparse
import json
import re
import subprocess
import sys

from pictures import ROOT

PAGE = ROOT / "docs/timing.md"
# Shape, configuration, layers, further options, phases. Two layers stand for all: layers differ only in where their
# weights lie.
DECODE = "0,128,512,2048"
NAMED = [
    ("llama2-7b", "u280", 2, [], ["--context", DECODE, "--batch", "2,4", "--prompt", "64,512"]),
    ("llama3-8b", "u280", 2, [], ["--context", DECODE, "--batch", "2", "--prompt", "64"]),
    ("smollm2-135m", "u280", 2, [], ["--context", DECODE, "--batch", "2,4", "--prompt", "64,512"]),
    ("smollm2-135m", "edge", 2, ["--block", "1"], ["--context", DECODE]),
    ("smollm2-135m", "edge", 2, ["--window", "500"], ["--batch", "2", "--prompt", "64"]),
    ("smollm2-135m", "tiny", 2, ["--window", "200"], ["--context", "0,128", "--batch", "2", "--prompt", "16"]),
]
# Random shapes on random configurations: decode, several sequences and a prompt.
RANDOM = ["--context", "0,40,300", "--prompt", "11"]
SEQUENCES = ["--batch", "2"]
SHAPES = 5


def check(program, shape, config, options):
    """The steps of one run of `timing-check`, or the reason why there is none."""
    command = [program, "timing-check", shape, "--config", config, "--probes", "0", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return None, done.stderr.strip().removeprefix("error: ")
    return json.loads(done.stdout)["steps"], None


def phase(step):
    return {
        "decode": lambda: f"decode after {step['context']:,}",
        "batch": lambda: f"{step['sequences']} sequences after {step['context']:,}",
        "prefill": lambda: f"prefill of {step['prompt']:,}",
    }[step["phase"]]()


def percent(share):
    return f"{100 * share:+.2f}%"


def named(program, only):
    lines = ["| shape | configuration | step | RTL, cycles | model, cycles | error |", "|---|---|---|---:|---:|---:|"]
    for shape, config, layers, options, phases in NAMED:
        if only and only not in f"{shape} {config}":
            continue
        steps, why = check(program, shape, config, ["--layers", str(layers), *options, *phases])
        if steps is None:
            sys.exit(f"{shape} on {config}: {why}")
        for s in steps:
            lines.append(f"| {shape} | `{config}` | {phase(s)} | {s['rtl']:,} | {s['model']:,} | {percent(s['error'])} |")
            print(lines[-1], flush=True)
    return lines


def unknown(program, count, only):
    """Random configurations: the largest error of each, and of all."""
    worst, errors, refused = None, [], 0
    for seed in range(1, count + 1):
        shape, config = f"random:{seed % SHAPES + 1}", f"random:{seed}"
        if only and only not in f"{shape} {config}":
            continue
        steps, why = check(program, shape, config, [*RANDOM, *SEQUENCES])
        if steps is None and "sequences" in why:
            steps, why = check(program, shape, config, RANDOM)
        if steps is None:
            refused += 1
            print(f"{shape} on {config}: {why}", flush=True)
            continue
        errors += [abs(s["error"]) for s in steps]
        largest = max(steps, key=lambda s: abs(s["error"]))
        print(f"{shape} on {config}: {percent(largest['error'])} ({phase(largest)})", flush=True)
        if worst is None or abs(largest["error"]) > abs(worst[0]["error"]):
            worst = (largest, shape, config)
    if worst is None:
        return ["No random configuration was compared."]
    step, shape, config = worst
    errors.sort()
    within = [sum(e <= bound for e in errors) for bound in (0.01, 0.02)]
    return [
        f"{len(errors)} steps of {SHAPES} random shapes on {count - refused} random configurations: {within[0]} within 1%, "
        f"{within[1]} within 2%, median {100 * errors[len(errors) // 2]:.2f}%, worst {percent(step['error'])} ({phase(step)} of {shape} on {config}: "
        f"RTL {step['rtl']:,} cycles, model {step['model']:,})."
        + (f" {refused} more do not hold the shape that was drawn for them." if refused else "")
    ]


def put(text, mark, lines):
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- end -->)", re.S)
    if not pattern.search(text):
        sys.exit(f"{PAGE} has no mark '{mark}'")
    return pattern.sub(lambda m: m[1] + "\n".join(lines) + "\n" + m[2], text)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("program")
    options.add_argument("--random", type=int, default=60)
    options.add_argument("--only", default="")
    options.add_argument("--parts", default="named,random", help="which tables: named, random")
    o = options.parse_args()
    made = {"named": lambda: named(o.program, o.only), "random": lambda: unknown(o.program, o.random, o.only)}
    tables = {part: made[part]() for part in o.parts.split(",")}
    if o.only:
        return
    text = PAGE.read_text()
    for mark, lines in tables.items():
        text = put(text, mark, lines)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
