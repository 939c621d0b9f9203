"""Fits over the points of synthesis: for each unit and resource a formula of its parameters, in fits.json.

area.toml gives a form for each: a list of terms, whose coefficients are fitted to the points by least squares of the
relative error; or a text, which is the formula itself and is only held against the points. Points that are held out are
never fitted. What the
formulas may say is in formulas.py."""

import json
import os

import cells
import design
import formulas as language
import points
import records

FILE = records.HERE / "fits.json"
EXACT = ("dsp", "bram", "uram")  # these are to be predicted exactly
RELATIVE = ("lut", "ff")  # these within TOLERANCE, or SLACK cells where a unit is so small that a few are a lot
TOLERANCE = 0.10
SLACK = 12


def variables(form, parameters):
    """Parameters and what `let` derives from them."""
    values = dict(parameters)
    for name, formula in form.get("let", {}).items():
        values[name] = language.evaluate(formula, values)
    return values


def solve(matrix, right):
    """Solves a square system of linear equations; none where it has no single solution."""
    n = len(matrix)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    scale = max((abs(x) for row in matrix for x in row), default=0.0)
    for i in range(n):
        best = max(range(i, n), key=lambda r: abs(rows[r][i]))
        if abs(rows[best][i]) <= 1e-12 * scale:
            return None
        rows[i], rows[best] = rows[best], rows[i]
        for r in range(n):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [row[n] / row[i] for i, row in enumerate(rows)]


def least_squares(terms, samples):
    """Coefficients of the terms for samples `(variables, value)`: least sum of squares of the relative errors."""
    scaled = [([language.evaluate(t, values) for t in terms], y, 1.0 / max(y, 1.0)) for values, y in samples]
    # Columns of one size, so that the equations are well conditioned.
    size = [max(abs(x[i]) * w for x, _, w in scaled) or 1.0 for i in range(len(terms))]
    rows = [([x[i] * w / size[i] for i in range(len(terms))], y * w) for x, y, w in scaled]
    matrix = [[sum(r[i] * r[j] for r, _ in rows) for j in range(len(terms))] for i in range(len(terms))]
    found = solve(matrix, [sum(r[i] * y for r, y in rows) for i in range(len(terms))])
    return found and [c / s for c, s in zip(found, size, strict=True)]


def formula(terms, coefficients):
    """`c0 + c1 * term ...`, four significant digits more than any error here."""
    parts = [f"{c:.7g}" if t == "1" else f"{c:.7g} * ({t})" for t, c in zip(terms, coefficients, strict=True) if c]
    return " + ".join(parts).replace("+ -", "- ") or "0"


def error(resource, estimate, value):
    """How far an estimate is off: relative, or in cells where there is little."""
    return abs(estimate - value) / value if value else float(abs(estimate - value) > (0.5 if resource in EXACT else SLACK))


def right(resource, estimate, value):
    """Whether an estimate is as close as it has to be; resources without a bar always are."""
    if resource in EXACT:
        return abs(estimate - value) < 1e-6
    if resource in RELATIVE:
        return abs(estimate - value) <= max(TOLERANCE * value, SLACK)
    return True


def fit_unit(unit, form, samples):
    """Formulas of a unit's resources: `(formulas, report lines)`."""
    formulas, lines = {}, []
    fitted = [(variables(form, p["parameters"]), p) for p, held in samples if not held]
    for resource in cells.RESOURCES:
        terms = form.get(resource, "0")
        if isinstance(terms, list):
            found = least_squares(terms, [(v, p[resource]) for v, p in fitted])
            if found is None:
                raise design.SynthesisError(f"{unit} {resource}: its {len(fitted)} points do not tell the terms {terms} apart")
            formulas[resource] = formula(terms, found)
        else:
            formulas[resource] = terms
        lines.append(compare(unit, form, resource, formulas[resource], samples))
    return formulas, lines


def compare(unit, form, resource, text, samples):
    """A formula against the points: largest error of fitted and of held-out points, and those that are too far off."""
    worst, wrong = {False: 0.0, True: 0.0}, []
    for point, held in samples:
        estimate = language.evaluate(text, variables(form, point["parameters"]))
        value = point[resource]
        worst[held] = max(worst[held], error(resource, estimate, value))
        if not right(resource, estimate, value):
            name = points.label(unit, point["parameters"])
            wrong.append(f"{name}{' (held out)' if held else ''}: {resource} {value:g}, estimate {estimate:.1f}")
    return {"unit": unit, "resource": resource, "fitted": worst[False], "held": worst[True], "wrong": wrong}


def run(settings, book):
    """All fits that the points allow: `(fits, report)`."""
    wants = points.wanted(settings)
    fits, report = [], []
    for unit, form in settings["units"].items():
        samples = [(book[name], held) for name, (u, _, held) in wants.items() if u == unit and name in book]
        fitted = any(isinstance(form.get(resource), list) for resource in cells.RESOURCES)
        if fitted and not any(not held for _, held in samples):
            raise design.SynthesisError(f"{unit}: no points; run `python3 hw/synth points {unit}`")
        formulas, lines = fit_unit(unit, form, samples)
        report += lines
        made = {
            "unit": unit,
            "part": form["part"],
            "count": form["count"],
            "with": [[name, str(value)] for name, value in (form.get("fixed", {}) | form.get("with", {})).items()],
            "let": [[name, text] for name, text in form.get("let", {}).items()],
            "resources": {name: text for name, text in formulas.items() if text != "0"},
            "record": form.get("record", unit),
            "sources": sorted({point["sources"] for point, _ in samples}),
            "points": sum(not held for _, held in samples),
            "held": sum(held for _, held in samples),
            "errors": {x["resource"]: {"fitted": round(x["fitted"], 4), "held": round(x["held"], 4)} for x in lines},
        }
        slowest = max((point for point, _ in samples if "ns" in point), key=lambda p: p["ns"], default=None)
        fits.append(made | ({"levels": slowest["levels"], "ns": slowest["ns"]} if slowest else {}))
    return fits, report


def worst():
    """The slowest path of each configuration that has records, with the parameters they are of."""
    result = {}
    for config in records.known():
        book = records.load(config)
        late = set(records.stale(book))
        paths = [(unit["ns"], unit["levels"], name) for name, unit in book["units"].items() if unit["count"] and name not in late]
        if paths and not late:
            ns, levels, name = max(paths)
            result[config] = {"ns": ns, "levels": levels, "unit": name, "units": len(paths), "parameters": book["parameters"]}
    return result


def text(fits):
    """The file: a line each."""
    lines = ",\n".join(json.dumps(fit) for fit in fits)
    return f'{{"units": [\n{lines}\n],\n"worst": {json.dumps(worst())}}}\n'


def write(check):
    """Makes fits.json and prints the residuals; with `check` only says whether the file is current."""
    fits, report = run(points.forms(), points.load())
    new = text(fits)
    old = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    wrong = [line for entry in report for line in entry["wrong"]]
    if check:
        if new != old:
            print("hw/synth/fits.json differs from the points: run `python3 hw/synth fit`")
    else:
        for fit in fits:
            errors = ", ".join(f"{r} {e['fitted']:.1%}/{e['held']:.1%}" for r, e in fit["errors"].items() if e["fitted"] or e["held"])
            print(f"{fit['unit']}: {fit['points']} points, {fit['held']} held out; largest error fitted/held out: {errors or 'none'}")
        temporary = FILE.with_suffix(".new")
        temporary.write_text(new, encoding="utf-8")
        os.replace(temporary, FILE)
    for line in wrong:
        print(f"too far off: {line}")
    return 1 if wrong or (check and new != old) else 0
