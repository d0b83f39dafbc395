# SPDX-License-Identifier: Apache-2.0
"""Requests with varied parameters, made from a seed. All carry a seed of their own and ask for ids and logprobs."""
import random

WORDS = ("the model reads a prompt and writes one token after another while blocks of keys and values move between "
         "workers so that nobody waits for long and nothing that was said is ever taken back again").split()


def prompt(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words))


def make(count, seed=7, longest=420):
    rng = random.Random(seed)
    shared = prompt(rng, 90)  # a prefix that several requests have in common
    requests = []
    for i in range(count):
        words = rng.choice([1, 3, 12, 40, 130, longest]) if i % 5 else 60
        text = (shared + " " if i % 4 == 0 else "") + prompt(rng, words)
        body = {"model": "default", "prompt": text, "max_tokens": rng.choice([1, 2, 8, 17, 24]), "seed": 1000 + i,
                "logprobs": rng.choice([0, 3, 5]), "return_token_ids": True,
                "temperature": rng.choice([0, 0, 0.3, 0.8, 1.0, 1.5])}
        extra = [{}, {"top_k": 40}, {"top_p": 0.9}, {"min_p": 0.05}, {"repetition_penalty": 1.2},
                 {"frequency_penalty": 0.5, "presence_penalty": 0.3}, {"logit_bias": {"260": 3.0, "28": -100}},
                 {"ignore_eos": True, "min_tokens": 6, "max_tokens": 20}, {"n": 2}, {"n": 3, "top_k": 20, "top_p": 0.95},
                 {"stop": [" and", "."]}, {"stop_token_ids": [30, 281]}][i % 12]
        body.update(extra)
        requests.append(body)
    return requests


def essence(answer):
    """What must not depend on the way: ids, logprobs, finish reasons, text."""
    status, body = answer
    if status != 200:
        return (status, body)
    return [(c["index"], tuple(c["token_ids"]), c["finish_reason"], c["text"], tuple(c["logprobs"]["token_logprobs"]),
             tuple(tuple(sorted(t.items())) for t in c["logprobs"]["top_logprobs"] or ()))
            for c in sorted(body["choices"], key=lambda c: c["index"])]
