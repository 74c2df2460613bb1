"""Threads: video posts of own accounts, published and measured; video posts of others by keyword.

Docs: developers.facebook.com/docs/threads: get-started, posts, posts/publish, insights, retrieve-posts, keyword-search,
troubleshooting, read 2026-11-23.
Auth: Threads' own login (its hosts take no other): a token of an hour, made to last 60 days, which a token that is a
day old or more renews. Limits: 250 posts in any 24 hours, which the account is told when it asks; 500 characters.
The video is fetched by Threads from a public address; bytes are not taken. There are no figures of watching.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from actors.platforms._meta.account import GraphAccount, check_public, check_words
from actors.platforms._meta.container import Containers, Shape, id_in
from actors.platforms._meta.insights import Figures, ask_insights, post_metrics
from actors.platforms._meta.login import ask_as, name_of, picture_of
from actors.platforms._meta.threads_search import BASE_URL, MOST_AN_HOUR, TOKEN, Keywords
from actors.runtime.http import Http
from actors.runtime.means import Means
from actors.runtime.oauth import Identity, OAuthClient, Prolong
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry
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
    "Threads",
    "container_form",
    "identify",
    "parse_metrics",
]

NAME: Final = "threads"
CAPS: Final = Caps(
    discover=True,
    through_account=True,
    publish=True,
    measure=True,
    looks=True,
    sees="video posts of the last 7 days by words, the most popular first; no counts",
    costs=f"1 query for 100 posts, of {MOST_AN_HOUR} an hour: 2,200 in any 24 hours are allowed",
    cannot="Counts of other people's posts are not told, and without the permission threads_keyword_search only "
    "the own posts are found.",
    posting="video posts, public; Threads fetches the file, so media must lie in a bucket that the internet reaches; "
    "no field for paid or synthetic content",
)
PAGE_SIZE: Final = 100
LIMITS: Final = Limits(
    page_size=PAGE_SIZE,
    caption=500,
    max_bytes=1_000_000_000,
    max_duration_us=5 * 60 * 1_000_000,
    containers=("mp4", "mov"),
    video_codecs=("h264", "hevc"),
    audio_codecs=("aac",),
    min_fps=23.0,
    max_fps=60.0,
    max_width_px=1920,
    max_bits_per_s=100_000_000,
    posts_per_day=250,
)
NEEDS: Final = (TOKEN,)
OAUTH: Final = OAuthClient(
    name=NAME,
    title="Threads",
    authorize_api=(NAME, "https://threads.net"),
    authorize_path="/oauth/authorize",
    token_api=(NAME, "https://graph.threads.net"),
    token_path="/oauth/access_token",  # noqa: S106 - a path
    client_id_setting="threads_client_id",
    client_secret_setting="threads_client_secret",  # noqa: S106 - the name of a setting
    scopes=("threads_basic", "threads_content_publish", "threads_manage_insights", "threads_keyword_search"),
    scope_separator=",",
    pkce="none",
    gone=("190", "100", "102"),
    refused=("101", "invalid_client"),
    prolong=Prolong(
        path="/access_token",
        grant="th_exchange_token",
        renew_path="/refresh_access_token",
        renew_grant="th_refresh_token",
    ),
)
OPTIONS: Final = {
    "reply_control": "who may answer: everyone, accounts_you_follow or mentioned_only",
    "topic_tag": "the one topic of the post, 1 to 50 characters without . and &",
    "alt_text": "what the video shows, in words for those who do not see it",
}

SITE: Final = "https://www.threads.com/"
_REPLY_CONTROLS: Final = frozenset({"everyone", "accounts_you_follow", "mentioned_only"})
_SHAPE: Final = Shape(
    what="Threads",
    container="threads",
    publish="threads_publish",
    posts="threads",
    limit="threads_publishing_limit",
    status="status",
    because="error_message",
    text="text",
    usual_limit=250,
)
_GROUPS: Final = (("views", "likes", "replies", "reposts", "quotes"), ("shares",))
_SOURCES: Final = {"views": "views", "likes": "likes", "comments": "replies", "shares": "shares"}
_NOT_TOLD: Final = "Threads does not tell it of a post"
_WHY: Final = {
    "": "Threads has no figure yet: they come up to 48 hours late",
    **dict.fromkeys(("saves", "reach", "impressions", "clicks", "followers"), _NOT_TOLD),
    **dict.fromkeys(("watched_us", "average_watched_us", "retention"), "Threads does not tell how a video is watched"),
}


def container_form(draft: Draft) -> dict[str, str]:
    """Return the fields of a post's container. Raises: Reject (no public address, or an option that cannot be)."""
    if not draft.media_address:
        raise Reject(
            "Threads fetches the video from a public address, and this one has none",
            mend="Keep media in a bucket that the internet reaches (MEDIA_URL=s3://...), or leave Threads out",
        )
    form = {"media_type": "VIDEO", "text": draft.caption, "video_url": draft.media_address}
    if (who := draft.options.get("reply_control")) is not None:
        if who not in _REPLY_CONTROLS:
            raise Reject(f"the option reply_control is '{who}'", mend=f"Write {', '.join(sorted(_REPLY_CONTROLS))}")
        form["reply_control"] = who
    if topic := draft.options.get("topic_tag"):
        if len(topic) > 50 or "." in topic or "&" in topic:
            raise Reject(f"the option topic_tag is '{topic}'", mend="Write 1 to 50 characters without . and &")
        form["topic_tag"] = topic
    if alt := draft.options.get("alt_text"):
        form["alt_text"] = alt
    return form


def parse_metrics(figures: Figures) -> PostMetrics:
    """Read a post's counts. Reposts and quotes are shares as well."""
    parts = [figures.number(name) for name in ("shares", "reposts", "quotes")]
    known = [part for part in parts if part is not None]
    return post_metrics(
        figures,
        _SOURCES,
        _WHY,
        views=figures.number("views"),
        likes=figures.number("likes"),
        comments=figures.number("replies"),
        shares=sum(known) if known else None,
    )


async def identify(http: Http, settings: Settings, access_token: str, *, now: datetime) -> Identity:
    """Return whose the token is. Raises: Reject, RateLimited, Retry."""
    told = await ask_as(
        http,
        f"{settings.api_url(NAME, BASE_URL)}/me",
        access_token,
        {"fields": "id,username,threads_profile_picture_url"},
        what="Threads",
        permission=" and ".join(OAUTH.scopes),
        now=now,
    )
    number = told.get("id")
    if not isinstance(number, str | int) or not str(number):
        raise Retry("Threads answered without the number of the account")
    name = name_of(told.get("username"), str(number))
    return Identity(
        account_id=f"{NAME}:{number}",
        title=f"@{name}",
        url=f"{SITE}@{name}",
        picture_url=picture_of(told.get("threads_profile_picture_url")),
    )


class Threads:
    """Publishes video posts and measures them; finds those of others by words."""

    def __init__(self, means: Means) -> None:
        self._keywords = Keywords(means, OAUTH, page_size=PAGE_SIZE)
        self._api = GraphAccount(
            means,
            name=NAME,
            base=BASE_URL,
            what="Threads",
            client=OAUTH,
        )
        self._containers = Containers(self._api, _SHAPE, means.clock, site=SITE)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` posts, in the platform's order. Raises: Retry, RateLimited, Reject, AuthExpired."""
        return await self._keywords.discover(query, limit=limit)

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Make a container, whose video Threads then fetches; the day's posts are counted first.

        Raises: Reject (the draft, or no public address), RateLimited (no post is left today), AuthExpired, Retry.
        """
        check_words(draft, LIMITS, what="Threads")
        check_public(draft, LIMITS, size_bytes=size_bytes, noun="Threads post", what="Threads")
        form = container_form(draft)
        await self._containers.check_quota(account)
        made = await self._containers.open(account, form)
        return UploadCheckpoint(step="opened", ids={"container": id_in(made, what="Threads")})

    async def send(
        self,
        account: AccountId,
        draft: Draft,
        checkpoint: UploadCheckpoint,
        file: Path,  # noqa: ARG002 - Threads fetches it
        journal: Journal,
    ) -> RemotePost:
        """Ask how the container stands, and publish it once it is finished.

        Raises: Snooze (Threads works on it), Unconfirmed (the container is gone), Retry, RateLimited, AuthExpired,
        Reject.
        """
        if post := checkpoint.ids.get("post"):
            return await self._containers.read(account, post)
        state = await self._containers.known(account, checkpoint)
        return await self._containers.finish(account, draft, checkpoint, journal, state)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Return the post that the container made; None: it made none. Raises: Unconfirmed if that cannot be told."""
        return await self._containers.find(account, draft, checkpoint)

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts by post id. A post that Threads does not show is not in the answer."""

        async def one(post: str) -> PostMetrics:
            return parse_metrics(await ask_insights(self._api, account, f"/{post}/insights", _GROUPS))

        return await self._api.each(account, platform_post_ids, one)

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands: there, or removed. Threads tells no more."""
        return await self._containers.look(account, platform_post_ids)


ADAPTER = Threads
