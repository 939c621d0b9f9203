"""Open synthesis of the engine: resources, levels of logic and estimated delays, module by module. See docs/area.md."""

import argparse
import concurrent.futures as futures
import concurrent.futures.process as process
import importlib.metadata
import multiprocessing
import os
import pathlib
import sys
import time

import cells
import design
import fit
import floorplan
import netlist
import page
import place
import points
import records
import timing

CONFIGS = ("tiny", "edge", "u280")


def say(text):
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def mapped(job):
    """One unit in a process of its own: seconds of CPU, or the error."""
    elaborated, unit = job
    start = time.process_time()
    try:
        elaborated.map(unit)
    except design.SynthesisError as e:
        return unit.name, 0.0, str(e)
    return unit.name, time.process_time() - start, None


def map_units(elaborated, wanted, jobs):
    """Maps units to cells, `jobs` at a time; the elaborated design is shared by forking."""
    global SHARED
    SHARED = elaborated
    elaborated.save()
    # Each unit has a process of its own, so that Yosys' memory is given back, and its errors, which end the process, are seen.
    with futures.ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        tasks = {pool.submit(fork_map, unit): unit for unit in wanted}
        for task in futures.as_completed(tasks):
            try:
                name, seconds, error = task.result()
            except process.BrokenProcessPool:
                error = design.last_words()
            if error:
                raise design.SynthesisError(error)
            say(f"  {name}: mapped in {seconds:.0f} s")


SHARED = None


def fork_map(unit):
    """Runs in a forked process, which has the design in memory."""
    return mapped((SHARED, unit))


def analyse(elaborated, unit, delays, models, limit, sources=""):
    """Figures of a mapped unit, from its netlist."""
    netlist = design.BUILD / elaborated.label / f"{unit.name}.json"
    result = timing.Timing(netlist, unit.type, delays, models)
    for kind in sorted(result.unknown):
        say(f"  {unit.name}: cells of type {kind} have no delay in the model")
    counts = cells.resources(result.module["cells"])
    record = {"module": unit.module, "instance": unit.type.partition("$")[2] or unit.type, "count": unit.count}
    record |= counts | result.summary(limit, delays["target"])
    record |= {"sources": sources, "files": list(unit.files), "ports": result.ports()}
    return record


def synthesize(config, names, everything, jobs):
    """Makes the stale records of a configuration again (or those named, or all); returns the book."""
    units, delays = records.settings()
    book = records.load(config)
    parameters = design.configuration(config)
    if not everything and not names and book["parameters"] == parameters and book["units"] and not records.stale(book):
        say(f"{config}: all {len(book['units'])} records are current")
        return book
    say(f"{config}: elaborating")
    elaborated = design.Elaborated(design.TOP, parameters | {"TRACE": "0"}, config, units["units"])
    present = elaborated.units(units["units"])
    sources = {u.name: design.fingerprint(u.files) for u in present}  # as they were read, whatever is edited meanwhile
    unknown = set(names) - {u.name for u in present} - {u.module for u in present}
    if unknown:
        raise design.SynthesisError(f"no unit {', '.join(sorted(unknown))}; units: {', '.join(u.name for u in present)}")
    old = {} if book["parameters"] != parameters else book["units"]
    wanted = [u for u in present if wants(u, names, old, everything, sources)]
    map_units(elaborated, sorted(wanted, key=lambda u: -old.get(u.name, {}).get("lut", 0)), jobs)
    models, made = {}, {}
    for unit in present:
        if unit in wanted:
            made[unit.name] = analyse(elaborated, unit, delays, models, 5, sources[unit.name])
        elif unit.name in old:
            made[unit.name] = old[unit.name]
        if unit.name in made:
            models[unit.type] = made[unit.name]
    book = {"config": config, "tool": tool(), "parameters": parameters, "units": made}
    records.save(book)
    return book


def wants(unit, names, old, everything, sources):
    """Whether a unit is to be synthesized."""
    if names:
        return unit.name in names or unit.module in names
    return everything or unit.name not in old or old[unit.name]["sources"] != sources[unit.name]


def tool():
    """The tool, for the records."""
    design.yosys()
    return f"Yosys {importlib.metadata.version('pyosys')} with slang, synth_xilinx xcup"


def line(name, unit):
    """One unit as a line of a table."""
    figures = " ".join(f"{unit.get(key, 0):>8}" for key in (*cells.RESOURCES, "fanout", "levels"))
    return f"{name:<24} x{unit['count']:<3} {figures} {unit['ns']:>6.2f}"


def heading():
    """The line above those of `line`."""
    return f"{'unit':<24} {'':<4} {' '.join(f'{key:>8}' for key in (*cells.RESOURCES, 'fanout', 'levels'))} {'ns':>6}"


def run(args):
    """`run`: makes records."""
    for config in args.config or CONFIGS:
        book = synthesize(config, args.units, args.all, args.jobs)
        print(f"{config}\n{heading()}")
        for name, unit in book["units"].items():
            if not args.units or name in args.units or unit["module"] in args.units:
                print(line(name, unit))
    return 0


def status(_args):
    """`status`: which records are stale."""
    found = 0
    for config in CONFIGS:
        book = records.load(config)
        late = records.stale(book)
        found += len(late) + (not book["units"])
        text = f"stale: {', '.join(late)} (`make synth` makes them again)" if late else "all records are current"
        print(f"{config}: {text if book['units'] else 'no records; run `make synth`'}")
    late = records.stale(place.load())
    found += len(late)
    if late:
        print(f"placed units stale: {', '.join(late)} (`make board` places them again)")
    missing, late = points.stale(points.load(), points.wanted(points.forms()))
    for what, names in (("missing", missing), ("stale", late)):
        found += len(names)
        if names:
            print(f"points {what}: {len(names)} (`python3 hw/synth points` makes them): {', '.join(names)}")
    return 1 if found else 0


def paths(args):
    """`paths`: the worst paths in the records."""
    book = records.load(args.config)
    for name, unit in book["units"].items():
        if not args.units or name in args.units or unit["module"] in args.units:
            print(f"{name}: {unit['late']} of {unit['endpoints']} endpoints are late; {unit.get('fanout_net', 'nothing')} drives {unit.get('fanout', 0)} loads")
            for path in unit["paths"]:
                print(f"  {path['ns']:5.2f} ns, {path['levels']:2} levels: {path['from']} -> {path['to']}  {' '.join(path['lines'])}")
    return 0


def make_points(args):
    """`points`: those of area.toml that are missing or stale."""
    settings = points.forms()
    unknown = set(args.units) - set(settings["units"])
    if unknown:
        raise design.SynthesisError(f"no unit {', '.join(sorted(unknown))} in {points.FORMS}; units: {', '.join(settings['units'])}")
    book, wants = points.load(), points.wanted(settings, args.units)
    late = sum(points.stale(book, wants), [])
    found = {} if args.alone else points.from_records(settings, {name: wants[name] for name in late})
    points.save(book | found)
    todo = {name: wants[name] for name in wants if args.all or (name in late and name not in found)}
    say(f"{len(wants)} points: {len(found)} taken from records, {len(todo)} to be synthesized")
    points.make(todo, tool(), say)
    return 0


def module(args):
    """`module`: one module alone, at parameters of its own; leaves no record."""
    _, delays = records.settings()
    parameters = dict(p.split("=", 1) for p in args.parameter)
    elaborated = design.Elaborated(args.module, parameters, f"module-{args.module}", keep=False)
    unit = design.Unit(args.module, args.module, args.module, 1, (), (args.module,))
    elaborated.map(unit)
    record = analyse(elaborated, unit, delays, {}, args.number)
    print(f"{heading()}\n{line(args.module, record)}\n{record['late']} of {record['endpoints']} endpoints are late; {record['fanout_net']} drives {record['fanout']} loads")
    for path in record["paths"]:
        print(f"  {path['ns']:5.2f} ns, {path['levels']:2} levels: {path['from']} -> {path['to']}  {' '.join(path['lines'])}")
    return 0


def check(args):
    """`check`: the fast units again where they are stale; then every record against its budget."""
    units, delays = records.settings()
    fast = units["fast"]
    complaints = []
    if not args.records:
        book = records.load(fast["config"])
        late = [u for u in fast["units"] if u not in book["units"] or u in records.stale(book)]
        if late:
            say(f"check: stale records of {', '.join(late)}: synthesized again")
            synthesize(fast["config"], late, False, args.jobs)
    for config in records.known():
        for name, unit in records.load(config)["units"].items():
            complaints += records.over(config, name, unit, units.get("budget", {}), delays["fanout"])
    for text in complaints:
        print(f"over budget: {text}")
    if complaints:
        print("The budgets are in hw/synth/units.toml; `python3 hw/synth paths` shows the slowest paths.")
    else:
        print("check: every record is within its budget")
    return 1 if complaints else 0


def read(config):
    """What slang and inference say of a configuration, in a process of its own."""
    return config, design.lint(config, design.configuration(config), records.settings()[0]["units"])


def lint(args):
    """`lint`: slang reads every configuration; any warning of slang or of inference is an error."""
    failed = False
    with futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        for config, found in pool.map(read, reversed(args.config or CONFIGS)):
            failed |= bool(found)
            for text in found:
                print(text)
            if not found:
                print(f"lint: {config} elaborates in slang without a warning, and no latch is inferred")
    return 1 if failed else 0


def area(args):
    """`page`: docs/area.md from the records."""
    return page.write(args.check)


def simulate(args):
    """`netlist`: netlists with the models of their cells."""
    for path in netlist.write(args.config, args.modules, args.out):
        print(path)
    return 0


def place_units(args):
    """`place`: units placed and routed on an ECP5."""
    unknown = set(args.units) - set(place.UNITS)
    if unknown:
        raise design.SynthesisError(f"no unit {', '.join(sorted(unknown))} to place; units: {', '.join(place.UNITS)}")
    for module, figures in place.place(args.units, say):
        say(f"  {module}: {figures['mhz']} MHz")
        place.save({module: figures}, f"{tool().split(',')[0]}, synth_ecp5, {place.version()}")
    place.write_page()
    return 0


def make_fits(args):
    """`fit`: hw/synth/fits.json from the points."""
    return fit.write(args.check)


def plan(args):
    """`floorplan`: hw/vitis/u280/floorplan.tcl from the records."""
    return floorplan.write(args.check)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python3 hw/synth", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name, action, text):
        sub = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)
        return sub

    jobs = {"type": int, "default": os.cpu_count() or 1, "help": "units synthesized at once (default: all cores)"}
    sub = verb("run", run, "synthesize what is stale and write records (hw/synth/records)")
    sub.add_argument("units", nargs="*", metavar="UNIT", help="only these, stale or not")
    sub.add_argument("--config", action="append", metavar="NAME", help="configuration (repeatable; default: all)")
    sub.add_argument("--all", action="store_true", help="also what is current")
    sub.add_argument("--jobs", **jobs)
    sub = verb("check", check, "fail when a unit is over its budget (hw/synth/units.toml)")
    sub.add_argument("--records", action="store_true", help="only compare the records, synthesize nothing")
    sub.add_argument("--jobs", **jobs)
    sub = verb("paths", paths, "print the worst paths of the records")
    sub.add_argument("units", nargs="*", metavar="UNIT")
    sub.add_argument("--config", default="u280", metavar="NAME", help="configuration (default: u280)")
    sub = verb("module", module, "synthesize one module alone and print its figures and worst paths")
    sub.add_argument("module", metavar="MODULE")
    sub.add_argument("-G", dest="parameter", action="append", default=[], metavar="NAME=VALUE", help="parameter (repeatable)")
    sub.add_argument("-n", dest="number", type=int, default=10, metavar="N", help="paths to print (default: 10)")
    sub = verb("points", make_points, "synthesize units at other parameters, for the fits (hw/synth/area.toml, points.json)")
    sub.add_argument("units", nargs="*", metavar="UNIT", help="only points of these")
    sub.add_argument("--all", action="store_true", help="also what is current")
    sub.add_argument("--alone", action="store_true", help="take nothing from the records of configurations")
    sub = verb("netlist", simulate, "write netlists for simulation, which take the place of sources (see hw/synth/netlist.py)")
    sub.add_argument("modules", nargs="+", metavar="MODULE")
    sub.add_argument("--config", default="tiny", metavar="NAME", help="configuration (default: tiny)")
    sub.add_argument("--out", type=pathlib.Path, required=True, metavar="FOLDER")
    sub = verb("place", place_units, "place and route units on an ECP5-85F with nextpnr; docs/board.md again")
    sub.add_argument("units", nargs="*", metavar="UNIT", help=f"only these of {', '.join(place.UNITS)}")
    verb("status", status, "say which records are stale")
    sub = verb("lint", lint, "read every configuration with slang; a warning is an error")
    sub.add_argument("--config", action="append", metavar="NAME", help="configuration (repeatable; default: all)")
    for name, action, text in (
        ("fit", make_fits, "fit formulas to the points, print their errors, and write hw/synth/fits.json; fail where one is too far off"),
        ("page", area, "write docs/area.md from the records"),
        ("floorplan", plan, "write the floorplan of the u280 for Vivado from the records; fail when a die is too full"),
    ):
        sub = verb(name, action, text)
        sub.add_argument("--check", action="store_true", help="write nothing; fail when the file differs")
    return parser.parse_args()


def main():
    """Runs a verb in a process of its own, because an error of Yosys ends the process without a word."""
    args = arguments()
    end, mark = os.pipe()
    child = os.fork()
    if child == 0:
        code = act(args)
        sys.stdout.flush()
        os.write(mark, b"through")
        os._exit(code)
    os.close(mark)
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except KeyboardInterrupt:
        return 130
    if not os.read(end, 7):
        print(f"hw/synth: {design.last_words()}", file=sys.stderr)
        return status or 1
    return status


def act(args):
    """The verb; errors in one line."""
    try:
        return args.action(args)
    except BrokenPipeError:
        return 1
    except (design.SynthesisError, OSError) as e:
        print(f"hw/synth: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
