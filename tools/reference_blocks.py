#!/usr/bin/env python3
"""Random blocks of ggml's types and their values by the `gguf` package, as test data for llm/tests/gguf.rs.

usage: pip install numpy gguf; tools/reference_blocks.py > llm/tests/data/ggml_blocks.json
"""

import json
import sys

import gguf
import numpy as np

random = np.random.default_rng(1)
# Where the 16-bit floats of a block are: random bytes would be NaN or infinite there.
HALVES = {"F16": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
out = {}
for name in ["F32", "F16", "BF16", *list(HALVES)[1:]]:
    kind = gguf.GGMLQuantizationType[name]
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    count = 256 // weights
    if name in ("F32", "BF16"):
        values = (random.standard_normal(count) * 0.1).astype("<f4").view(np.uint8).reshape(count, 4)
        raw = values[:, 4 - size:].copy()
    else:
        raw = random.integers(0, 256, (count, size), dtype=np.uint8)
        for at in HALVES[name]:
            raw[:, at:at + 2] = (random.standard_normal(count) * 0.01).astype("<f2").view(np.uint8).reshape(count, 2)
    data = raw.reshape(1, -1)
    if name in ("F32", "F16"):
        data = data.view({"F32": "<f4", "F16": "<f2"}[name])
    got = gguf.dequantize(data, kind).astype("<f4").reshape(-1)
    assert len(got) == 256, name
    out[name] = {"type": int(kind), "bytes": raw.tobytes().hex(), "values": got.tobytes().hex()}
json.dump(out, sys.stdout, indent=1)
print()
