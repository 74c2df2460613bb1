"""Background tasks end when they are told to."""

from __future__ import annotations

import asyncio

from actors.runtime.tasks import end_tasks


async def test_a_task_that_lost_a_cancellation_is_cancelled_again() -> None:
    """A gateway, or a replica, does not stop, and is killed with work in hand."""
    lost = 0

    async def loop() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60.0)
            except asyncio.CancelledError:
                if lost:
                    raise
                lost += 1

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    async with asyncio.timeout(10.0):
        await end_tasks([task], again_s=0.01)
    assert (task.cancelled(), lost) == (True, 1)


async def test_nothing_to_end_and_what_has_failed_are_no_trouble() -> None:
    """The fault of one task keeps the others running."""

    async def fail() -> None:
        raise ValueError("x")

    failed = asyncio.create_task(fail())
    await asyncio.wait([failed])
    endless = asyncio.create_task(asyncio.sleep(60.0))
    await end_tasks([])
    await end_tasks([failed, endless])
    assert endless.cancelled()
    assert isinstance(failed.exception(), ValueError)
