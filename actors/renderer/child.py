"""The child process that renders: `python -m actors.renderer.child`, started by `render_file` only."""

from __future__ import annotations

from actors.renderer.engine import render
from actors.renderer.job import RenderRequest
from actors.runtime import isolate

if __name__ == "__main__":
    isolate.serve(RenderRequest, render)
