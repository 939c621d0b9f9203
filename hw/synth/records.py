"""Records of synthesis: one a unit and configuration, in hw/synth/records/CONFIG.json."""

import json
import os
import pathlib
import tomllib

import design

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE / "records"
FIGURES = ("lut", "ff", "dsp", "bram", "uram", "ns", "levels")


def settings():
    """units.toml and delays.toml."""
    with open(HERE / "units.toml", "rb") as units, open(HERE / "delays.toml", "rb") as delays:
        return tomllib.load(units), tomllib.load(delays)


def known():
    """Configurations that have records."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(config):
    """The records of a configuration; none when there is no file."""
    path = FOLDER / f"{config}.json"
    if not path.exists():
        return {"config": config, "tool": "", "parameters": {}, "units": {}}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as e:
        raise design.SynthesisError(f"{path}: not a file of records ({e}); delete it and run `make synth`") from e


def save(book):
    """Writes a configuration's records, whole or not at all: one line a unit's ports, so that changes can be read."""
    FOLDER.mkdir(exist_ok=True)
    book = dict(book, units=dict(sorted(book["units"].items())))
    put(FOLDER / f"{book['config']}.json", pretty(book, 0))


def put(path, text):
    """Writes a file of lines, whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(text + "\n", encoding="utf-8")
    os.replace(new, path)


def pretty(value, depth):
    """JSON with a line each for the first levels, and compact below."""
    if not isinstance(value, dict) or depth == 3:
        return json.dumps(value, separators=(",", ":") if depth == 3 and isinstance(value, dict) else None)
    pad = "  " * (depth + 1)
    lines = [f"{pad}{json.dumps(key)}: {pretty(item, depth + 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}"


def stale(book):
    """Units whose sources have changed since their record was made."""
    return [name for name, unit in book["units"].items() if design.fingerprint(unit["files"]) != unit["sources"]]


def over(config, name, unit, budgets, fanout):
    """What of a unit is past its budget, and a net with more loads than `fanout`, in words."""
    budget = budgets.get(unit["module"], {}).get(config, {})
    found = [f"{config} {name}: {key} is {unit[key]}, more than {most}" for key, most in budget.items() if unit[key] > most]
    if unit.get("fanout", 0) > fanout:  # records made before loads were counted have none
        found.append(f"{config} {name}: {unit['fanout_net']} drives {unit['fanout']} loads, more than {fanout}")
    return found


def total(book):
    """Resources of the whole engine: each unit times its instances."""
    sums = {}
    for unit in book["units"].values():
        for key in ("lut", "lutram", "ff", "carry", "dsp", "bram", "uram"):
            sums[key] = sums.get(key, 0) + unit["count"] * unit[key]
    return sums
