"""When two candidates are one work, and why: pure, and rather apart than wrongly joined.

A wrong join loses a work for good (it counts as made), a missed one costs a second look. So a title alone joins
nothing: the lengths must agree too, and how much the title must say depends on who shows it where. What joins:

- a shared key: the platform's id, the address of the work in any of its forms, or the one work that a post without
  media of its own links to;
- the same title and length, with enough telling words: `TELLING` says how many. Fewer will do where the pictures look
  alike. What one creator has twice on one platform is never joined so.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from actors.ranker.address import page_at, work_at
from contracts.ids import ItemId
from contracts.platform import Candidate

__all__ = [
    "LENGTH_US",
    "Mark",
    "Verdict",
    "length_tolerance_us",
    "mark_of",
    "normal_title",
    "number_of",
    "same_work",
]

TELLING: Final = {"picture": 2, "same creator": 3, "unknown creator": 5, "other creator": 6}
"""Telling words that a title needs, by what else agrees beside the length."""
DOUBT: Final = 2
"""Further words needed for each of: a round length, unlike pictures, one creator but days between."""
ALIKE_BITS: Final = 8
"""Most bits of 64 in which two pictures of one work differ. Unrelated ones differ in 32 +- 4."""
UNLIKE_BITS: Final = 24
LENGTH_US: Final = 5_000_000
"""Shorter works are too alike in length for it to say anything."""
SLACK_US: Final = 1_000_000
"""Platforms round to seconds, and encoders add or drop a frame or two."""
SLACK_SHARE: Final = 0.001
MOST_SLACK_US: Final = 3_000_000
ROUND_US: Final = 15_000_000
"""Lengths that people cut to are multiples of this."""
SERIES_GAP: Final = timedelta(days=2)

GENERIC: Final = frozenset(
    "a an and are as at be best by clip compilation day days de der die das el en ep episode film first for from full"  # noqa: SIM905
    " funny gameplay highlights how i in is it la le les live los me moment moments movie my new news of official on or"
    " ours our part reaction review season series short shorts show stream teaser test testing the this to top trailer"
    " tutorial un una und untitled update upload video videos viral vlog vs week what when why with you your".split()
)
"""Words that tell nothing apart."""
NOISE: Final = frozenset(
    "official video videos music hd hq uhd fhd 4k 8k 1080p 720p 480p 2160p 1440p 60fps 30fps fps full re upload"  # noqa: SIM905
    " reupload reuploaded uploaded repost reposted shorts short rt viral 公式 官方 官方视频".split()
)
"""What people add to a title without changing the work, in brackets or apart at an end. `lyrics`, `live`, `cover`,
`remix`, `audio`, `trailer` and names of languages are none of it: they name another work."""

_HASHTAG: Final = re.compile(r"[#＃](?=[^\W\d])[^\s#＃\d]+(?=\s|$|[#＃])")
_BRACKET: Final = re.compile(r"[(\[{【「]([^()\[\]{}【】「」]*)[)\]}】」]")
_CREDIT: Final = re.compile(
    r"(?:\b(?:via|credits?|cr)\s*(?::\s*@?|@)|(?:\s[-–—~/·•]+|[|｜•])\s*(?:via|credits?|cr)\s+"
    r"|(?:\brepost(?:ed)? from\b|[📹🎥])\s*:?\s*@?)[\w.]+\s*$"
)
"""Who a work comes from. The words alone tell works apart: a train goes via Gotthard, and there is a credit card."""
_APART: Final = re.compile(r"\s+[-–—|•·:/~]+\s+|\s*[|•｜]\s*|:\s+")
_PARTING: Final = re.compile(r"[-–—|•·:/~｜]")
"""What `_APART` needs one of; most titles have none."""
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_PRESENTATION: Final = dict.fromkeys([0xFE0E, 0xFE0F, 0x200B, 0x200C, 0x200D, 0x20E3])


class Verdict(Struct, frozen=True):
    """Whether two candidates are one work, and why."""

    same: bool
    because: str
    against: bool = False
    """They are two works for certain, whatever else is known of either."""


class Mark(Struct, frozen=True, kw_only=True, gc=False):
    """What tells one item's work from others.

    own: keys of the item itself; link: key of the one work that it points at; title: normal form ("" where it tells
    nothing) with `telling` words; creator: normal form, "" where not known; picture: 64 bits of `picture.look_of`.
    """

    item_id: ItemId
    platform: str
    own: tuple[str, ...]
    link: str | None = None
    title: str = ""
    telling: int = 0
    duration_us: int | None = None
    creator: str = ""
    language: str | None = None
    picture: int | None = None
    published_at: datetime | None = None


def number_of(text: str) -> int | None:
    """Return a text as a signed number of 64 bits, for indexes; None: it is empty."""
    if not text:
        return None
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


def mark_of(candidate: Candidate, *, picture: int | None = None) -> Mark:
    """Return what tells this candidate's work from others."""
    address = work_at(candidate.url) or page_at(candidate.url)
    own = (candidate.item_id, *([address] if address and address != candidate.item_id else ()))
    title = normal_title(candidate.title, creator=candidate.creator or "")
    telling = _telling(title)
    return Mark(
        item_id=candidate.item_id,
        platform=candidate.platform,
        own=own,
        link=_link(candidate, own) if candidate.links else None,
        title=title if telling >= TELLING["picture"] else "",
        telling=telling,
        duration_us=candidate.duration_us,
        creator=_normal_name(candidate.creator or ""),
        language=candidate.language.partition("-")[0].lower() if candidate.language else None,
        picture=picture,
        published_at=candidate.published_at,
    )


def _link(candidate: Candidate, own: tuple[str, ...]) -> str | None:
    """Return the one work that a post shares. A post with media of its own, or with several links, shares none."""
    if candidate.media_url is not None or candidate.duration_us is not None:
        return None
    linked = {found for url in candidate.links if (found := work_at(url) or page_at(url)) and found not in own}
    return linked.pop() if len(linked) == 1 else None


def same_work(a: Mark, b: Mark) -> Verdict:
    """Decide whether two marks are of one work."""
    keys = {*a.own, *([a.link] if a.link else [])}
    shared = sorted(keys.intersection(b.own)) or ([b.link] if b.link and b.link in keys else [])
    if shared:
        how = "it links to" if shared[0] in {a.link, b.link} else "both are"
        return Verdict(same=True, because=f"{how} {shared[0]}")
    if not a.title or a.title != b.title:
        return Verdict(same=False, because="the titles differ" if a.title and b.title else "a title tells nothing")
    return _by_title(a, b)


def _by_title(a: Mark, b: Mark) -> Verdict:
    """Decide on two marks of the same title."""
    if a.duration_us is None or b.duration_us is None:
        return Verdict(same=False, because="same title, but a length is not known")
    apart_us = abs(a.duration_us - b.duration_us)
    if apart_us > length_tolerance_us(min(a.duration_us, b.duration_us)):
        return Verdict(same=False, because=f"same title, but lengths {apart_us / 1e6:.1f} s apart")
    if min(a.duration_us, b.duration_us) < LENGTH_US:
        return Verdict(same=False, because="same title, but too short for the length to say anything")
    if a.language and b.language and a.language != b.language:
        return Verdict(same=False, because=f"same title, but in {a.language} and {b.language}", against=True)
    agreed = f"same title, lengths {apart_us / 1e6:.1f} s apart"
    doubts = []
    bits = None if a.picture is None or b.picture is None else (a.picture ^ b.picture).bit_count()
    if a.creator and a.creator == b.creator:
        # Shows repeat title, length and even picture; a creator's own second upload is taken for the next part.
        if a.platform == b.platform:
            why = "one creator's on one platform: parts of a series"
            return Verdict(same=False, because=f"{agreed}, but {why}", against=True)
        who = "same creator"
        if a.published_at and b.published_at and abs(a.published_at - b.published_at) > SERIES_GAP:
            doubts.append("published days apart")
    else:
        who = "other creator" if a.creator and b.creator else "unknown creator"
    if _is_round(a.duration_us) and _is_round(b.duration_us):
        doubts.append("a length that many have")
    if bits is not None and bits > UNLIKE_BITS:
        doubts.append("pictures unlike")
    if bits is not None and bits <= ALIKE_BITS:
        who = "picture"
        agreed += f", pictures {bits} of 64 bits apart"
    needed = TELLING[who] + DOUBT * len(doubts)
    told = ", ".join(
        [agreed, *([] if who == "picture" else [who]), *doubts, f"{a.telling} telling words of {needed} needed"]
    )
    return Verdict(same=a.telling >= needed, because=told)


def length_tolerance_us(duration_us: int) -> int:
    """Return how far lengths of one work may be apart, microseconds: 1 s and 0.1 %, at most 3 s."""
    return min(SLACK_US + int(duration_us * SLACK_SHARE), MOST_SLACK_US)


def _is_round(duration_us: int) -> bool:
    return (duration_us + ROUND_US // 30) % ROUND_US <= ROUND_US // 15


@lru_cache(maxsize=4096)
def _normal_name(name: str) -> str:
    words = [word for word in _words(name) if word not in {"official", "channel", "tv", "the"}]
    return "".join(words or _words(name))


def normal_title(title: str, *, creator: str = "") -> str:
    """Return the words of a title without what people add to it.

    That is: case, emoji, hashtags, `(official video)` and the like, the channel's name, who it was reposted from.
    """
    text = title.lower() if title.isascii() else unicodedata.normalize("NFKC", title).casefold()
    if "#" in text or "＃" in text:
        text = _HASHTAG.sub(" ", text)
    if "@" in text or "credit" in text or "via" in text or "cr" in text or "repost" in text or not text.isascii():
        text = _CREDIT.sub("", text)
    if "(" in text or "[" in text or not text.isascii():
        text = _BRACKET.sub(lambda found: " " if _is_noise(found[1]) else found[0], text)
    if _PARTING.search(text) is None:
        return " ".join(_words(text))
    parts = [part for part in _APART.split(text) if part and not part.isspace()]
    name = _normal_name(creator) if creator and len(parts) > 1 else ""
    while len(parts) > 1 and (_is_noise(parts[-1]) or (name and _normal_name(parts[-1]) == name)):
        parts.pop()
    while len(parts) > 1 and (_is_noise(parts[0]) or (name and _normal_name(parts[0]) == name)):
        parts.pop(0)
    return " ".join(word for part in parts for word in _words(part))


def _is_noise(text: str) -> bool:
    return all(word in NOISE for word in _words(text))


def _words(text: str) -> list[str]:
    if text.isascii():
        return _WORD.findall(text.lower())
    # A vowel sign is no letter to `re`, yet it tells words apart; a mark that only styles an emoji does not.
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_PRESENTATION)
    kept = "".join(
        letter if letter.isalnum() or letter in "'’" or unicodedata.category(letter)[0] == "M" else " "
        for letter in folded
    )
    return [found for word in kept.split() if (found := word.strip("'’"))]


def _telling(title: str) -> int:
    """Count the different words that tell works apart. In scripts without spaces two letters are a word."""
    words = [word for word in set(title.split()) - GENERIC if len(word) > 1 and not word.isdecimal()]
    if title.isascii():
        return len(words)
    unspaced = sum(len(_UNSPACED.findall(word)) for word in words)
    return sum(not _UNSPACED.search(word) for word in words) + unspaced // 2
