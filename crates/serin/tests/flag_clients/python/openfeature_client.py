"""OpenFeature's Python SDK: `openfeature_client.py ofrep|rpc|in-process HOST PORT`."""

import sys

import lines
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent

kind, host, port = sys.argv[1:]

if kind == "ofrep":
    provider = OFREPProvider(f"http://{host}:{port}")
else:
    resolver = ResolverType.RPC if kind == "rpc" else ResolverType.IN_PROCESS
    provider = FlagdProvider(
        host=host, port=int(port), resolver_type=resolver, deadline_ms=20000
    )

api.set_provider_and_wait(provider)
client = api.get_client()
client.add_handler(
    ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda _: lines.event("changed")
)


def answer(asked):
    attributes = dict(asked["context"])
    context = EvaluationContext(attributes.pop("targetingKey", None), attributes)
    resolve = getattr(client, f"get_{asked['type']}_details")
    found = resolve(asked["flag"], asked["default"], context)
    return {
        "value": found.value,
        "variant": found.variant,
        "reason": found.reason,
        "error": found.error_code and found.error_code.value,
    }


lines.event("ready")
lines.serve(answer)
