"""Points of synthesis: units alone, at the parameters of area.toml, in points.json. The fits are made from them (fit.py).

A point is a module, its parameters, its own resources (those of units inside it are in points of their own), and where no
unit is inside, its levels and worst path; with the tool and the hash of the sources that it was made from."""

import itertools
import json
import multiprocessing
import os
import tomllib

import cells
import design
import formulas
import records
import timing

FORMS = records.HERE / "area.toml"
FILE = records.HERE / "points.json"


def forms():
    """area.toml: units, their parameters, points and forms."""
    with open(FORMS, "rb") as text:
        return tomllib.load(text)


def label(unit, parameters):
    """A point's name: the unit and its parameters."""
    return " ".join([unit, *(f"{name}={value}" for name, value in sorted(parameters.items()))])


def grid(sets, fixed):
    """Parameter sets: of each entry all combinations of its lists."""
    result = []
    for entry in sets:
        axes = [value if isinstance(value, list) else [value] for value in entry.values()]
        result += [fixed | dict(zip(entry, values, strict=True)) for values in itertools.product(*axes)]
    return result


def engine(name):
    """The fields of a configuration."""
    with open(design.ROOT / f"hw/configs/{name}.toml", "rb") as text:
        return tomllib.load(text)


def of_configuration(form, fields):
    """A unit's parameters in an engine with those fields."""
    of = {name: round(formulas.evaluate(text, fields)) for name, text in form.get("with", {}).items()}
    return form.get("fixed", {}) | of


def wanted(settings, names=()):
    """`label -> (unit, parameters, held out)` of the points that area.toml asks for: of configurations, and others."""
    result = {}
    for unit, form in settings["units"].items():
        if names and unit not in names:
            continue
        for kind, held in (("points", False), ("held", True)):
            sets = [of_configuration(form, engine(name)) for name in settings["configurations"][kind]]
            # A unit may be the same in two configurations.
            sets = [x for x in sets if not (held and label(unit, x) in result)]
            for parameters in [*sets, *grid(form.get(kind, []), form.get("fixed", {}))]:
                name = label(unit, parameters)
                if name in result and result[name][2] != held:
                    raise design.SynthesisError(f"{FORMS}: {name} is both fitted and held out")
                result[name] = (unit, parameters, held)
    return result


def load():
    """The points that were made."""
    if not FILE.exists():
        return {}
    try:
        return json.loads(FILE.read_text(encoding="utf-8"))
    except ValueError as e:
        raise design.SynthesisError(f"{FILE}: not a file of points ({e}); delete it and run `python3 hw/synth points`") from e


def save(book):
    """Writes the points, a line each, whole or not at all."""
    lines = [f"{json.dumps(name)}: {json.dumps(book[name])}" for name in sorted(book)]
    new = FILE.with_suffix(".new")
    new.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    os.replace(new, FILE)


def current(point):
    """Whether the sources are still those that it was made from."""
    return design.fingerprint(point["files"]) == point["sources"]


def stale(book, wants):
    """Points that are wanted and missing, and those whose sources have changed since."""
    return [n for n in wants if n not in book], [n for n in wants if n in book and not current(book[n])]


def from_records(settings, wants):
    """Points that the records of configurations have already, of current sources."""
    result = {}
    for config in records.known():
        book = records.load(config)
        fields = {name.lower(): int(value) for name, value in book["parameters"].items()}
        for unit, form in settings["units"].items():
            record = book["units"].get(form.get("record", unit))
            # Records without a fan-out are of the time when copies were joined.
            if record and "fanout" in record and current(record):
                parameters = of_configuration(form, fields)
                name = label(unit, parameters)
                if name in wants:
                    figures = {key: record[key] for key in (*cells.RESOURCES, "levels", "ns", "sources", "files")}
                    result[name] = {"unit": unit, "parameters": parameters, "tool": book["tool"]} | figures
    return result


def synthesize(unit, parameters, kept, tool):
    """Makes one point."""
    module = unit.partition("@")[0]
    elaborated = design.Elaborated(module, parameters, f"point-{unit}", kept)
    top = next(u for u in elaborated.units(kept) if u.type == module)
    sources = design.fingerprint(top.files)
    netlist = elaborated.map(top)
    point = {"unit": unit, "parameters": parameters}
    with open(netlist, encoding="utf-8") as text:
        point |= cells.resources(json.load(text)["modules"][module]["cells"])
    if not top.below:
        _, delays = records.settings()
        summary = timing.Timing(netlist, module, delays, {}).summary(0, delays["target"])
        point |= {"levels": summary["levels"], "ns": summary["ns"]}
    return point | {"tool": tool, "sources": sources, "files": list(top.files)}


def make(todo, tool, say):
    """Makes points, each in a process of its own (Yosys' memory and its errors, which end the process, go with it)."""
    units, _ = records.settings()
    context = multiprocessing.get_context("fork")
    for at, (name, (unit, parameters, _)) in enumerate(todo.items(), 1):
        here, there = context.Pipe(duplex=False)

        def work(unit=unit, parameters=parameters, there=there):
            try:
                there.send(synthesize(unit, parameters, units["units"], tool))
            except design.SynthesisError as e:
                there.send(str(e))

        process = context.Process(target=work)
        process.start()
        there.close()
        try:
            answer = here.recv()
        except EOFError:
            answer = design.last_words()
        process.join()
        if isinstance(answer, str):
            raise design.SynthesisError(f"{name}: {answer}")
        book = load()
        book[name] = answer
        save(book)
        say(f"{at}/{len(todo)} {name}: " + ", ".join(f"{answer[key]} {key}" for key in cells.RESOURCES if answer[key]))
