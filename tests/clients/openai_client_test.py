# SPDX-License-Identifier: Apache-2.0
"""The unchanged openai package against a running server.

  TOKENWORKS_URL=http://127.0.0.1:8000 python3 tests/clients/openai_client_test.py
"""
import asyncio
import math
import os
import sys

import openai

URL = os.environ.get("TOKENWORKS_URL", "http://127.0.0.1:8000").rstrip("/") + "/v1"
CLIENT = openai.OpenAI(base_url=URL, api_key="none", max_retries=0, timeout=120)
USER = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name three colours."}]
CHECKS = []


def check(name, holds, seen=""):
    CHECKS.append(bool(holds))
    if not holds:
        print(f"FAILED {name}: {seen}")


def chat(**more):
    return CLIENT.chat.completions.create(model="default", messages=USER, **{"max_tokens": 24, "seed": 1, **more})


def complete(**more):
    return CLIENT.completions.create(model="default", prompt="The sea is", **{"max_tokens": 12, "seed": 1, **more})


def models():
    listed = CLIENT.models.list().data
    check("one model", len(listed) == 1 and listed[0].object == "model", listed)
    check("retrieve", CLIENT.models.retrieve(listed[0].id).id == listed[0].id)


def plain():
    answer = chat(temperature=0)
    choice = answer.choices[0]
    check("chat", answer.object == "chat.completion" and choice.message.role == "assistant" and choice.message.content, answer)
    check("chat finish", choice.finish_reason in ("stop", "length"), choice)
    check("chat usage", answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens and 0 < answer.usage.completion_tokens <= 24, answer.usage)
    check("timings", answer.model_extra["timings"]["path"] in ("local", "disaggregated"), answer.model_extra)
    text = complete(temperature=0)
    check("completion", text.object == "text_completion" and text.choices[0].text and text.usage.completion_tokens <= 12, text)
    check("both limit names", chat(max_tokens=openai.NOT_GIVEN, max_completion_tokens=2).usage.completion_tokens <= 2)
    prompts = CLIENT.completions.create(model="default", prompt=["One", "Two"], max_tokens=3, n=2, seed=3)
    check("two prompts, two choices", sorted(c.index for c in prompts.choices) == [0, 1, 2, 3], prompts)
    ids = CLIENT.completions.create(model="default", prompt=[72, 105], max_tokens=2)
    check("token ids", ids.usage.prompt_tokens == 2, ids.usage)


def streams():
    whole = chat(temperature=0)
    chunks = list(chat(temperature=0, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    check("stream = whole", text == whole.choices[0].message.content, (text, whole.choices[0].message.content))
    check("one id, one time", len({(c.id, c.created, c.model) for c in chunks}) == 1)
    check("one finish", [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [whole.choices[0].finish_reason])
    check("role first", chunks[0].choices[0].delta.role == "assistant", chunks[0])
    check("stream usage", chunks[-1].usage.completion_tokens == whole.usage.completion_tokens and not chunks[-1].choices, chunks[-1])
    check("stream timings", "timings" in chunks[-1].model_extra, chunks[-1])
    check("no empty choices unasked", all(c.choices for c in chat(stream=True)))
    text = "".join(c.choices[0].text for c in complete(temperature=0, stream=True))
    check("completion stream", text == complete(temperature=0).choices[0].text, text)
    with CLIENT.chat.completions.stream(model="default", messages=USER, max_completion_tokens=400, temperature=0) as events:
        final = events.get_final_completion() if all(event.type for event in events) else None
    check("stream helper", final.choices[0].message.content, final)
    stream = chat(stream=True, max_tokens=200)
    next(iter(stream))
    stream.close()
    check("a closed stream harms nobody", chat().choices)


async def asynchronous():
    client = openai.AsyncOpenAI(base_url=URL, api_key="none", max_retries=0, timeout=120)

    async def one(seed):
        stream = await client.chat.completions.create(model="default", messages=USER, max_tokens=8, seed=seed, stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream])

    texts = await asyncio.gather(*(one(i % 4) for i in range(16)))
    check("same seed, same text among many", all(texts[i] == texts[i % 4] for i in range(16)), texts)
    await client.close()


def parameters():
    many = chat(n=3, temperature=1.2)
    check("n", [c.index for c in many.choices] == [0, 1, 2], many.choices)
    check("seed", [c.message.content for c in many.choices] == [c.message.content for c in chat(n=3, temperature=1.2).choices])
    base = complete(temperature=0, max_tokens=12).choices[0].text
    word = base[4:6]
    stopped = complete(temperature=0, max_tokens=12, stop=[word])
    check("stop", stopped.choices[0].text == base[: base.index(word)] and stopped.choices[0].finish_reason == "stop", (base, word, stopped))
    streamed = "".join(c.choices[0].text for c in complete(temperature=0, max_tokens=12, stop=word, stream=True))
    check("stop in a stream", streamed == stopped.choices[0].text, streamed)
    content = chat(logprobs=True, top_logprobs=3, temperature=0).choices[0].logprobs.content
    check("logprobs", all(t.logprob <= 0 and len(t.top_logprobs) <= 3 and isinstance(t.bytes, list) for t in content) and len(content) > 0, content[:2])
    check("top logprobs fall", all(t.top_logprobs[i].logprob >= t.top_logprobs[i + 1].logprob for t in content for i in range(len(t.top_logprobs) - 1)))
    text = complete(logprobs=2, temperature=0).choices[0].logprobs
    check("completion logprobs", len(text.tokens) == len(text.token_logprobs) == len(text.top_logprobs) == len(text.text_offset) and math.isfinite(text.token_logprobs[0]), text)
    extra = complete(extra_body={"min_p": 0.1, "top_k": 5, "ignore_eos": True, "return_token_ids": True}, max_tokens=7)
    check("extra fields", len(extra.choices[0].model_extra["token_ids"]) == 7 and extra.choices[0].finish_reason == "length", extra)


def raises(name, kind, call, code=None, param=None):
    try:
        call()
    except kind as error:
        return check(name, (code is None or error.code == code) and (param is None or error.param == param), (error.code, error.param, error.message))
    except openai.OpenAIError as error:
        return check(name, False, repr(error))
    check(name, False, "no error")


def errors():
    raises("unknown model", openai.NotFoundError, lambda: CLIENT.chat.completions.create(model="gpt-9", messages=USER), "model_not_found", "model")
    raises("unknown model to retrieve", openai.NotFoundError, lambda: CLIENT.models.retrieve("gpt-9"))
    raises("temperature", openai.BadRequestError, lambda: chat(temperature=-1), param="temperature")
    raises("too long", openai.BadRequestError, lambda: CLIENT.completions.create(model="default", prompt=[5] * 100_000), "context_length_exceeded")
    raises("before the stream", openai.BadRequestError, lambda: chat(stream=True, top_p=7), param="top_p")
    raises("no image", openai.BadRequestError, lambda: CLIENT.chat.completions.create(
        model="default", messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]))
    raises("no tools yet", openai.BadRequestError, lambda: chat(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}]), param="tools")
    raises("no such path", openai.NotFoundError, lambda: CLIENT.images.generate(prompt="x"))


if __name__ == "__main__":
    for part in (models, plain, streams, parameters, errors):
        try:
            part()
        except Exception as error:  # a part that breaks off is one failure; the others still run
            check(part.__name__, False, repr(error))
    asyncio.run(asynchronous())
    print(f"openai {openai.__version__}: {sum(CHECKS)} passed, {len(CHECKS) - sum(CHECKS)} failed")
    sys.exit(0 if all(CHECKS) else 1)
