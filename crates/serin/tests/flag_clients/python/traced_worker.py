"""A worker that only traces: `traced_worker.py HOST PORT BAD`.

Its flag is evaluated by OpenFeature's SDK over OFREP; OpenFeature's own hook notes each evaluation
in the span of the job, and OpenTelemetry's exporter sends the spans. Jobs with the variant BAD fail
one time in three, others one in fifty.
"""

import random
import sys

import lines
from openfeature import api
from openfeature.contrib.hook.opentelemetry import TracingHook
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

host, port, bad = sys.argv[1:]
address = f"http://{host}:{port}"

exporter = OTLPSpanExporter(endpoint=f"{address}/v1/traces")
spans = TracerProvider()
spans.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
trace.set_tracer_provider(spans)
tracer = trace.get_tracer("mailer")

api.set_provider_and_wait(OFREPProvider(address))
api.add_hooks([TracingHook()])
client = api.get_client()
chance = random.Random(1)


class Failed(Exception):
    """What a job ends with that does not succeed."""


def job(user):
    # An error that leaves the span is its status.
    with tracer.start_as_current_span("send"):
        context = EvaluationContext(targeting_key=f"u{user}")
        found = client.get_boolean_details("new_checkout", False, context)
        if chance.randrange(3 if found.variant == bad else 50) == 0:
            raise Failed


lines.event("ready")
while True:
    try:
        job(chance.randrange(5000))
    except Failed:
        pass
