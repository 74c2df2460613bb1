"""The renderer's child process without the decoding of finished chunks, for `benchmarks.render` only."""

from __future__ import annotations

from actors.renderer import child  # first: it sets what NumPy reads when it is imported

# isort: split
from fractions import Fraction
from pathlib import Path

import av

from actors.renderer import gate
from actors.renderer.job import Request
from actors.runtime import isolate
from contracts.plan import Output

__all__ = ["packets_only"]


def packets_only(path: Path, output: Output, composed: gate.Signature) -> tuple[str, int]:
    """Return what the gate returns, without looking."""
    fps = Fraction(output.fps.num, output.fps.den)
    with av.open(str(path)) as container:
        packets = list(gate.whole_packets(container, container.streams.video[0]))
    assert len(packets) == len(composed)
    delay = max(at - round((packet.pts or 0) * packet.time_base * fps) for at, packet in enumerate(packets))
    return gate.packet_digest(packets), delay


if __name__ == "__main__":
    gate.check_chunk = packets_only
    isolate.serve(Request, child.answer)
