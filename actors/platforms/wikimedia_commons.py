"""Wikimedia Commons: discovery of freely licensed video.

Docs: https://www.mediawiki.org/wiki/API:Search, API:Imageinfo, API:Continue, API:Etiquette, Extension:CommonsMetadata,
read 2026-11-23.
Auth: none, but a User-Agent with a contact. Limits: 50 results an answer with extended metadata; requests in
series; `maxlag` and 429 say when to come back; faults come with status 200. Answers are kept for 10 minutes.
Units: `size` bytes, `duration` seconds (float), times UTC. Extended metadata values are HTML. `timestamp` is when the
present version of the file was uploaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from actors.platforms._api import KEYLESS, Api, leaving_out
from actors.platforms._reading import words_of
from actors.platforms._text import clean, parse_moment, plain_text
from actors.runtime.http import Response, retry_after
from actors.runtime.means import Means
from contracts.errors import RateLimited, Reject, Retry
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Metrics
from contracts.rights import LICENCES, RightsRecord, licence_from_url, parse_licence

__all__ = [
    "ADAPTER",
    "CAPS",
    "LIMITS",
    "NAME",
    "WikimediaCommons",
    "merge_pages",
    "parse_page",
    "parse_rights",
    "query_for",
]

NAME: Final = "wikimedia_commons"
CAPS: Final = Caps(
    discover=True,
    keyless=True,
    licence_known=True,
    sees="video files, by words; no counts",
    costs="no stated quota; 1 request for 50 files, one at a time",
)
PAGE_SIZE: Final = 50
LIMITS: Final = Limits(page_size=PAGE_SIZE)

BASE_URL: Final = "https://commons.wikimedia.org"
WHAT: Final = "Wikimedia Commons"
FRESH_S: Final = 600.0
MAX_LAG_S: Final = 5
LAG_WAIT_S: Final = 5.0
MOST_ROUNDS: Final = 40
PREFERRED_BYTES: Final = 400_000_000
PREFERRED_HEIGHT_PX: Final = 1080
_WANTED: Final = (
    "LicenseShortName",
    "License",
    "LicenseUrl",
    "UsageTerms",
    "Artist",
    "Restrictions",
    "ImageDescription",
    "Categories",
)
_OPERATORS: Final = re.compile(r'["~*?\\:!/\[\](){}<>|]')
_BUSY: Final = frozenset({"cirrussearch-backend-error", "maxlag", "ratelimited", "readonly"})
_NO_VIEWS: Final = "Wikimedia Commons does not tell how often a file was seen"
_DOES_NOT_COUNT: Final = "Wikimedia Commons does not count them"

Page = dict[str, Any]


def query_for(niche: str) -> str:
    """Return the search text: video files that have every word of `niche`, without search operators."""
    words = (word.lstrip("-") for word in _OPERATORS.sub(" ", niche).split())
    return " ".join(["filetype:video", *(word for word in words if word)])


def merge_pages(known: Mapping[int, Page], answer: Any) -> dict[int, Page]:
    """Add the pages of one answer to those of earlier rounds: a later round may bring what a page lacked."""
    query = answer.get("query") if isinstance(answer, dict) else None
    pages = query.get("pages") if isinstance(query, dict) else None
    merged = dict(known)
    for page in pages.values() if isinstance(pages, dict) else pages if isinstance(pages, list) else ():
        if isinstance(page, dict) and isinstance(page.get("pageid"), int):
            merged[page["pageid"]] = {**merged.get(page["pageid"], {}), **page}
    return merged


def parse_page(page: Page, *, at: datetime) -> Candidate | None:
    """Read one page; None: it is missing, is no video, or its file is not described."""
    info = _first_of(page, "imageinfo")
    title, address = page.get("title"), info.get("descriptionurl")
    if not isinstance(title, str) or not isinstance(address, str) or not _is_video(info):
        return None
    name = clean(re.sub(r"^File:|\.[A-Za-z0-9]{2,5}$", "", title).replace("_", " "), max_chars=300)
    meta = _metadata(info)
    media_url, media_bytes = _media(info, _first_of(page, "videoinfo"))
    rights = parse_rights(info, title=name, page_url=address, at=at)
    duration_s = info.get("duration")
    absent = {"views": _NO_VIEWS, **dict.fromkeys(("likes", "comments", "shares"), _DOES_NOT_COUNT)}
    return Candidate(
        item_id=item_id(NAME, str(page["pageid"])),
        platform=NAME,
        platform_id=str(page["pageid"]),
        url=address,
        title=name,
        description=plain_text(meta.get("ImageDescription", ""), max_chars=5000),
        creator=rights.author,
        tags=tuple(clean(tag, max_chars=80) for tag in meta.get("Categories", "").split("|") if tag.strip())[:50],
        published_at=parse_moment(info.get("timestamp")),
        duration_us=round(duration_s * 1_000_000) if isinstance(duration_s, int | float) and duration_s > 0 else None,
        media_url=media_url,
        media_bytes=media_bytes,
        metrics=Metrics(absent=absent),
        observed_at=at,
        rights=rights,
    )


def parse_rights(info: Mapping[str, Any], *, title: str, page_url: str, at: datetime) -> RightsRecord:
    """Read the licence from its address, its short name and its machine id, which must not contradict each other."""
    meta = _metadata(info)
    stated = {
        key: clean(meta[key], max_chars=300)
        for key in ("LicenseShortName", "License", "LicenseUrl", "UsageTerms")
        if meta.get(key)
    }
    read = [licence_from_url(stated.get("LicenseUrl", ""))]
    read += [_licence(stated.get(key, "")) for key in ("LicenseShortName", "License")]
    known = [licence for licence in read if licence != "unknown"]
    notes = []
    if len({_terms(licence) for licence in known}) > 1:
        notes.append(f"the page names licences that differ ({', '.join(dict.fromkeys(known))})")
        known = []
    elif not known:
        notes.append("the page names no licence that is known here")
    if ported := re.search(r"-(\d\.\d)-([a-z]{2,5})$", stated.get("License", "")):
        notes.append(f"the licence is the version ported to {ported[2].upper()}")
    if restrictions := clean(meta.get("Restrictions", "").replace("|", ", "), max_chars=200):
        notes.append(f"other restrictions apply: {restrictions}")
    return RightsRecord(
        licence=known[0] if known else "unknown",
        title=title,
        author=clean(plain_text(meta.get("Artist", ""), max_chars=300), max_chars=300) or None,
        source_url=page_url,
        read_at=at,
        proof="; ".join(f"{key}: {value}" for key, value in stated.items()),
        note="; ".join(notes),
    )


def parse_answer(answer: Any) -> Page:
    """Return a whole answer. Raises: Retry if it is none; no result is an answer without `query`."""
    if not isinstance(answer, dict) or not ("query" in answer or "batchcomplete" in answer):
        raise Retry(f"{WHAT} answered in a shape that is not known here")
    return answer


def fault_of(response: Response, now: datetime) -> Exception | None:
    """Return the error that an answer with status 200 holds; None: it holds none."""
    try:
        answer = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return None
    fault = answer.get("error") if isinstance(answer, dict) and response.status == 200 else None
    if not isinstance(fault, dict):
        return None
    code = str(fault.get("code", ""))
    text = f"{WHAT} answered {code}: {clean(str(fault.get('info', '')), max_chars=200)}"
    if code in _BUSY or code.startswith("internal_api_error"):
        until = retry_after(response.headers, now=now)
        return Retry(text, delay_s=LAG_WAIT_S) if until is None else RateLimited(text, until=until)
    return Reject(text)


def _first_of(page: Page, key: str) -> dict[str, Any]:
    found = page.get(key)
    return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}


def _metadata(info: Mapping[str, Any]) -> dict[str, str]:
    entries = info.get("extmetadata")
    if not isinstance(entries, dict):
        return {}
    return {key: str(entry["value"]) for key, entry in entries.items() if isinstance(entry, dict) and "value" in entry}


def _is_video(info: Mapping[str, Any]) -> bool:
    return info.get("mediatype") == "VIDEO" or str(info.get("mime", "")).startswith("video/")


def _media(info: Mapping[str, Any], video: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Return address and size of the file to fetch: the original, or where that is huge a transcode of it.

    The size of a transcode is not told.
    """
    url, size = info.get("url"), info.get("size")
    url = url if isinstance(url, str) else None
    size = size if isinstance(size, int) and size >= 0 else None
    if size is None or size <= PREFERRED_BYTES:
        return url, size
    derivatives = video.get("derivatives")
    transcodes = [
        (one["height"], one["src"])
        for one in (derivatives if isinstance(derivatives, list) else ())
        if isinstance(one, dict)
        and isinstance(one.get("src"), str)
        and one["src"] != url
        and isinstance(one.get("height"), int)
        and 0 < one["height"] <= PREFERRED_HEIGHT_PX
    ]
    return (max(transcodes)[1], None) if transcodes else (url, size)


def _licence(text: str) -> str:
    """Read a short name or machine id. Commons files are never licensed by mere ownership or permission."""
    licence = parse_licence(re.sub(r"(?<=\d\.\d)[ -][a-z]{2,5}$", "", text.strip()))
    return "unknown" if LICENCES[licence].attested else licence


def _terms(licence: str) -> tuple[bool, bool, bool, bool]:
    found = LICENCES[licence]
    return found.derivative, found.commercial, found.attribution, found.share_alike


class WikimediaCommons:
    """Finds video files by words, in the order of the site's own search."""

    def __init__(self, means: Means) -> None:
        self._api = Api(means, name=NAME, base=BASE_URL, what=WHAT, fault=fault_of, mend=KEYLESS)
        means.http.limit_host(f"{self._api.base_url}/w/api.php", parallel=1)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. Raises: Retry, RateLimited, Reject."""
        params = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "maxlag": str(MAX_LAG_S),
            "generator": "search",
            "gsrsearch": query_for(words_of(query)),
            "gsrnamespace": "6",
            "gsrlimit": str(min(limit, PAGE_SIZE)),
            "prop": "imageinfo|videoinfo",
            "iiprop": "timestamp|url|size|mime|mediatype|extmetadata",
            "iiextmetadatafilter": "|".join(_WANTED),
            "iiextmetadatalanguage": "en",
            "viprop": "derivatives",
        }
        found: list[Candidate] = []
        batch: dict[int, Page] = {}
        seen = 0
        further: dict[str, str] = {}
        with leaving_out(found, platform=NAME):
            for _ in range(MOST_ROUNDS):
                answer, at = await self._api.read_json(
                    "/w/api.php", lambda told, at: (parse_answer(told), at), params=params | further, fresh_s=FRESH_S
                )
                batch = merge_pages(batch, answer)
                told = answer.get("continue")
                further = {key: str(value) for key, value in told.items()} if isinstance(told, dict) else {}
                if "batchcomplete" in answer or not further:
                    found += _in_order(batch, at)
                    seen, batch = seen + len(batch), {}
                if not further or seen >= limit:
                    break
        return tuple({one.item_id: one for one in found}.values())[:limit]


def _in_order(pages: Mapping[int, Page], at: datetime) -> list[Candidate]:
    ranked = sorted(pages.values(), key=lambda page: (page.get("index", len(pages)), page["pageid"]))
    return [one for page in ranked if (one := parse_page(page, at=at)) is not None]


ADAPTER = WikimediaCommons
