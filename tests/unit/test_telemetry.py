"""Traces and metrics: nothing when off, true when on."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from actors.runtime import telemetry
from actors.runtime.telemetry import Sample
from contracts.errors import Reject

FLOW = str(uuid.uuid5(uuid.NAMESPACE_URL, "flow"))


@pytest.fixture(autouse=True)
def off_again() -> Iterator[None]:
    yield
    telemetry.stop()


def test_off_by_default() -> None:
    """Without settings the calls must cost nothing and keep nothing, or every user pays for what few use."""
    telemetry.start("renderer", {})
    with telemetry.span("handle", correlation_id=FLOW, event="e1"):
        telemetry.count("handled", outcome="done")
        telemetry.observe("handle", 0.2)
    assert telemetry.exposition() is None


def test_importing_loads_no_extra() -> None:
    """The default install has no telemetry packages: importing them would break every start."""
    code = (
        "import sys; from actors.runtime import telemetry; telemetry.start('x', {}); telemetry.count('a');"
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'prometheus_client'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "[]"


def test_counts_and_durations_come_out_as_prometheus_text() -> None:
    """A dashboard would show wrong numbers if counts, durations or gauges were lost or mislabelled."""
    telemetry.start("gateway", {}, metrics=True)
    telemetry.count("messages.handled", consumer="renderer-render-requested", outcome="done")
    telemetry.count("messages.handled", consumer="renderer-render-requested", outcome="done")
    telemetry.observe("handle", 0.004, consumer="renderer-render-requested")
    shown = telemetry.exposition(
        [
            Sample(name="items", help="Items, by stage.", value=3, labels={"stage": "measured"}),
            Sample(name="items", help="Items, by stage.", value=1, labels={"stage": "stopped"}),
        ]
    )
    assert shown is not None
    text, content_type = shown
    lines = text.decode().splitlines()
    assert content_type.startswith("text/plain")
    assert 'ettametta_messages_handled_total{consumer="renderer-render-requested",outcome="done"} 2.0' in lines
    assert 'ettametta_handle_seconds_bucket{consumer="renderer-render-requested",le="0.005"} 1.0' in lines
    assert 'ettametta_handle_seconds_bucket{consumer="renderer-render-requested",le="0.002"} 0.0' in lines
    assert 'ettametta_items{stage="measured"} 3.0' in lines
    assert 'ettametta_items{stage="stopped"} 1.0' in lines


def test_spans_of_one_flow_meet_in_one_trace() -> None:
    """A flow crosses six processes: if their spans do not share its trace, nobody can follow one video."""
    spans = InMemorySpanExporter()
    telemetry.start("editor", {}, exporter=spans)
    with telemetry.span("edit", correlation_id=FLOW, event_id="e1"), telemetry.span("probe"):
        pass
    with pytest.raises(ZeroDivisionError), telemetry.span("render", correlation_id=FLOW):
        raise ZeroDivisionError
    telemetry.stop()
    by_name = {span.name: span for span in spans.get_finished_spans()}
    trace_ids = {span.context.trace_id for span in by_name.values() if span.context}
    assert trace_ids == {uuid.UUID(FLOW).int}
    edit, probe = by_name["edit"], by_name["probe"]
    assert edit.context is not None
    assert probe.parent is not None
    assert probe.parent.span_id == edit.context.span_id
    assert edit.attributes == {"event_id": "e1"}
    assert not by_name["render"].status.is_ok
    assert edit.status.is_unset


def test_traceparent_names_the_same_trace_for_any_id() -> None:
    """A program outside may choose its own correlation id; its trace must still be found and well-formed."""
    version, trace_id, span_id, flags = telemetry.traceparent(FLOW).split("-")
    assert (version, trace_id, flags) == ("00", uuid.UUID(FLOW).hex, "01")
    assert len(span_id) == 16
    own = telemetry.traceparent("my-run-7")
    assert own == telemetry.traceparent("my-run-7") != telemetry.traceparent("my-run-8")
    assert len(own.split("-")[1]) == 32


def test_a_wrong_port_is_named() -> None:
    """A mistyped METRICS_PORT must be reported, not end in a stack trace or in no metrics."""
    with pytest.raises(Reject, match="METRICS_PORT: 'http' is not a port"):
        telemetry.start("scanner", {"METRICS_PORT": "http"})
