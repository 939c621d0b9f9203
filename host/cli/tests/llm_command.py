"""What the `llm` command sees of `accllm serve`. Arguments: base URL, the JSON of `accllm run` for the prompt "Once upon a time"
with 24 tokens, and a folder for its files."""

import json
import os
import pathlib
import subprocess
import sys

url, greedy, folder = sys.argv[1], json.loads(sys.argv[2]), pathlib.Path(sys.argv[3]) / "llm"
folder.mkdir()
environment = {**os.environ, "LLM_USER_PATH": str(folder)}
# As its documentation has it for servers that speak OpenAI's protocol.
entry = "- model_id: {name}\n  model_name: bundled\n  api_base: {url}/v1\n  api_key_name: none\n{more}"
(folder / "extra-openai-models.yaml").write_text(
    entry.format(name="tales", url=url, more="  completion: true\n") + entry.format(name="talk", url=url, more="")
)
(folder / "keys.json").write_text(json.dumps({"none": "none"}))


def llm(*arguments, text=None):
    return subprocess.run(
        [sys.executable, "-m", "llm", *arguments], env=environment, input=text, capture_output=True, text=True, timeout=120
    )


def answer(*arguments, **more):
    done = llm(*arguments, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def same(a, b):
    assert a == b, f"{a!r} is not {b!r}"


models = answer("models")
assert "tales" in models and "talk" in models, models
# Whole and in pieces, from the command line and from a pipe.
options = ["-m", "tales", "-o", "max_tokens", "24"]
same(answer(*options, "--no-stream", "Once upon a time").rstrip("\n"), greedy["text"].rstrip("\n"))
same(answer(*options, "Once upon a time").rstrip("\n"), greedy["text"].rstrip("\n"))
same(answer(*options, "--no-stream", text="Once upon a time").rstrip("\n"), greedy["text"].rstrip("\n"))
sampled = [*options, "-o", "temperature", "0.9", "-o", "seed", "7", "--no-stream", "Once upon a time"]
same(answer(*sampled), answer(*sampled))
# A conversation that goes on, and what it has kept of it.
first = answer("-m", "talk", "-o", "max_tokens", "8", "--no-stream", "Hello")
second = answer("-c", "-m", "talk", "-o", "max_tokens", "8", "--no-stream", "And then?")
assert first and second
logs = json.loads(answer("logs", "-n", "2", "--json"))
same(logs[0]["conversation_id"], logs[1]["conversation_id"])
same({entry["prompt"] for entry in logs}, {"Hello", "And then?"})
# What the server refuses, the command says.
refused = llm("-m", "tales", "-o", "temperature", "1.5", "-o", "max_tokens", "100000", "Once")
assert refused.returncode != 0 and "max_tokens" in refused.stderr, refused.stderr
print("ok")
