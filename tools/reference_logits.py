#!/usr/bin/env python3
"""Top-20 logits and token ids of some prompts by an implementation of its own, as test data for llm/tests/smollm2.rs.

Reads the GGUF file with the `gguf` package, computes with numpy (f64) in the GGUF's own order of q and k, and tokenizes with
the `tokenizers` package from the published pre-tokenizer of SmolLM2.

usage: pip install numpy gguf tokenizers; tools/reference_logits.py build/models/smollm2-135m-instruct.gguf > llm/tests/data/smollm2.json
"""

import json
import sys

import gguf
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a small village,",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "<|im_start|>user\nWhat is 17 + 25?<|im_end|>\n<|im_start|>assistant\n",
]
TEXTS = PROMPTS + [
    "  two  spaces,   three; a tab\t, a line\n\n\nand   \n  more. 1234567890 3.14 don't we'll I'M",
    "naïve café, Ελληνικά, русский, 日本語のテキスト, 한국어, עברית, العربية, हिन्दी ٣٤ ½ Ⅷ 👩‍👩‍👧 🇫🇷 ﬁ\u00a0nbsp\u2028ls",
    "<|endoftext|> <repo_name>a/b<file_sep>x <|im_end|>",
    "x = {'a': [1, 2], \"b\": None}  # $100 <=> ~^|`\r\n\x00\x7f trailing ",
]

reader = gguf.GGUFReader(sys.argv[1])
field = lambda name: reader.fields[name].contents()
weights = {}
for t in reader.tensors:
    w = gguf.dequantize(t.data, t.tensor_type).astype(np.float64)
    weights[t.name] = w.reshape(list(reversed([int(n) for n in t.shape])))

heads, kv_heads = field("llama.attention.head_count"), field("llama.attention.head_count_kv")
dim = field("llama.rope.dimension_count")
eps = field("llama.attention.layer_norm_rms_epsilon")
theta = field("llama.rope.freq_base")


def norm(x, gain):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * gain


def rope(x):
    """Turns neighbours (2i, 2i + 1): ggml's normal mode."""
    angle = np.arange(len(x))[:, None] * theta ** (-np.arange(0, dim, 2) / dim)
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    a, b = x[..., 0::2], x[..., 1::2]
    return np.stack([a * c - b * s, a * s + b * c], -1).reshape(x.shape)


def logits(ids):
    x = weights["token_embd.weight"][ids]
    n = len(ids)
    mask = np.where(np.tril(np.ones((n, n))) > 0, 0, -np.inf)
    for l in range(field("llama.block_count")):
        w = lambda part: weights[f"blk.{l}.{part}.weight"]
        a = norm(x, w("attn_norm"))
        q = rope((a @ w("attn_q").T).reshape(n, heads, dim))
        k = rope((a @ w("attn_k").T).reshape(n, kv_heads, dim)).repeat(heads // kv_heads, 1)
        v = (a @ w("attn_v").T).reshape(n, kv_heads, dim).repeat(heads // kv_heads, 1)
        s = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(dim) + mask
        p = np.exp(s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        x = x + np.einsum("hij,jhd->ihd", p, v).reshape(n, -1) @ w("attn_output").T
        m = norm(x, w("ffn_norm"))
        g = m @ w("ffn_gate").T
        x = x + (g / (1 + np.exp(-g)) * (m @ w("ffn_up").T)) @ w("ffn_down").T
    head = weights.get("output.weight", weights["token_embd.weight"])
    return norm(x[-1], weights["output_norm.weight"]) @ head.T


tokens = field("tokenizer.ggml.tokens")
merges = [tuple(m.split(" ")) for m in field("tokenizer.ggml.merges")]
tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)
tokenizer.decoder = decoders.ByteLevel()
types = field("tokenizer.ggml.token_type")
tokenizer.add_special_tokens([AddedToken(t, special=True) for t, k in zip(tokens, types) if k == 3])
encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids

out = {"texts": [{"text": t, "ids": encode(t)} for t in TEXTS], "logits": []}
for prompt in PROMPTS:
    last = logits(encode(prompt))
    top = np.argsort(-last)[:20]
    out["logits"].append({"prompt": prompt, "top": [[int(i), round(float(last[i]), 6)] for i in top]})
print(json.dumps(out, indent=None, separators=(",", ":")).replace('},{', '},\n{'))
