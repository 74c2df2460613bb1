"""Links that earn, and the words that disclose them: which go into a post, and where. Pure but for `load_links`.

Rules that the words follow: FTC, "Disclosures 101 for Social Media Influencers" (2019) and 16 CFR part 255: plain
words, near the claim, not behind "more"; EU Directive 2005/29/EC, annex I, no. 11: paid content is recognisable as
such. So the disclosure is the first line of the text, and a link never stands without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from msgspec import Struct

from actors.runtime.db import Database, into, load_queries
from contracts.clock import Utc
from contracts.ids import PostId

__all__ = ["DISCLOSURE", "AffiliateLink", "Linked", "disclosed", "links_for", "load_links", "marker_of", "tagged"]

Q: Final = load_queries(Path(__file__).with_name("links.sql"))
DISCLOSURE: Final = "Ad: contains affiliate links. I earn a commission when you buy through them."
_ADDRESS: Final = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_ENDS: Final = ".,;:!?)"
"""What ends a sentence after an address, and is no part of it."""


class AffiliateLink(Struct, frozen=True, kw_only=True):
    """A row of `affiliate_links`."""

    code: str
    url: str
    title: str
    disclosure: str
    network: str = ""
    niche: str | None = None
    platforms: tuple[str, ...] = ()
    marker_param: str = "utm_content"
    discount_code: str | None = None
    paused: bool = False
    created_at: Utc | None = None


class Linked(Struct, frozen=True, kw_only=True):
    """A text with its links. codes: of the links that are in it; left_out: why those are not that should be."""

    text: str
    codes: tuple[str, ...] = ()
    left_out: str = ""

    @property
    def disclosed(self) -> bool:
        return bool(self.codes)


def marker_of(post: PostId) -> str:
    """Return the marker of a post: what its links carry, and what is sought after an unknown outcome."""
    return "ett" + post.replace("-", "")[:16]


def links_for(links: Iterable[AffiliateLink], *, niche: str | None, platform: str) -> tuple[AffiliateLink, ...]:
    """Return the links that the rule adds to a post of this niche there, by code."""
    wanted = (niche or "").casefold()
    return tuple(
        sorted(
            (
                link
                for link in links
                if not link.paused
                and (link.niche is None or link.niche.casefold() == wanted)
                and (not link.platforms or platform in link.platforms)
            ),
            key=lambda link: link.code,
        )
    )


def tagged(link: AffiliateLink, *, platform: str, marker: str) -> str:
    """Return the link's address with what tells for which post it earned; what the address has stays."""
    parts = urlsplit(link.url)
    ours = {link.marker_param: marker}
    if link.marker_param == "utm_content":
        ours = {"utm_source": platform, "utm_medium": "social", "utm_campaign": link.code, **ours}
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in ours]
    return parts._replace(query=urlencode([*kept, *ours.items()])).geturl()


def disclosed(
    text: str,
    links: Sequence[AffiliateLink],
    *,
    platform: str,
    marker: str,
    fits: Callable[[str], bool] = lambda _: True,
) -> Linked:
    """Add links to a text, with their disclosure as its first line; all of it or, where it does not `fit`, nothing.

    A link that the text holds already is tagged where it stands. A text that comes with a link never goes without
    words that disclose it: where those do not fit, the link is taken out.
    """
    standing = [link for link in links if _stands(text, link)]
    added = [link for link in links if link not in standing]
    body = text
    for link in standing:
        body = _tag(body, link, platform, marker)
    whole = _whole(body, standing, added, platform=platform, marker=marker)
    if not links or fits(whole):
        return Linked(text=whole if links else text, codes=tuple(link.code for link in links))
    if standing:
        kept = _whole(body, standing, [], platform=platform, marker=marker)
        if fits(kept):
            return Linked(
                text=kept, codes=tuple(link.code for link in standing), left_out="the text has no room for more links"
            )
        for link in standing:
            body = _without(body, link)
        body = re.sub(r"[ \t]{2,}", " ", body).strip()
    return Linked(text=body, left_out="the text has no room for the links and the words that disclose them")


def _whole(
    body: str, standing: Sequence[AffiliateLink], added: Sequence[AffiliateLink], *, platform: str, marker: str
) -> str:
    said = dict.fromkeys(" ".join(link.disclosure.split()) or DISCLOSURE for link in (*standing, *added))
    opening = " ".join(words for words in said if words not in body)
    lines = [f"{link.title}: {tagged(link, platform=platform, marker=marker)}" for link in added]
    return "\n\n".join(part for part in (opening, body.strip(), "\n".join(lines)) if part)


def _stands(text: str, link: AffiliateLink) -> bool:
    return any(_same(found, link) for found in _ADDRESS.findall(text))


def _same(address: str, link: AffiliateLink) -> bool:
    """Whether an address is the link's, with or without what is tagged to it."""
    one, other = urlsplit(address.rstrip(_ENDS)), urlsplit(link.url)
    return (one.netloc.lower(), one.path.rstrip("/")) == (other.netloc.lower(), other.path.rstrip("/")) and set(
        parse_qsl(other.query)
    ) <= set(parse_qsl(one.query))


def _tag(text: str, link: AffiliateLink, platform: str, marker: str) -> str:
    def tag(found: re.Match[str]) -> str:
        bare = found[0].rstrip(_ENDS)
        return tagged(link, platform=platform, marker=marker) + found[0][len(bare) :] if _same(bare, link) else found[0]

    return _ADDRESS.sub(tag, text)


def _without(text: str, link: AffiliateLink) -> str:
    return _ADDRESS.sub(lambda found: "" if _same(found[0], link) else found[0], text)


async def load_links(db: Database) -> tuple[AffiliateLink, ...]:
    """Read the links that are not paused."""
    return tuple(into(AffiliateLink, row) for row in await db.fetch(Q["active_links"]))
