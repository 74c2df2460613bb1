"""Learned models: a file in ONNX that adds to the forecast, its version, and which one is in use."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from msgspec import Struct
from numpy.typing import NDArray

from actors.ranker.features import INPUTS
from actors.ranker.signals import MOST_LEARNED, Column
from actors.runtime.db import Connection, load_queries
from contracts.errors import Reject

__all__ = ["Judgement", "Model", "Report", "in_use", "promote", "retire", "store", "version_of"]

Q: Final = load_queries(Path(__file__).with_name("model.sql"))


class Judgement(Struct, frozen=True, kw_only=True):
    """How an order did on the validation days: means over days."""

    ndcg_growth: float
    spearman_growth: float
    precision_growth: float
    ndcg_views: float


class Report(Struct, frozen=True, kw_only=True):
    """What a training came to."""

    made_at: datetime
    works: int
    fit_examples: int
    fit_days: int
    validation_examples: int
    validation_days: int
    forecast: Judgement | None = None
    model: Judgement | None = None
    lead_low: float | None = None
    lead_high: float | None = None
    calibration: tuple[float, float] = (0.0, 1.0)
    fifths: tuple[tuple[float, float], ...] = ()
    better: bool = False
    because: str = ""


class Model:
    """A model that is loaded. Not pickled: the file can do nothing but arithmetic."""

    def __init__(self, onnx: bytes, *, version: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.version = version
        self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        (given,) = self._session.get_inputs()
        if given.shape[-1] != len(INPUTS):
            raise Reject(
                f"model {version} expects {given.shape[-1]} inputs, this program has {len(INPUTS)}",
                mend="train it anew",
            )
        self._input = given.name

    def residuals(self, inputs: NDArray[np.float32]) -> Column:
        """Return what to add to each forecast, log units, at most MOST_LEARNED either way."""
        found = np.asarray(self._session.run(None, {self._input: inputs})[0], dtype=np.float64)
        return np.clip(found.reshape(-1), -MOST_LEARNED, MOST_LEARNED)


def version_of(onnx: bytes, made_at: datetime) -> str:
    """Name a model by when it was trained and what it holds."""
    return f"{made_at:%Y%m%dT%H%M%SZ}-{hashlib.sha256(onnx).hexdigest()[:8]}"


async def store(conn: Connection, onnx: bytes, report: Report) -> str:
    """Keep a model with its report; it is not in use yet. Returns its version."""
    version = version_of(onnx, report.made_at)
    await conn.execute(Q["store"], version, report.made_at, INPUTS, onnx, report, report.better)
    return version


async def promote(conn: Connection, version: str, *, at: datetime) -> None:
    """Put a model to use in place of the one before. Raises: Reject if it was not better on the validation days."""
    row = await conn.fetchrow(Q["judged"], version)
    if row is None:
        raise Reject(f"there is no model {version}", mend="train one")
    if not row["better"]:
        report = msgspec.convert(row["report"], Report, strict=False)
        raise Reject(f"model {version} is not promoted: {report.because}", mend="train again when there is more data")
    async with conn.transaction():
        await conn.execute(Q["retire"], at)
        await conn.execute(Q["promote"], version, at)


async def retire(conn: Connection, *, at: datetime) -> None:
    """Go back to the forecast alone."""
    await conn.execute(Q["retire"], at)


async def in_use(conn: Connection) -> Model | None:
    """Return the model that is in use, loaded once by a process; None: the forecast alone ranks."""
    version = await conn.fetchval(Q["version_in_use"], INPUTS)
    if version is None:
        return None
    if version not in _LOADED:
        row = await conn.fetchrow(Q["in_use"], INPUTS)
        if row is None:
            return None
        _LOADED.clear()
        _LOADED[row["version"]] = Model(row["onnx"], version=row["version"])
        version = row["version"]
    return _LOADED[version]


_LOADED: Final[dict[str, Model]] = {}
"""The model that this process used last, by version."""
