"""lm-evaluation-harness against `accllm serve`: arguments are the server's URL, the JSON of `accllm eval-choices` for the
same questions, and a folder for results. All scores must be the same, to the last bit."""

import json
import os
import pathlib
import subprocess
import sys

url, ours, folder = sys.argv[1], json.loads(sys.argv[2]), pathlib.Path(sys.argv[3])
tasks = pathlib.Path(__file__).parent / "lm_eval"
arguments = f"model=bundled,base_url={url}/v1/completions,num_concurrent=1,max_retries=1,tokenizer_backend=remote"
command = [sys.executable, "-m", "lm_eval", "--model", "local-completions", "--model_args", arguments,
           "--tasks", "accllm_tales", "--include_path", str(tasks), "--batch_size", "3",
           "--output_path", str(folder / "out"), "--log_samples"]
environment = dict(os.environ, HF_HOME=str(folder / "hf"), HF_DATASETS_OFFLINE="1", HF_HUB_OFFLINE="1")
# The paths in the task's file are relative to it.
done = subprocess.run(command, cwd=tasks, env=environment, capture_output=True, text=True)
assert done.returncode == 0, done.stdout + done.stderr

results = json.loads(next((folder / "out").rglob("results_*.json")).read_text())["results"]["accllm_tales"]
for name in ["acc", "acc_norm", "acc_stderr", "acc_norm_stderr"]:
    theirs = results[f"{name},none"]
    assert f"{theirs:.4f}" == f"{ours[name]:.4f}", f"{name}: {theirs} there, {ours[name]} here"
samples = [json.loads(line) for line in next((folder / "out").rglob("samples_*.jsonl")).read_text().splitlines()]
samples = {s["doc_id"]: s for s in samples}
assert len(samples) == len(ours["logprobs"]) == ours["questions"], (len(samples), ours["questions"])
for i, logprobs in enumerate(ours["logprobs"]):
    theirs = [float(r[0][0]) for r in samples[i]["resps"]]
    assert theirs == logprobs, f"question {i}: {theirs} there, {logprobs} here"
print("ok", len(samples), "questions")
