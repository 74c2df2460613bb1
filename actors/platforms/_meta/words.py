"""What Meta's error numbers mean, and what a person does about each: one closed list for its three platforms.

Docs: developers.facebook.com: docs/graph-api/guides/error-handling, docs/instagram-platform (error codes),
docs/threads/troubleshooting, docs/video-api/guides/reels-publishing, read 2026-11-23. Subcodes beginning 2207 and 1363
are as client libraries list them. A subcode tells more than its code. What is in no list is refused in Meta's words.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, Literal

from msgspec import Struct

__all__ = ["HOUR", "RATE_LIMITS", "THREADS_WORDS", "Meaning", "meaning_of", "mend_of"]

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
RATE_LIMITS: Final = frozenset({4, 17, 32, 613})

_CONVERT: Final = "Render the video again as an MP4 with H.264 and AAC, then post it again"
_OPEN: Final = "Open the app with this account and do what it asks there, then retry"
_RULES: Final = "Read the notice in the app; change the video or the words before it is posted again"
_AGAIN: Final = "Retry: a new upload begins"


class Meaning(Struct, frozen=True, kw_only=True):
    """What follows from a number.

    kind: retry: the same may succeed soon; wait: not before `wait`; token: the permission is gone; permission: one is
    lacking; gone: there is no such object, or it is not shown; refuse: never as it is. mend: what a person does.
    """

    kind: Literal["retry", "wait", "token", "permission", "gone", "refuse"]
    says: str = ""
    mend: str = ""
    wait: timedelta = HOUR


def _refused(says: str, mend: str) -> Meaning:
    return Meaning(kind="refuse", says=says, mend=mend)


_CODES: Final[dict[int, Meaning]] = {
    -2: Meaning(kind="retry"),
    -1: Meaning(kind="retry"),
    1: Meaning(kind="retry"),
    2: Meaning(kind="retry"),
    9: Meaning(kind="wait", says="The account's posts of the day are used up"),
    18: Meaning(kind="wait", wait=DAY),
    25: _refused("The account is restricted or not active", _OPEN),
    102: Meaning(kind="token"),
    190: Meaning(kind="token"),
    352: _refused("The format of the video is not taken", _CONVERT),
    368: Meaning(kind="wait", says="This use is held for abusive", wait=DAY),
    382: _refused("The video is too small", "Give a longer video"),
    389: _refused("The address of the video could not be fetched", "Make the media store reachable from outside"),
    6000: _refused("There is a problem with the video file", _CONVERT),
    6001: Meaning(kind="retry"),
    9004: _refused("The video could not be fetched", "Make the media store reachable from outside"),
    9007: Meaning(kind="retry", says="The video is not ready yet"),
    36003: _refused("The picture's shape is not taken", "Render the video again, upright 9:16"),
    36004: _refused("The caption is too long", "Shorten the words"),
}
_SUBCODES: Final[dict[int, Meaning]] = {
    33: Meaning(kind="gone"),
    458: Meaning(kind="token", says="the app was removed from the account"),
    459: Meaning(kind="token", says="the account must be looked after at the site first"),
    460: Meaning(kind="token", says="the password was changed"),
    463: Meaning(kind="token", says="it expired"),
    464: Meaning(kind="token", says="the account is not confirmed"),
    467: Meaning(kind="token", says="it is not valid"),
    492: Meaning(kind="token", says="the person no longer has a role on the page"),
    2207001: Meaning(kind="retry"),
    2207003: Meaning(kind="retry", says="Fetching the video took too long"),
    2207004: _refused("The picture is too large", "Give a cover of at most 8 MB"),
    2207005: _refused("The picture's format is not taken", "Give a cover as JPEG"),
    2207006: Meaning(kind="gone"),
    2207008: Meaning(kind="retry", says="The container is not there yet"),
    2207009: _refused("The picture's shape is not taken", "Render the video again, upright 9:16"),
    2207010: _refused("The caption is too long", "Shorten the words to 2,200 characters, 30 hashtags and 20 mentions"),
    2207020: _refused("The container has expired", _AGAIN),
    2207023: _refused("The kind of media is not known there", "Report this as a fault of the adapter"),
    2207026: _refused("The format of the video is not taken", _CONVERT),
    2207027: Meaning(kind="retry", says="The video is not ready yet"),
    2207032: Meaning(kind="retry"),
    2207040: _refused("There are too many mentions", "Leave at most 20 @ in the words"),
    2207042: Meaning(kind="wait", says="The account's posts of the day are used up"),
    2207050: _refused("The account is restricted or not active", _OPEN),
    2207051: Meaning(kind="wait", says="The action is held for spam", wait=DAY),
    2207052: _refused("The video could not be fetched", "Make the media store reachable from outside"),
    2207053: Meaning(kind="retry", says="The upload failed for a reason that is not told"),
    2207057: _refused("The moment of the cover is not in the video", "Give a thumb_offset within the video"),
    2207076: _refused("The upload failed while it was worked on", _AGAIN),
    2207082: _refused("The upload failed while it was worked on", _AGAIN),
    1363040: _refused("The picture's shape is not taken", "Render the video again, upright 9:16"),
    1363041: _refused("There is no such upload", _AGAIN),
    1363127: _refused("The picture is too small", "Render the video again at 540 x 960 px or more"),
    1363128: _refused("The video is too long or too short", "Render it at 3 to 90 s"),
    1363129: _refused("The rate of frames is not taken", "Render the video again at 24 to 60 frames a second"),
    1390008: Meaning(kind="wait", says="The page posts too often"),
}
THREADS_WORDS: Final[dict[str, str]] = {
    "FAILED_DOWNLOADING_VIDEO": "Make the media store reachable from outside, then retry",
    "FAILED_PROCESSING_AUDIO": "Render the video again with AAC sound, then retry",
    "FAILED_PROCESSING_VIDEO": _CONVERT,
    "INVALID_ASPEC_RATIO": "Render the video again, upright 9:16",
    "INVALID_ASPECT_RATIO": "Render the video again, upright 9:16",
    "INVALID_BIT_RATE": "Render the video again at 100 Mbit/s or less",
    "INVALID_DURATION": "Render the video again at 5 minutes or less",
    "INVALID_FRAME_RATE": "Render the video again at 23 to 60 frames a second",
    "INVALID_AUDIO_CHANNELS": "Render the video again with one or two sound channels",
    "INVALID_AUDIO_CHANNEL_LAYOUT": "Render the video again with mono or stereo sound",
    "UNKNOWN": _AGAIN,
}
"""What Threads writes in `error_message` of a container, and what to do."""


def meaning_of(code: int, subcode: int, error: dict[str, Any], status: int) -> Meaning:
    """Return what an error object means; status: of the answer that it came in."""
    if code in RATE_LIMITS or status == 429:
        return _SUBCODES.get(subcode, Meaning(kind="wait"))
    known = _SUBCODES.get(subcode) or _CODES.get(code)
    if known is not None and known.kind == "refuse" and error.get("is_transient") is True:
        return Meaning(kind="retry", says=known.says)
    if known is not None:
        return known
    if code == 10 or 200 <= code <= 299:
        return Meaning(kind="permission")
    if error.get("is_transient") is True or status >= 500:
        return Meaning(kind="retry")
    return Meaning(kind="refuse")


def mend_of(subcode: int) -> tuple[str, str]:
    """Return what a number in the status of a container says, and what to do; for those not known: a new upload."""
    known = _SUBCODES.get(subcode)
    if known is None or not known.mend:
        return (known.says if known is not None else "", _AGAIN)
    return known.says, known.mend
