"""The floorplan of the U280: which die each unit stands on, with resources by die, as pblocks for Vivado.

HBM is at SLR0, and so is all that speaks to it: readers, writers, prefetcher, the auxiliary port. Everything else is put
where it leaves the fullest die emptiest; tiles, of which there are many, fill up last. Links between dies are registered in
the RTL (parameter LINK), as AutoBridge does it: coarse places first, then registers on what crosses between them
(Guo et al., FPGA 2021; TAPA uses the same for HBM designs on this card)."""

import itertools
import os

import design
import page
import records

FILE = design.ROOT / "hw/vitis/u280/floorplan.tcl"
KERNEL = "accllm_u280"
FIXED = ("chan_reader", "chan_writer", "prefetch", "aux_port")  # at the memory
SPREAD = "tile"  # instances of it may stand on different dies
WITH = {"vec_unit": ("vec_lane", "vec_hadamard", "vec_sum", "vec_extreme", "vec_scan", "vec_kv", "vec_block"), "mat_unit": ("act_mux", "act_sum", "collector", "mat_ctrl")}


def used(units):
    """Resources of these units with all their instances, LUTRAM counted as LUT."""
    return {key: sum(u["count"] * (u[key] + (u["lutram"] if key == "lut" else 0)) for u in units) for key in page.CARD}


def groups(book):
    """What is placed as one piece: name -> (instance path, units)."""
    units, inside = book["units"], {child: parent for parent, children in WITH.items() for child in children}
    result = {}
    for name, unit in units.items():
        if unit["module"] in (*FIXED, SPREAD, design.TOP):
            continue
        head = inside.get(unit["module"], unit["module"])
        result.setdefault(head, []).append(unit)
    return result


def shares(load, facts):
    """Percent of each resource on each die, shell and paths to memory included."""
    dies = range(len(facts["dies"]))
    whole = {key: facts["device"][key] / len(dies) for key in page.CARD}
    other = {key: [max(whole[key] - facts["free"][key][d], 0) + facts["added"][key][d] for d in dies] for key in page.CARD}
    return [{key: 100 * (load[d][key] + other[key][d]) / whole[key] for key in page.CARD} for d in dies]


def plus(a, b, times=1):
    """Sum of two counts of resources."""
    return {key: a[key] + times * b[key] for key in a}


def plan(book, facts):
    """The best placing (fullest first, die by die and resource by resource): die of each group, tiles and load of each die."""
    dies = len(facts["dies"])
    units = book["units"].values()
    start = [used([u for u in units if u["module"] in (*FIXED, design.TOP)])] + [used([])] * (dies - 1)
    pieces = groups(book)
    big = sorted(pieces, key=lambda name: -max(used(pieces[name])[k] / facts["device"][k] for k in page.CARD))
    tile = next(u for u in units if u["module"] == SPREAD)
    one = used([dict(tile, count=1)])
    best = None
    for places in itertools.product(range(dies), repeat=min(len(big), 7)):
        where = dict(zip(big, places, strict=False)) | dict.fromkeys(big[7:], 0)
        load = list(start)
        for name, die in where.items():
            load[die] = plus(load[die], used(pieces[name]))
        tiles = [0] * dies
        for _ in range(tile["count"]):
            die = min(range(dies), key=lambda d: max(shares([plus(load[d], one)] * dies, facts)[d][key] for key in one if one[key]))
            load[die] = plus(load[die], one)
            tiles[die] += 1
        worst = sorted((round(value, 3) for share in shares(load, facts) for value in share.values()), reverse=True)
        if best is None or worst < best[0]:
            best = (worst, where, tiles, load)
    return best


def missing(book):
    """Units without which there is no plan."""
    modules = {u["module"] for u in book["units"].values()}
    return [name for name in (*FIXED, SPREAD, "vec_unit", "mat_unit", "vmem", "control") if name not in modules]


def instances(book, where, tiles):
    """Cells of each die, as Vivado's names below the kernel."""
    cells = {die: [] for die in range(len(tiles))}
    for unit in book["units"].values():
        path = unit["instance"].removeprefix(f"{design.TOP}.")
        if unit["module"] in FIXED:
            cells[0].append(path.replace("[0]", "[*]"))
        elif unit["module"] in WITH["mat_unit"]:
            cells[where["mat_unit"]].append(path)
        elif unit["module"] in where and unit["module"] != "mat_unit":  # its registers between the dies stand where they must
            cells[where[unit["module"]]].append(path)
    first = 0
    # The last index is the tile's, those before are of groups.
    path = next(u for u in book["units"].values() if u["module"] == SPREAD)["instance"].removeprefix(f"{design.TOP}.")
    head, _, tail = path.rpartition("[0]")
    for die, count in enumerate(tiles):
        cells[die] += [f"{head.replace('[0]', '[*]')}[{i}]{tail}" for i in range(first, first + count)]
        first += count
    return cells


def text(book, facts):
    """floorplan.tcl."""
    _, where, tiles, load = plan(book, facts)
    full = [
        f"{die} has {value:.0f}% of its {page.NAMES[key]}, more than {facts['die_limit'][key]}%"
        for die, share in zip(facts["dies"], shares(load, facts), strict=True)
        for key, value in share.items()
        if value > facts["die_limit"][key]
    ]
    lines = [
        "# Generated by `python3 hw/synth floorplan` from hw/synth/records/u280.json; do not edit.",
        "# Sourced by Vivado before opt_design (make xclbin): each die's part of the kernel into the platform's block of that die.",
    ]
    for die, share in zip(facts["dies"], shares(load, facts), strict=True):
        figures = ", ".join(f"{page.NAMES[key]} {value:.0f}%" for key, value in share.items())
        lines.append(f"# {die}: {figures} (estimated, shell and paths to memory included)")
    for die, cells in instances(book, where, tiles).items():
        name = facts["dies"][die]
        lines.append("")
        for cell in cells:
            pattern = f"*/{KERNEL}_1/*/{cell.replace('.', '/')}".replace("[", r"\[").replace("]", r"\]")
            lines.append(f"add_cells_to_pblock pblock_dynamic_{name} [get_cells -hierarchical -filter {{NAME =~ {pattern}}}]")
    return "\n".join(lines) + "\n", full


def write(check):
    """Writes floorplan.tcl, or with `check` says whether it is current; fails when a die is too full."""
    book, facts = records.load("u280"), page.card()
    lacking = missing(book)
    if lacking:
        raise design.SynthesisError(f"no floorplan: no record of u280's {', '.join(lacking)}; run `python3 hw/synth run --config u280`")
    new, full = text(book, facts)
    for line in full:
        print(f"floorplan: {line}")
    if not FILE.exists() or FILE.read_text(encoding="utf-8") != new:
        if check:
            print(f"{FILE.relative_to(design.ROOT)} differs from the records: run `python3 hw/synth floorplan`")
            return 1
        temporary = FILE.with_suffix(".new")
        temporary.write_text(new, encoding="utf-8")
        os.replace(temporary, FILE)
        print(f"wrote {FILE.relative_to(design.ROOT)}")
    return 1 if full else 0
