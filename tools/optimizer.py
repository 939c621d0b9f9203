#!/usr/bin/env python3
"""An optimizer of one's own over `accllm evaluate --json`: asks for a point, tells the result, and keeps the best.

The search is a small evolution, so that the example needs nothing but Python. With Optuna the two marked lines become
`trial = study.ask()` with `trial.suggest_categorical(...)`, and `study.tell(trial, value)`."""

import argparse
import json
import random
import subprocess
import sys
import tomllib


def values(axis):
    """The values of an axis of the spec."""
    if isinstance(axis, list):
        return axis
    found, value = [], axis["from"]
    while value <= axis["to"]:
        found.append(value)
        value = value * axis["times"] if "times" in axis else value + axis["step"]
    return found


def text(value):
    """A value as `--set` reads it: TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {text(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)


def evaluate(accllm, spec, point):
    """The record of one point."""
    sets = [f"--set={name}={text(value)}" for name, value in point.items()]
    ran = subprocess.run([accllm, "evaluate", spec, "--json", *sets], capture_output=True, text=True, check=False)
    if not ran.stdout:
        sys.exit(ran.stderr.strip())
    return json.loads(ran.stdout)


def main():
    """Runs the trials and prints the best point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spec", help="a spec of accllm sweep")
    parser.add_argument("--maximize", required=True, metavar="METRIC")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accllm", default="accllm", metavar="PROGRAM")
    args = parser.parse_args()
    with open(args.spec, "rb") as file:
        axes = {name: values(axis) for name, axis in tomllib.load(file)["axes"].items()}
    chance, best = random.Random(args.seed), None
    for trial in range(args.trials):
        # Ask: a random point, or the best one with one axis changed.
        point = {name: chance.choice(choices) for name, choices in axes.items()}
        if best and chance.random() < 0.7:
            name = chance.choice(list(axes))
            point = {**best[1], name: chance.choice(axes[name])}
        record = evaluate(args.accllm, args.spec, point)
        # Tell: a point without metrics, or one that does not fit, is no number.
        metrics = record["metrics"]
        if record["status"] == "ok" and metrics.get("fits", {"value": 1})["value"] == 1:
            value = metrics[args.maximize]["value"]
            if best is None or value > best[0]:
                best = (value, point)
        print(f"{trial + 1:4} {record['status']:10} best {best[0] if best else '-'}", file=sys.stderr)
    if best is None:
        sys.exit("no point has metrics and fits")
    print(json.dumps({"value": best[0], "parameters": best[1]}))


if __name__ == "__main__":
    main()
