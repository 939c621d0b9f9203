"""The integer reference model beside llama.cpp: the same checkpoint, computer and threads.

    python3 tools/llama_bench.py MODEL.gguf QUANTIZED --accllm target/release/accllm [--threads 2] [--json]

MODEL.gguf runs in llama.cpp (llama-cpp-python), QUANTIZED is the folder that `accllm quantize` made of it. Both read a
window of 2,048 tokens at once, and decode 64 tokens one at a time after 128; the best of three runs counts. llama.cpp
computes the logits of the last token of a window only, the integer model those of all, as perplexity needs them: the ratio
of the first row is in llama.cpp's favour. `make llama-bench` installs what is needed and runs this.
"""

import argparse
import json
import subprocess
import time

WINDOW, CONTEXT, DECODED, RUNS = 2048, 128, 64, 3


def llama_cpp(path, threads):
    """Tokens per second of llama.cpp: read at once, and decoded."""
    from llama_cpp import Llama

    model = Llama(
        model_path=path, n_ctx=WINDOW, n_batch=512, n_threads=threads, n_threads_batch=threads, n_gpu_layers=0, verbose=False
    )
    text = [1 + i % 1000 for i in range(WINDOW)]
    read = decoded = 0.0
    for _ in range(RUNS):
        model.reset()
        start = time.perf_counter()
        model.eval(text)
        read = max(read, WINDOW / (time.perf_counter() - start))
        model.reset()
        model.eval(text[:CONTEXT])
        start = time.perf_counter()
        for token in text[:DECODED]:
            model.eval([token])
        decoded = max(decoded, DECODED / (time.perf_counter() - start))
    return {"score": read, "decode": decoded}


def integer(accllm, folder, threads):
    """The same of the integer model."""
    command = [accllm, "bench-cpu", folder, "--threads", str(threads), "--tokens", str(DECODED), "--json"]
    best = {"score": 0.0, "decode": 0.0}
    for _ in range(RUNS):
        report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        best = {k: max(v, report[f"{k}_tok_per_s"]) for k, v in best.items()}
    return best


def main():
    """Runs both and prints them side by side."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model", help="GGUF file")
    arguments.add_argument("quantized", help="folder of the quantized model")
    arguments.add_argument("--accllm", required=True, help="the accllm program")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--json", action="store_true", help="one JSON object on standard output")
    args = arguments.parse_args()
    ours, theirs = integer(args.accllm, args.quantized, args.threads), llama_cpp(args.model, args.threads)
    ratio = {k: ours[k] / theirs[k] for k in ours}
    if args.json:
        print(json.dumps({"threads": args.threads, "integer": ours, "llama_cpp": theirs, "ratio": ratio}))
        return
    print(f"tokens/s on {args.threads} threads (measured)   integer model   llama.cpp   ratio")
    for key, name in [("score", "a window of 2,048 at once"), ("decode", "one at a time")]:
        print(f"{name:<36}{ours[key]:>14.0f}{theirs[key]:>12.0f}{ratio[key]:>8.2f}")


if __name__ == "__main__":
    main()
