"""The catalogue's works as videos of other people's channels: found, read, counted, never uploaded.

A work under CC BY carries YouTube's Creative Commons mark, any other the standard licence: YouTube knows only these
two. Every fifth work hides its likes.
"""

from __future__ import annotations

import base64
import hashlib
import io

from PIL import Image

from deploy.sandbox.catalogue import WORKS, Catalogue, Listed
from deploy.sandbox.context import Sandbox
from deploy.sandbox.media import Probe
from deploy.sandbox.youtube_metadata import Metadata
from deploy.sandbox.youtube_resource import Video, channel_id_of

__all__ = ["Works"]

_PROCESSED = 1_000_000
_CATEGORY = "28"


class Works:
    """The works of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._catalogue = Catalogue(sandbox)
        self._by_id = {_id_of(work): work for work in WORKS}

    def all(self) -> list[Video]:
        return [self._video(key, work) for key, work in self._by_id.items()]

    def find(self, video_id: str) -> Video | None:
        work = self._by_id.get(video_id)
        return None if work is None else self._video(video_id, work)

    def thumbnail(self, video_id: str, size: tuple[int, int]) -> bytes | None:
        """Return a picture of the work, JPEG: the same at every size; None: there is no such work."""
        if video_id not in self._by_id:
            return None
        blocks = hashlib.sha512(video_id.encode()).digest() * 3
        out = io.BytesIO()
        Image.frombytes("RGB", (8, 8), blocks).resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
        return out.getvalue()

    def _video(self, video_id: str, work: Listed) -> Video:
        counts = self._catalogue.counts(work)
        return Video(
            id=video_id,
            channel_id=channel_id_of(work.creator),
            upload_id="",
            meta=Metadata(
                title=work.title,
                description=work.description,
                tags=work.tags,
                category_id=_CATEGORY,
                default_language=work.language,
                license="creativeCommon" if (work.licence or "").startswith("CC-BY-4") else "youtube",
            ),
            created_at=self._catalogue.published_s(work),
            file="",
            file_name="",
            content_type="video/mp4",
            size_bytes=0,
            sha256="",
            probe=Probe(duration_s=work.duration_s, width_px=work.width_px, height_px=work.height_px),
            polls=_PROCESSED,
            channel_title=work.creator,
            views=counts.views,
            likes=None if work.number % 5 == 0 else counts.likes,
            comments=counts.comments,
        )


def _id_of(work: Listed) -> str:
    digest = hashlib.sha256(f"youtube {work.id}".encode()).digest()
    return base64.urlsafe_b64encode(digest)[:11].decode()
