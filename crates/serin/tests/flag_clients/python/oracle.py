"""Evaluates flags as flagd's own Python evaluator does (`fractional` v3).

A line in: {"document": flagd document, "contexts": [context, ...]}.
A line out: for each flag, sorted by key, and each context an answer.
"""

import json
import logging
import sys

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError

DEFAULTS = [(bool, "boolean", False), (str, "string", ""), ((int, float), "float", 0.0)]


def kind(value):
    for types, name, default in DEFAULTS:
        if isinstance(value, types):
            return name, default
    return "object", {}


def answer(core, key, value, context):
    name, default = kind(value)
    attributes = dict(context)
    asked = EvaluationContext(attributes.pop("targetingKey", None), attributes)
    try:
        found = getattr(core, f"resolve_{name}_value")(key, default, asked)
    except OpenFeatureError as error:
        return {"error": error.error_code.value}
    except Exception as error:  # What the evaluator lets through is part of its answer.
        return {"error": f"raised {type(error).__name__}"}
    if found.variant is None:
        return {"reason": found.reason}
    return {"reason": found.reason, "variant": found.variant, "value": found.value}


def answers(asked):
    core = FlagdCore()
    # A copy, because the evaluator changes what it is given.
    core.set_flags(json.dumps(asked["document"]))
    flags = asked["document"]["flags"]
    return [
        [
            answer(core, key, next(iter(flags[key]["variants"].values())), context)
            for context in asked["contexts"]
        ]
        for key in sorted(flags)
    ]


logging.disable(logging.CRITICAL)
for line in sys.stdin:
    print(json.dumps(answers(json.loads(line))), flush=True)
