"""Which work an address leads to: one id for every form that a site gives the same page.

Sources: the sites' own share, embed and short links as PLATFORMS.md lists them; PeerTube short ids are UUIDs in the
alphabet of flickr base 58 (joinpeertube.org, "short UUID"); read 2026-11-23.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final
from urllib.parse import parse_qs, unquote
from uuid import UUID

__all__ = ["page_at", "work_at"]

_FLICKR58: Final = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
_PREFIXES: Final = frozenset({"www", "m", "mobile", "music", "old", "new", "amp", "web", "gaming"})
_TRACKING: Final = re.compile(
    r"(?:utm_\w*|fbclid|gclid|dclid|msclkid|igsh(?:id)?|si|feature|ref|ref_src|ref_url|spm\w*|_[rt]"
    r"|share_\w*|is_from_webapp|sender_device|mc_cid|mc_eid|yclid|wbraid|gbraid|pp|ab_channel)",
    re.IGNORECASE,
)
_MEDIA: Final = re.compile(r"\.(?:mp4|webm|ogv|mkv|mov|avi|mpe?g|m4v|flv|wmv)$", re.IGNORECASE)
_DIGIT: Final = re.compile(r"\d")
_LEAST_SLUG: Final = 12

_URL: Final = re.compile(r"https?://(?:[^/?#@]*@)?([^/?#:@]+)(?::\d+)?([^?#]*)(?:\?([^#]*))?", re.IGNORECASE)

Parts = list[str]
Reader = Callable[[Parts, str], str | None]
"""Read an id from the parts of a path and the query."""


def work_at(url: str) -> str | None:
    """Return `site:id` of the work that an address shows; None: no work of a site known here."""
    if (found := _URL.match(_clean(url))) is None:
        return None
    host, query = _host(found[1]), found[3] or ""
    parts = [part for part in found[2].split("/") if part]
    if (known := SITES.get(host)) is not None:
        site, read = known
        work = _clean(read(parts, query) or "")
        return f"{site}:{work}" if work else None
    shared = _peertube(parts, query)
    return f"peertube:{shared}" if shared else None


def page_at(url: str) -> str | None:
    """Return a page of a site not known here in one form, without tracking parameters.

    None: the site is known (`work_at` speaks for it), or the page may be a front page or a channel, not one work.
    """
    found = _URL.match(_clean(url))
    if found is None or (host := _host(found[1])) in SITES:
        return None
    path, query = _clean(unquote(found[2])).rstrip("/"), parse_qs(found[3] or "")
    kept = _clean("&".join(f"{name}={query[name][0]}" for name in sorted(query) if not _TRACKING.fullmatch(name)))
    last = path.rpartition("/")[2] + kept
    if len(last) < _LEAST_SLUG and not (path.count("/") > 1 and _DIGIT.search(last)):
        return None
    return f"page:{host}{path}" + (f"?{kept}" if kept else "")


def _clean(text: str) -> str:
    """Return a text without NUL, which `%00` becomes and no database takes, and without space around it."""
    return text.replace("\0", "").strip()


def _host(name: str) -> str:
    host = name.lower().removesuffix(".")
    first, _, rest = host.partition(".")
    return rest if first in _PREFIXES and "." in rest else host


def _one(query: str, name: str) -> str:
    return next(iter(parse_qs(query).get(name, [])), "")


def _after(pattern: str, *words: str) -> Reader:
    """Take the part of the path that follows one of these words, where it is an id."""
    is_id = re.compile(pattern)

    def read(parts: Parts, _: str) -> str | None:
        for word, part in pairwise(parts):
            if word in words and (found := is_id.match(part)):
                return found[1]
        return None

    return read


def _first(pattern: str) -> Reader:
    is_id = re.compile(pattern)

    def read(parts: Parts, _: str) -> str | None:
        found = is_id.match(parts[0]) if parts else None
        return found[1] if found else None

    return read


_YOUTUBE_ID: Final = re.compile(r"[\w-]{11}", re.ASCII)
_YOUTUBE_QUERY: Final = re.compile(r"(?:^|&)v=([^&]*)")
_VIMEO_ID: Final = re.compile(r"\d{5,}")
_DAILYMOTION: Final = r"([xk][a-z0-9]{4,})(?:_|$)"
_DAILYMOTION_PATH: Final = _after(_DAILYMOTION, "video")
_REDDIT_PATH: Final = _after(r"([a-z0-9]{4,})$", "comments", "gallery")
_BILIBILI_PATH: Final = _after(r"(BV\w{10}|av\d+)$", "video")
_CLIP: Final = _after(r"([\w-]{4,})$", "clip")
_TWITCH_VIDEO: Final = _after(r"(\d+)$", "videos", "video")


def _youtube(parts: Parts, query: str) -> str | None:
    if parts[:1] in (["shorts"], ["embed"], ["v"], ["live"], ["e"]):
        found = parts[1] if len(parts) > 1 else ""
    else:
        at = _YOUTUBE_QUERY.search(query) if parts[:1] == ["watch"] else None
        found = at[1] if at else ""
    return found if _YOUTUBE_ID.fullmatch(found) and found != "videoseries" else None


def _youtu_be(parts: Parts, _: str) -> str | None:
    return parts[0] if parts and _YOUTUBE_ID.fullmatch(parts[0]) else None


def _vimeo(parts: Parts, _: str) -> str | None:
    """A number alone or first (the hash of an unlisted video follows it), or below a channel, group or album."""
    if parts and _VIMEO_ID.fullmatch(parts[0]):
        return parts[0]
    least = {"video": 2, "channels": 3, "groups": 4, "album": 4, "showcase": 4}.get(parts[0], 99) if parts else 99
    return parts[-1] if len(parts) >= least and _VIMEO_ID.fullmatch(parts[-1]) else None


def _dailymotion(parts: Parts, query: str) -> str | None:
    return _one(query, "video") or _DAILYMOTION_PATH(parts, query)


def _x(parts: Parts, _: str) -> str | None:
    if "status" in parts[:-1] and (found := parts[parts.index("status") + 1]).isdecimal():
        return found
    return None


def _facebook(parts: Parts, query: str) -> str | None:
    found = _one(query, "v") if parts[:1] in (["watch"], ["video.php"]) else ""
    if not found and ("videos" in parts[:-1] or parts[:1] == ["reel"]):
        found = parts[-1]
    return found if found.isdecimal() else None


def _archive(parts: Parts, _: str) -> str | None:
    """An item, or one of its files where the file is not named after the item: such items hold several works."""
    if len(parts) < 2 or parts[0] not in {"details", "download", "embed"}:
        return None
    item, file = parts[1], unquote("/".join(parts[2:]))
    return item if not _MEDIA.search(file) or file.startswith(item) else f"{item}/{file}"


def _commons(parts: Parts, query: str) -> str | None:
    name = ""
    if parts[:1] == ["wikipedia"] and parts[1:2] == ["commons"]:
        rest = [part for part in parts[2:] if part not in {"transcoded", "thumb"}]
        name = rest[2] if len(rest) > 2 else ""
    elif parts[:2] == ["w", "index.php"]:
        name = _one(query, "title")
    elif parts[:1] == ["wiki"]:
        name = "/".join(parts[1:]).replace("Special:FilePath/", "File:").replace("Special:Redirect/file/", "File:")
    name = unquote(name).replace("_", " ").strip()
    if parts[:1] != ["wikipedia"]:
        space, _, name = name.partition(":")
        name = name.strip() if space.casefold() in {"file", "image"} else ""
    return name[:1].upper() + name[1:]


def _bilibili(parts: Parts, query: str) -> str | None:
    found = _BILIBILI_PATH(parts, query) or _one(query, "bvid")
    page = _one(query, "p")
    return f"{found}/{page}" if found and page not in {"", "1"} else found


def _twitch(parts: Parts, query: str) -> str | None:
    video = _TWITCH_VIDEO(parts, query)
    return _CLIP(parts, query) or (f"video/{video}" if video else None)


def _twitch_clip(parts: Parts, query: str) -> str | None:
    return _one(query, "clip") if parts == ["embed"] else parts[0] if parts else None


def _reddit(parts: Parts, query: str) -> str | None:
    return _REDDIT_PATH(parts, query)


def _peertube(parts: Parts, _: str) -> str | None:
    """Federated videos keep their UUID on every server."""
    if parts[:1] == ["w"] and len(parts) == 2:
        found = parts[1]
    elif parts[:1] == ["videos"] and len(parts) == 3 and parts[1] in {"watch", "embed"}:
        found = parts[2]
    else:
        return None
    try:
        if len(found) == 36:
            return str(UUID(found))
        if len(found) not in {21, 22}:
            return None
        number = 0
        for letter in found:
            number = number * 58 + _FLICKR58.index(letter)
        return str(UUID(int=number))
    except ValueError:
        return None


SITES: Final[dict[str, tuple[str, Reader]]] = {
    "youtube.com": ("youtube", _youtube),
    "youtube-nocookie.com": ("youtube", _youtube),
    "youtu.be": ("youtube", _youtu_be),
    "vimeo.com": ("vimeo", _vimeo),
    "player.vimeo.com": ("vimeo", _vimeo),
    "dailymotion.com": ("dailymotion", _dailymotion),
    "geo.dailymotion.com": ("dailymotion", _dailymotion),
    "dai.ly": ("dailymotion", _first(_DAILYMOTION)),
    "tiktok.com": ("tiktok", _after(r"(\d{6,})(?:\.html)?$", "video", "v", "v1", "v2", "embed", "photo")),
    "vm.tiktok.com": ("tiktok", lambda *_: None),
    "vt.tiktok.com": ("tiktok", lambda *_: None),
    "instagram.com": ("instagram", _after(r"([\w-]{5,})$", "reel", "reels", "p", "tv")),
    "x.com": ("x", _x),
    "twitter.com": ("x", _x),
    "reddit.com": ("reddit", _reddit),
    "redd.it": ("reddit", _first(r"([a-z0-9]{4,})$")),
    "v.redd.it": ("reddit-video", _first(r"([a-z0-9]{6,})$")),
    "facebook.com": ("facebook", _facebook),
    "fb.watch": ("facebook", lambda *_: None),
    "threads.net": ("threads", _after(r"([\w-]{5,})$", "post", "t")),
    "threads.com": ("threads", _after(r"([\w-]{5,})$", "post", "t")),
    "archive.org": ("internet_archive", _archive),
    "commons.wikimedia.org": ("wikimedia_commons", _commons),
    "commons.m.wikimedia.org": ("wikimedia_commons", _commons),
    "upload.wikimedia.org": ("wikimedia_commons", _commons),
    "bilibili.com": ("bilibili", _bilibili),
    "player.bilibili.com": ("bilibili", _bilibili),
    "b23.tv": ("bilibili", _first(r"(BV\w{10}|av\d+)$")),
    "twitch.tv": ("twitch", _twitch),
    "clips.twitch.tv": ("twitch", _twitch_clip),
    # The id in an embedding address is another one than that of the page.
    "rumble.com": ("rumble", _first(r"(v[a-z0-9]{4,})(?:-|$)")),
    "pexels.com": ("pexels", _after(r"(?:.*-)?(\d+)$", "video")),
    "pixabay.com": ("pixabay", _after(r"(?:.*-)?(\d+)$", "videos")),
    "pinterest.com": ("pinterest", _after(r"(\d+)$", "pin")),
    "streamable.com": ("streamable", _first(r"([a-z0-9]{5,})$")),
    "snapchat.com": ("snapchat", _after(r"([\w-]{10,})$", "spotlight")),
    "linkedin.com": ("linkedin", lambda *_: None),
    "bsky.app": ("bluesky", lambda *_: None),
}
"""Readers by host, without www, m and the like. A known site's other pages (channels, lists) name no work."""
