"""Meta's upload host, imitated: a body belongs at its `offset`, and bytes are hashed and forgotten.

Docs: developers.facebook.com/docs/video-api/guides/reels-publishing, "Upload the video", read 2026-11.
"""

from __future__ import annotations

import aiohttp
from aiohttp import web

from deploy.sandbox.context import Refused
from deploy.sandbox.faults import drain, fault_of, hang_up
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.posted import BLOCK_BYTES

__all__ = ["failed", "refusal", "take"]


def failed(status: int, kind: str, message: str, *, retriable: bool) -> web.Response:
    """Answer with the upload host's own error object."""
    body = {"debug_info": {"retriable": retriable, "type": kind, "message": message}}
    return web.json_response(body, status=status)


def refusal(status: int, reason: str) -> web.Response:
    """Answer with an error; reason: its type."""
    kind = reason or ("NotAuthorizedError" if status == 401 else "ServerError" if status >= 500 else "RequestError")
    return failed(status, kind, "The request failed", retriable=status in {408, 429} or status >= 500)


async def take(stage: Stage, request: web.Request, upload: str, size_bytes: int | None) -> int:
    """Read the body of an upload as far as it comes; return the size of the whole file.

    size_bytes: what earlier requests said that it is. Raises: Refused.
    """
    offset, total = (request.headers.get(name, "") for name in ("offset", "file_size"))
    there = stage.receiver.size(upload)
    if not (offset.isdigit() and total.isdigit() and int(total) > 0):
        await drain(request)
        raise Refused(failed(400, "HeaderInvalidError", "offset and file_size must be numbers", retriable=False))
    if int(offset) != there:
        await drain(request)
        words = f"Offset {offset} does not match the {there} bytes that were received"
        raise Refused(failed(400, "OffsetInvalidError", words, retriable=True))
    if size_bytes is not None and int(total) != size_bytes:
        await drain(request)
        raise Refused(failed(400, "ProcessingFailedError", "file_size differs from before", retriable=False))
    if request.content_length is not None and request.content_length != int(total) - there:
        await drain(request)
        raise Refused(
            failed(400, "PartialRequestError", "Partial request (did not match length of file)", retriable=True)
        )
    cut = fault_of(request, "drop_mid_body")
    keep = int(total) - there
    if cut is not None:
        keep = keep // 2 if cut.after_bytes is None else cut.after_bytes
    arrived = 0
    try:
        async for block in request.content.iter_chunked(BLOCK_BYTES):
            stage.receiver.add(upload, block if cut is None else block[: max(0, keep - arrived)])
            arrived += len(block)
            if cut is not None and arrived >= keep:
                raise Refused(hang_up(request))
    except (ConnectionError, aiohttp.ClientError):
        raise Refused(hang_up(request)) from None
    if stage.receiver.size(upload) != int(total):
        words = "Partial request (did not match length of file)"
        raise Refused(failed(400, "PartialRequestError", words, retriable=True))
    return int(total)
