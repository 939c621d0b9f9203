"""The language of the fits' formulas: numbers, names, + - * /, and a few functions. `host/lab/src/cost/formula.rs` reads the same."""

import math

import design


def bram(width, depth):
    """Block RAMs of 36 Kb of a memory: Yosys takes the shape of a RAMB18 of which it needs the fewest, two to a block."""
    shapes = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
    return min(math.ceil(width / w) * math.ceil(depth / d) for w, d in shapes) / 2


def uram(width, depth):
    """UltraRAMs of a memory: 4096 words of 72 bits; Yosys folds what is deeper into the width."""
    return math.ceil(width * max(1, depth / 4096) / 72)


FUNCTIONS = {
    "log2": math.log2,
    "ceil": math.ceil,
    "max": max,
    "min": min,
    "le": lambda a, b: 1 if a <= b else 0,  # 1 where a <= b, else 0
    "bram": bram,
    "uram": uram,
}


def evaluate(formula, values):
    """The value of a formula."""
    try:
        return eval(formula, {"__builtins__": {}}, FUNCTIONS | values)  # noqa: S307 - formulas are the project's own files
    except (ArithmeticError, NameError, SyntaxError, TypeError, ValueError) as e:
        raise design.SynthesisError(f"formula `{formula}`: {e}") from e


