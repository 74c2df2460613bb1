"""Traces and metrics behind the extra `telemetry`; every call is a no-op until `start` finds them wanted.

Spans go out by OTLP/HTTP when OTEL_EXPORTER_OTLP_ENDPOINT is set; METRICS_PORT serves this process's metrics as
Prometheus text. A trace needs nothing carried along: its id is the flow's correlation id, so that every span
of one flow meets in one trace, in whichever process it was made and however long the outbox kept the event.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from actors.runtime.extras import install
from contracts.errors import Reject

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer
    from prometheus_client import CollectorRegistry, Counter, Histogram

__all__ = ["Sample", "count", "exposition", "how_to_get", "observe", "span", "start", "stop", "traceparent"]

PREFIX: Final = "ettametta_"
BUCKETS_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0)


class Sample(Struct, frozen=True, kw_only=True):
    """One value read at the moment of the scrape."""

    name: str
    help: str
    value: float
    labels: dict[str, str] = {}


class _Metrics:
    """This process's counters and histograms, made on first use."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415 - an extra, loaded when on

        self.registry: CollectorRegistry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self.close: Callable[[], None] = _nothing

    def count(self, name: str, labels: Mapping[str, str]) -> None:
        from prometheus_client import Counter  # noqa: PLC0415 - an extra, loaded when on

        if name not in self._counters:
            self._counters[name] = Counter(
                _metric(name), f"{name}, count.", labelnames=sorted(labels), registry=self.registry
            )
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc()

    def observe(self, name: str, seconds: float, labels: Mapping[str, str]) -> None:
        from prometheus_client import Histogram  # noqa: PLC0415 - an extra, loaded when on

        if name not in self._histograms:
            self._histograms[name] = Histogram(
                _metric(name) + "_seconds",
                f"{name}, seconds.",
                labelnames=sorted(labels),
                buckets=BUCKETS_S,
                registry=self.registry,
            )
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(seconds)


class _State:
    metrics: _Metrics | None = None
    tracer: Tracer | None = None
    provider: TracerProvider | None = None


_STATE: Final = _State()


def start(
    service: str,
    env: Mapping[str, str] = os.environ,
    *,
    metrics: bool = False,
    exporter: SpanExporter | None = None,
) -> None:
    """Switch on what `env` asks for. `metrics` collects them without a port of their own, where they are installed.

    Args: service: name of this process in traces; exporter: where spans go instead of the OTLP endpoint.
    Raises: Reject if something is asked for that is not installed.
    """
    if exporter is not None or env.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        _need("opentelemetry.sdk", "OTEL_EXPORTER_OTLP_ENDPOINT is set")
        _start_tracing(service, exporter)
    port = env.get("METRICS_PORT", "")
    if port:
        _need("prometheus_client", "METRICS_PORT is set")
    if _STATE.metrics is None and (port or (metrics and find_spec("prometheus_client") is not None)):
        _STATE.metrics = _Metrics()
        if port:
            _STATE.metrics.close = _serve(_STATE.metrics.registry, env.get("METRICS_HOST", "127.0.0.1"), port)


def stop() -> None:
    """Send what is still held back and switch off."""
    if _STATE.provider is not None:
        _STATE.provider.shutdown()
    if _STATE.metrics is not None:
        _STATE.metrics.close()
    _STATE.metrics = _STATE.tracer = _STATE.provider = None


def span(name: str, *, correlation_id: str = "", **attributes: str | float) -> AbstractContextManager[None]:
    """Time a piece of work. An error inside marks the span and goes on.

    Args: correlation_id: puts the span in that flow's trace; empty: in the trace of the span around it.
    """
    return nullcontext() if _STATE.tracer is None else _recorded(_STATE.tracer, name, correlation_id, attributes)


def count(name: str, **labels: str) -> None:
    """Add one to a counter. A name always has the same labels."""
    if _STATE.metrics is not None:
        _STATE.metrics.count(name, labels)


def observe(name: str, seconds: float, **labels: str) -> None:
    """Add a duration to a histogram. A name always has the same labels."""
    if _STATE.metrics is not None:
        _STATE.metrics.observe(name, seconds, labels)


def traceparent(correlation_id: str) -> str:
    """Return the W3C Trace Context header of a flow. Source: www.w3.org/TR/trace-context, section 3.2."""
    return f"00-{_trace_id(correlation_id):032x}-{_root_span_id(correlation_id):016x}-01"


def exposition(samples: Iterable[Sample] = ()) -> tuple[bytes, str] | None:
    """Return this process's metrics and `samples` as Prometheus text with its content type; None: switched off."""
    if _STATE.metrics is None:
        return None
    from prometheus_client import CollectorRegistry, Gauge, generate_latest  # noqa: PLC0415 - an extra
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4  # noqa: PLC0415 - an extra

    read_now = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for sample in samples:
        if sample.name not in gauges:
            gauges[sample.name] = Gauge(
                _metric(sample.name), sample.help, labelnames=sorted(sample.labels), registry=read_now
            )
        gauge = gauges[sample.name]
        (gauge.labels(**sample.labels) if sample.labels else gauge).set(sample.value)
    return generate_latest(_STATE.metrics.registry) + generate_latest(read_now), CONTENT_TYPE_PLAIN_0_0_4


def how_to_get() -> str:
    """Say what is to be installed for metrics."""
    return f"metrics need the extra `telemetry`: {install('telemetry')}"


def _nothing() -> None:
    return None


def _metric(name: str) -> str:
    return PREFIX + name.replace(".", "_").replace("-", "_")


def _need(module: str, because: str) -> None:
    try:
        found = find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise Reject(
            f"{because}, but the extra `telemetry` is not installed",
            mend=f"{install('telemetry')}, or unset it",
        )


def _serve(registry: CollectorRegistry, host: str, port: str) -> Callable[[], None]:
    from prometheus_client import start_http_server  # noqa: PLC0415 - an extra, loaded when on

    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Reject(f"METRICS_PORT: '{port}' is not a port", mend="use a number from 1 to 65535")
    try:
        server, thread = start_http_server(int(port), addr=host, registry=registry)
    except OSError as error:
        raise Reject(
            f"METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}", mend="use a free port"
        ) from error

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return close


def _start_tracing(service: str, exporter: SpanExporter | None) -> None:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra, loaded when on
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra, loaded when on
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra, loaded when on

    if exporter is None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra

        exporter = OTLPSpanExporter()
    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "service.namespace": "ettametta"}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _STATE.provider = provider
    _STATE.tracer = provider.get_tracer("ettametta")


@contextmanager
def _recorded(tracer: Tracer, name: str, correlation_id: str, attributes: Mapping[str, str | float]) -> Iterator[None]:
    from opentelemetry.trace import (  # noqa: PLC0415 - an extra, loaded when on
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        set_span_in_context,
    )

    context = None
    if correlation_id:
        flow = SpanContext(
            trace_id=_trace_id(correlation_id),
            span_id=_root_span_id(correlation_id),
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )
        context = set_span_in_context(NonRecordingSpan(flow))
    with tracer.start_as_current_span(name, context=context, attributes=dict(attributes)):
        yield


def _trace_id(correlation_id: str) -> int:
    try:
        return uuid.UUID(correlation_id).int or 1
    except ValueError:
        return int.from_bytes(hashlib.sha256(correlation_id.encode()).digest()[:16]) or 1


def _root_span_id(correlation_id: str) -> int:
    return int.from_bytes(hashlib.sha256(b"root" + correlation_id.encode()).digest()[:8]) or 1
