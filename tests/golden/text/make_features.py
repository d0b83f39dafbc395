# SPDX-License-Identifier: Apache-2.0
"""Writes features.jsonl: what jinja2, set up as transformers does, renders for each small template of feature_cases.py and family_cases.py.

  pip install jinja2 transformers;  python3 tests/golden/text/make_features.py

Line 1 holds the shared context; every other line a case: {"name", "template", "expected"} or {"name", "template", "error": class and message},
and "context" where it is not the shared one.
"""
import copy
import datetime
import json
import pathlib

from transformers.utils import chat_template_utils

import family_cases
import feature_cases

NOW = datetime.datetime(2024, 7, 26, 9, 5, 3)


def render(source, context):
    try:
        template = chat_template_utils._compile_jinja_template(source)
        template.globals["strftime_now"] = NOW.strftime
        return {"expected": template.render(**copy.deepcopy(context))}
    except Exception as error:  # whatever refuses a template: only that it refuses is compared
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    out = pathlib.Path(__file__).with_name("features.jsonl").open("w", encoding="utf-8")
    write = lambda record: out.write(json.dumps(record, ensure_ascii=True) + "\n")
    write({"context": feature_cases.CONTEXT})
    for group, sources in feature_cases.CASES.items():
        for number, source in enumerate(sources, 1):
            result = render(source, feature_cases.CONTEXT)
            assert " at 0x" not in result.get("expected", ""), source
            write({"name": f"{group} {number}", "template": source, **result})
    for family, source in family_cases.TEMPLATES.items():
        for number, context in enumerate(family_cases.CONTEXTS, 1):
            write({"name": f"{family} {number}", "template": source, "context": context, **render(source, context)})


if __name__ == "__main__":
    main()
