#!/usr/bin/env python3
"""Frequencies of Llama 3's scaled RoPE by the formula of its publication, as test data (standard library only).

usage: tools/rope_frequencies.py > quant/tests/data/rope_llama3.json
"""

import json
import math

MODELS = {
    "llama-3.1-8b": dict(theta=500000.0, head_dim=128, factor=8.0, low=1.0, high=4.0, context=8192),
    "llama-3.2-1b": dict(theta=500000.0, head_dim=64, factor=32.0, low=1.0, high=4.0, context=8192),
}


def frequencies(theta, head_dim, factor, low, high, context):
    out = []
    for i in range(0, head_dim, 2):
        freq = 1.0 / theta ** (i / head_dim)
        wavelen = 2 * math.pi / freq
        if wavelen < context / high:
            out.append(freq)
        elif wavelen > context / low:
            out.append(freq / factor)
        else:
            smooth = (context / wavelen - low) / (high - low)
            out.append((1 - smooth) * freq / factor + smooth * freq)
    return out


print(json.dumps({name: dict(m, frequencies=frequencies(**m)) for name, m in MODELS.items()}, indent=1))
