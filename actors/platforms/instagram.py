"""Instagram: reels of own professional accounts, published and measured; videos of others under one hashtag.

Docs: developers.facebook.com/docs/instagram-platform: content-publishing, reference/ig-user/media, ig-container,
ig-user/media_publish, ig-user/content_publishing_limit, reference/instagram-media/insights, hashtag-search,
read 2026-11-23.
Auth: Facebook Login, with the token of the page that the account is linked to. Instagram's own login would need no
page, but takes no bytes: a video would have to lie at a public address, which a machine at home has not; paid
partnerships and hashtags are not there either. Limits: 50 or 100 posts in any 24 hours, as the account is told when it
asks; 400 containers. Units: watch times in milliseconds; figures come up to 48 hours late, likes and comments at once.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.platforms._api import count
from actors.platforms._meta.account import GraphAccount, check_public, check_words, truth
from actors.platforms._meta.container import Containers, Shape, State, id_in
from actors.platforms._meta.graph import GRAPH_URL
from actors.platforms._meta.insights import Figures, ask_insights, micros, post_metrics
from actors.platforms._meta.instagram_hashtags import MOST_HASHTAGS, TOKEN, USER, Hashtags
from actors.platforms._meta.login import facebook_login, name_of, own_tokens, pages_of, picture_of
from actors.platforms._meta.upload import Upload, parse_phase
from actors.platforms._posts import as_dict
from actors.runtime.http import Http
from actors.runtime.means import Means
from actors.runtime.oauth import Identity
from actors.runtime.settings import Settings
from contracts.errors import Reject
from contracts.ids import AccountId
from contracts.platform import (
    Candidate,
    Caps,
    Draft,
    Journal,
    Limits,
    PostMetrics,
    RemotePost,
    Standing,
    UploadCheckpoint,
)

__all__ = [
    "ADAPTER",
    "CAPS",
    "LIMITS",
    "NAME",
    "NEEDS",
    "OAUTH",
    "OPTIONS",
    "Instagram",
    "container_form",
    "identify",
    "parse_metrics",
]

NAME: Final = "instagram"
CAPS: Final = Caps(
    discover=True,
    through_account=True,
    publish=True,
    measure=True,
    looks=True,
    sees="videos under the niche written as one hashtag: the popular ones and those of the last 24 hours; "
    "likes and comments",
    costs=f"one of {MOST_HASHTAGS} hashtags in 7 days, for a hashtag that was not asked for in them",
    cannot="Search by words does not exist; the accounts, views and shares of other people's videos are not told.",
    posting="reels, public; needs a professional account that is linked to a Facebook page",
)
PAGE_SIZE: Final = 50
LIMITS: Final = Limits(
    page_size=PAGE_SIZE,
    caption=2200,
    max_hashtags=30,
    max_bytes=300_000_000,
    min_duration_us=3_000_000,
    max_duration_us=15 * 60 * 1_000_000,
    containers=("mp4", "mov"),
    video_codecs=("h264", "hevc"),
    audio_codecs=("aac",),
    min_fps=23.0,
    max_fps=60.0,
    max_width_px=1920,
    min_aspect=0.01,
    max_aspect=10.0,
    max_bits_per_s=25_128_000,
    posts_per_day=100,  # the most that any page tells; what the account may is asked before each post
)
NEEDS: Final = (TOKEN, USER)
OAUTH: Final = facebook_login(
    NAME,
    "Instagram",
    (
        "instagram_basic",
        "instagram_content_publish",
        "instagram_manage_insights",
        "pages_show_list",
        "pages_read_engagement",
    ),
)
OPTIONS: Final = {
    "share_to_feed": "true or false: whether the reel is also shown among the posts of the profile",
    "thumb_offset": "moment of the cover, milliseconds from the beginning",
    "audio_name": "name of the reel's own sound",
    "collaborators": "up to 3 user names with commas, who are asked to be named as authors",
    "sponsor_ids": "up to 2 account numbers with commas, of who paid for it",
}

SITE: Final = "https://www.instagram.com/"
MOST_MENTIONS: Final = 20
_SHAPE: Final = Shape(
    what="Instagram",
    container="media",
    publish="media_publish",
    posts="media",
    limit="content_publishing_limit",
    status="status_code",
    because="status",
    text="caption",
    usual_limit=50,
)
_GROUPS: Final = (
    ("views", "reach", "saved", "shares"),
    ("ig_reels_avg_watch_time", "ig_reels_video_view_total_time"),
)
_SOURCES: Final = {
    "views": "views",
    "reach": "reach",
    "saves": "saved",
    "shares": "shares",
    "average_watched_us": "ig_reels_avg_watch_time",
    "watched_us": "ig_reels_video_view_total_time",
}
_WHY: Final = {
    "": "Instagram has no figure yet: they come up to 48 hours late",
    "likes": "not in the answer: the likes are hidden",
    "comments": "not in the answer: comments are switched off",
    "impressions": "Instagram counts views in their place",
    "clicks": "Instagram does not tell clicks on a reel",
    "followers": "Instagram does not tell what followers a reel brought",
    "retention": "Instagram does not tell where people stop to watch",
}


def container_form(draft: Draft) -> dict[str, str]:
    """Return the fields of a reel's container. Raises: Reject (an option that cannot be)."""
    form = {"media_type": "REELS", "upload_type": "resumable", "caption": draft.caption}
    if draft.synthetic:
        form["is_ai_generated"] = "true"
    if draft.paid:
        form["is_paid_partnership"] = "true"
    if (shared := truth(draft, "share_to_feed")) is not None:
        form["share_to_feed"] = shared
    if (offset := draft.options.get("thumb_offset")) is not None:
        if not (offset.isascii() and offset.isdigit()):
            raise Reject(f"the option thumb_offset is '{offset}'", mend="Write milliseconds from the beginning")
        form["thumb_offset"] = offset
    if name := draft.options.get("audio_name"):
        form["audio_name"] = name
    for option, field, most in (
        ("collaborators", "collaborators", 3),
        ("sponsor_ids", "branded_content_sponsor_ids", 2),
    ):
        names = [one.strip() for one in draft.options.get(option, "").split(",") if one.strip()]
        if len(names) > most:
            raise Reject(f"the option {option} has {len(names)} entries", mend=f"Instagram takes {most}")
        if names:
            form[field] = msgspec.json.encode(names).decode()
    return form


def parse_metrics(told: dict[str, Any], figures: Figures) -> PostMetrics:
    """Read a reel's counts: likes and comments of the reel itself, the rest of its insights."""
    return post_metrics(
        figures,
        _SOURCES,
        _WHY,
        views=figures.number("views"),
        likes=count(told.get("like_count")),
        comments=count(told.get("comments_count")),
        shares=figures.number("shares"),
        saves=figures.number("saved"),
        reach=figures.number("reach"),
        watched_us=micros(figures.number("ig_reels_video_view_total_time")),
        average_watched_us=micros(figures.number("ig_reels_avg_watch_time")),
    )


async def identify(http: Http, settings: Settings, access_token: str, *, now: datetime) -> tuple[Identity, ...]:
    """Return the professional accounts behind the pages that were opened, each with its page's token.

    Raises: Reject (there is none), RateLimited, Retry.
    """
    linked = "instagram_business_account{id,username,name,profile_picture_url}"
    pages, granted = await pages_of(http, settings, access_token, OAUTH, linked, now=now)
    found = []
    for page in pages:
        account = as_dict(page.get("instagram_business_account"))
        if not account.get("id"):
            continue
        name = name_of(account.get("username"), str(account["id"]))
        found.append(
            Identity(
                account_id=f"{NAME}:{account['id']}",
                title=f"@{name}",
                tokens=own_tokens(page, granted),
                url=f"{SITE}{name}/",
                picture_url=picture_of(account.get("profile_picture_url")),
            )
        )
    if not found:
        raise Reject(
            "none of the pages that were opened has a professional Instagram account",
            mend="Make the account a professional one, link it to a Facebook page, and choose both when you connect",
        )
    return tuple(found)


class Instagram:
    """Publishes reels and measures them; finds the videos of a hashtag."""

    def __init__(self, means: Means) -> None:
        self._hashtags = Hashtags(means, OAUTH, page_size=PAGE_SIZE)
        self._api, uploads = (
            GraphAccount(
                means,
                name=NAME,
                base=GRAPH_URL,
                what="Instagram",
                client=OAUTH,
                scheme=scheme,
            )
            for scheme in ("Bearer", "OAuth")
        )
        self._upload = Upload(means, uploads, what="Instagram")
        self._containers = Containers(self._api, _SHAPE, means.clock, site=SITE)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` videos, popular and recent ones in turn.

        Raises: Retry, Reject, RateLimited (also where the hashtag would be the 31st in 7 days), AuthExpired.
        """
        return await self._hashtags.discover(query, limit=limit)

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Make a container that waits for bytes; the day's posts are counted first.

        Raises: Reject (the draft), RateLimited (no post is left today), AuthExpired, Retry.
        """
        check_words(draft, LIMITS, what="Instagram", most_mentions=MOST_MENTIONS)
        check_public(draft, LIMITS, size_bytes=size_bytes, noun="reel", what="Instagram")
        form = container_form(draft)
        await self._containers.check_quota(account)
        made = await self._containers.open(account, form)
        place = made.get("uri")
        url = place if isinstance(place, str) else ""
        self._upload.check_home(url)
        return UploadCheckpoint(session_url=url, step="opened", ids={"container": id_in(made, what="Instagram")})

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Ask what is there, send the rest, publish what is finished; nothing is published before its status is asked.

        Raises: Snooze (Instagram works on it), Unconfirmed (the container is gone or spent), Retry, RateLimited,
        AuthExpired, Reject.
        """
        if post := checkpoint.ids.get("post"):
            return await self._containers.read(account, post)
        state = await self._state(account, checkpoint)
        if state.status == "IN_PROGRESS" and parse_phase(state.told.get("video_status")) is not None:

            async def confirmed() -> int | None:
                told = (await self._state(account, checkpoint)).told
                return parse_phase(told.get("video_status"))

            checkpoint = await self._upload.send_rest(account, checkpoint, file, confirmed=confirmed, journal=journal)
            state = await self._state(account, checkpoint)
        return await self._containers.finish(account, draft, checkpoint, journal, state)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Return the reel that the container made; None: it made none. Raises: Unconfirmed if that cannot be told."""
        return await self._containers.find(account, draft, checkpoint)

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts by media id. A reel that Instagram does not show is not in the answer."""

        async def one(post: str) -> PostMetrics:
            told = await self._api.get(account, f"/{post}", params={"fields": "id,like_count,comments_count"})
            return parse_metrics(told, await ask_insights(self._api, account, f"/{post}/insights", _GROUPS))

        return await self._api.each(account, platform_post_ids, one)

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each reel stands: there, or removed. Blocks and claims are not told of what is published."""
        return await self._containers.look(account, platform_post_ids)

    async def _state(self, account: AccountId, checkpoint: UploadCheckpoint) -> State:
        return await self._containers.known(account, checkpoint, more="video_status")


ADAPTER = Instagram
