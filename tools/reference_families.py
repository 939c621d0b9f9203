#!/usr/bin/env python3
"""Logits of small random models of each family by transformers, as test data for quant/tests/families.rs.

A weight is a number of the generator of tests/models (`Random(7)`), times a scale, plus an offset, so that the test
makes the same models. Computed in f64.

usage: pip install torch transformers; tools/reference_families.py > tests/models/data/families.json
"""

import json
import math
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM

MASK = (1 << 64) - 1
TOKENS = [3, 41, 7, 7, 19, 0, 30, 12, 45, 2, 28, 11, 9, 33, 5, 40]
BASE = {
    "hidden_size": 48, "intermediate_size": 72, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 48, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "max_position_embeddings": 64, "hidden_act": "silu", "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None,
    "tie_word_embeddings": False,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
# Heads of 12: six factors.
LONG = {
    "type": "longrope", "short_factor": [1.0, 1.02, 1.1, 1.3, 1.7, 2.5], "long_factor": [1.0, 1.5, 2.0, 4.0, 8.0, 16.0],
}
# Heads wider than 128: fewer of them, and layers. Those of 160 have 80 factors.
WIDE = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
LONG_WIDE = {
    "type": "longrope", "short_factor": [1.0 + i / 64 for i in range(80)], "long_factor": [1.0 + i / 8 for i in range(80)],
}
CASES = {
    "llama": ("LlamaForCausalLM", "llama", {}),
    "llama with biases": ("LlamaForCausalLM", "llama", {"attention_bias": True, "mlp_bias": True}),
    "mistral": ("MistralForCausalLM", "mistral", {"sliding_window": None, "head_dim": 16}),
    "qwen2": ("Qwen2ForCausalLM", "qwen2", {"use_sliding_window": False, "sliding_window": 8, "max_window_layers": 2}),
    "qwen2 with yarn": ("Qwen2ForCausalLM", "qwen2", {"rope_scaling": YARN}),
    "qwen3": ("Qwen3ForCausalLM", "qwen3", {"head_dim": 16, "attention_bias": False}),
    "qwen3 with yarn and biases": ("Qwen3ForCausalLM", "qwen3", {"head_dim": 16, "attention_bias": True, "rope_scaling": YARN}),
    "smollm3": ("SmolLM3ForCausalLM", "smollm3", {"no_rope_layers": [1, 0, 1, 0]}),
    "smollm3 by interval": ("SmolLM3ForCausalLM", "smollm3", {"no_rope_layer_interval": 3}),
    "phi3": ("Phi3ForCausalLM", "phi3", {}),
    "phi3 with longrope": ("Phi3ForCausalLM", "phi3", {"rope_scaling": LONG, "original_max_position_embeddings": 16}),
    "qwen3 with heads of 256": ("Qwen3ForCausalLM", "qwen3", {**WIDE, "head_dim": 256, "attention_bias": False}),
    "phi3 with longrope and heads of 160": ("Phi3ForCausalLM", "phi3", {
        **WIDE, "hidden_size": 320, "rope_scaling": LONG_WIDE, "original_max_position_embeddings": 16,
    }),
}


class Random:
    def __init__(self, state):
        self.state = state

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & MASK
        return (self.state >> 40) / (1 << 23) - 1.0


def f32(x):
    return torch.tensor(x, dtype=torch.float32)


out = []
for name, (architecture, kind, extra) in CASES.items():
    config = {**BASE, **extra}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config), attn_implementation="eager").eval()
    random, tensors = Random(7), []
    for key, value in sorted(model.state_dict().items()):
        scale = 0.3 if key.endswith("norm.weight") else 0.5 if key.endswith("bias") else 1.5 / math.sqrt(value.shape[-1])
        offset = 1.0 if key.endswith("norm.weight") else 0.0
        scale = float(f32(scale))
        values = f32([random.next() for _ in range(value.numel())]) * f32(scale) + f32(offset)
        value.copy_(values.reshape(value.shape))
        tensors.append([key, list(value.shape), scale, offset])
    with torch.no_grad():
        logits = model.double()(torch.tensor([TOKENS])).logits[0]
    print(name, sum(math.prod(t[1]) for t in tensors), "weights", file=sys.stderr)
    rows = [[float(f"{v:.7g}") for v in row] for row in logits.tolist()]
    out.append({
        "name": name, "config": {"architectures": [architecture], "model_type": kind, **config}, "tensors": tensors,
        "tokens": TOKENS, "logits": rows,
    })
print(json.dumps(out, separators=(",", ":")).replace('},{"name"', '},\n{"name"'))
