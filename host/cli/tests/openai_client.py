"""What OpenAI's Python client sees of `accllm serve`. Arguments: base URL, and the JSON of `accllm run` for the prompt
"Once upon a time" with 24 tokens, greedy and sampled (seed 7)."""

import json
import sys
import threading
import time

import openai

url, greedy, sampled = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
client = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=60)
PROMPT = "Once upon a time"


def same(a, b):
    assert a == b, f"{a!r} is not {b!r}"


def refused(kind, call, *words):
    try:
        call()
    except kind as e:
        for word in words:
            assert word in str(e), f"no {word!r} in {e}"
        return e
    raise AssertionError(f"not refused: {kind}")


# Models.
same([m.id for m in client.models.list()], ["bundled"])
same(client.models.retrieve("bundled").owned_by, "accllm")
refused(openai.NotFoundError, lambda: client.models.retrieve("other"), "bundled")

# Completions: whole, in pieces, sampled, with the parameters that clients send.
whole = client.completions.create(model="bundled", prompt=PROMPT, max_tokens=24)
same(whole.choices[0].text, greedy["text"])
same((whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens),
     (greedy["prompt_tokens"], 24, greedy["prompt_tokens"] + 24))
same(whole.choices[0].finish_reason, "length")
chunks = list(client.completions.create(model="bundled", prompt=PROMPT, max_tokens=24, stream=True,
                                        stream_options={"include_usage": True}))
same("".join(c.choices[0].text for c in chunks if c.choices), greedy["text"])
same([c.choices[0].finish_reason for c in chunks[-2:-1]], ["length"])
same(chunks[-1].usage.completion_tokens, 24)
for _ in range(2):
    out = client.completions.create(model="bundled", prompt=PROMPT, max_tokens=24, temperature=0.9, top_p=0.95,
                                    seed=7, extra_body={"top_k": 40}, user="me", n=1)
    same(out.choices[0].text, sampled["text"])
other = client.completions.create(model="bundled", prompt=PROMPT, max_tokens=24, temperature=1.5, seed=8)
assert other.choices[0].text != sampled["text"]
words = greedy["text"].split()
out = client.completions.create(model="bundled", prompt=PROMPT, max_tokens=24, stop=[words[5]])
same(out.choices[0].text, greedy["text"].split(words[5])[0])
same(out.choices[0].finish_reason, "stop")
same(len(client.completions.create(model="bundled", prompt=PROMPT).choices[0].text) > 0, True)

# Conversations. The bundled model has no template: messages are lines of a text.
messages = [{"role": "user", "content": PROMPT}]
chat = client.chat.completions.create(model="bundled", messages=messages, max_tokens=24)
same(chat.choices[0].message.content, greedy["text"])
same((chat.choices[0].message.role, chat.choices[0].finish_reason), ("assistant", "length"))
stream = client.chat.completions.create(model="bundled", messages=messages, max_completion_tokens=24, stream=True)
deltas = [c.choices[0].delta for c in stream]
same(deltas[0].role, "assistant")
same("".join(d.content or "" for d in deltas), greedy["text"])
messages += [chat.choices[0].message, {"role": "user", "content": [{"type": "text", "text": "The end came when"}]}]
again = client.chat.completions.create(model="bundled", messages=messages, max_tokens=8)
same(again.usage.prompt_tokens > chat.usage.total_tokens, True)
same(again.usage.prompt_tokens_details.cached_tokens > 4, True)

# Refusals arrive as the errors that the client has for them.
error = refused(openai.NotFoundError, lambda: client.completions.create(model="gpt-9", prompt="x"), "gpt-9", "bundled")
same((error.code, error.param), ("model_not_found", "model"))
error = refused(openai.BadRequestError, lambda: client.completions.create(model="bundled", prompt="x", temperature=-1))
same((error.type, "temperature" in error.message), ("invalid_request_error", True))
error = refused(openai.BadRequestError, lambda: client.completions.create(model="bundled", prompt="x", n=3))
same((error.param, error.code), ("n", "unsupported_parameter"))
error = refused(openai.BadRequestError, lambda: client.completions.create(model="bundled", prompt="word " * 9000))
same(error.code, "context_length_exceeded")
tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
refused(openai.BadRequestError,
        lambda: client.chat.completions.create(model="bundled", messages=messages, tools=[tool]), "tools")
refused(openai.APIStatusError, lambda: client.embeddings.create(model="bundled", input="x"), "/v1/embeddings")

# A stream that is closed early frees the engine: the next answer comes long before the first would have ended.
long = client.completions.create(model="bundled", prompt=PROMPT, max_tokens=1024, stream=True)
next(iter(long))
long.close()
same(client.completions.create(model="bundled", prompt=PROMPT, max_tokens=24).choices[0].text, greedy["text"])

# Several at once wait for each other.
texts = []
one = lambda: texts.append(client.completions.create(model="bundled", prompt=PROMPT, max_tokens=24).choices[0].text)
threads = [threading.Thread(target=one) for _ in range(6)]
for t in threads:
    t.start()
for t in threads:
    t.join()
same(texts, [greedy["text"]] * 6)
print("ok", openai.__version__)
