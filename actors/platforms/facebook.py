"""Facebook: reels of own pages, published in three phases and measured; videos of the pages that may be read.

Docs: developers.facebook.com/docs/video-api/guides/reels-publishing, .../docs/graph-api/reference/video,
.../video/video_insights, .../docs/pages-api/overview, read 2026-11-23.
Auth: Facebook Login for pages; each page has its own token, which does not end by itself. It is the only login that
opens pages. Limits: 30 reels in any 24 hours a page; X-App-Usage, percentages of a rolling hour. Units: watch times in
milliseconds, times Unix seconds; figures come up to 48 hours late, counts of the video itself at once.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.platforms._account import none_was_made
from actors.platforms._meta.account import GraphAccount, check_words, own_id
from actors.platforms._meta.facebook_reel import (
    COUNTS,
    GROUPS,
    Outcome,
    check_time,
    finish_form,
    parse_metrics,
    parse_outcome,
    parse_reel,
    parse_standing,
)
from actors.platforms._meta.facebook_videos import PAGES, SITE, TOKEN, PageVideos
from actors.platforms._meta.graph import GRAPH_URL, GraphRefused
from actors.platforms._meta.insights import ask_insights
from actors.platforms._meta.login import facebook_login, name_of, own_tokens, pages_of, picture_of
from actors.platforms._meta.upload import Upload, parse_phase
from actors.runtime.http import Http
from actors.runtime.means import Means
from actors.runtime.oauth import Identity
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry, Snooze, Unconfirmed
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

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "OAUTH", "Facebook", "identify"]

NAME: Final = "facebook"
CAPS: Final = Caps(
    discover=True,
    through_account=True,
    publish=True,
    measure=True,
    looks=True,
    schedules=True,
    sees="the latest videos and reels of the named pages that have the words; views, likes, comments",
    costs="2 requests a page of the setting in half an hour, for all niches; percentages of the hour in X-App-Usage",
    cannot="Search through other people's pages does not exist.",
    posting="reels of a page, public; 3 to 90 seconds, upright; no profile of a person; no field for paid or synthetic "
    "content",
)
PAGE_SIZE: Final = 100
LIMITS: Final = Limits(
    page_size=PAGE_SIZE,
    title_chars=254,
    min_duration_us=3_000_000,
    max_duration_us=90_000_000,
    containers=("mp4",),
    min_fps=24.0,
    max_fps=60.0,
    min_side_px=540,
    min_aspect=9 / 16 - 0.01,
    max_aspect=9 / 16 + 0.01,
    posts_per_day=30,
)
NEEDS: Final = (TOKEN, PAGES)
OAUTH: Final = facebook_login(
    NAME,
    "Facebook",
    ("pages_show_list", "pages_read_engagement", "pages_read_user_content", "pages_manage_posts", "read_insights"),
)

SOON_S: Final = 15.0
_STATUS: Final = "id,status,permalink_url,published"


async def identify(http: Http, settings: Settings, access_token: str, *, now: datetime) -> tuple[Identity, ...]:
    """Return the pages that the person opened, each with its own token. Raises: Reject (none), RateLimited, Retry."""
    pages, granted = await pages_of(http, settings, access_token, OAUTH, "id,name,link,picture{url}", now=now)
    found = tuple(
        Identity(
            account_id=f"{NAME}:{page['id']}",
            title=name_of(page.get("name"), str(page["id"])),
            tokens=own_tokens(page, granted),
            url=f"{SITE}{page['id']}",
            picture_url=picture_of(page.get("picture")),
        )
        for page in pages
        if page.get("id")
    )
    if not found:
        raise Reject(
            "no Facebook page was opened to this app",
            mend="Make a page, or choose yours when you connect; a personal profile cannot be posted to",
        )
    return found


class Facebook:
    """Publishes reels on own pages and measures them; finds videos on the pages of the setting."""

    def __init__(self, means: Means) -> None:
        self._clock = means.clock
        self._videos = PageVideos(means, OAUTH, page_size=PAGE_SIZE)
        self._api, uploads = (
            GraphAccount(
                means,
                name=NAME,
                base=GRAPH_URL,
                what="Facebook",
                client=OAUTH,
                scheme=scheme,
            )
            for scheme in ("Bearer", "OAuth")
        )
        self._upload = Upload(means, uploads, what="Facebook")

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` videos that have the words, newest first.

        A page that refuses is left out, unless all do. Raises: Retry, RateLimited, Reject, AuthExpired.
        """
        return await self._videos.discover(query, limit=limit)

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Open an upload: the first phase, of which alone no post comes.

        Raises: Reject (the draft), RateLimited, AuthExpired, Retry.
        """
        check_words(draft, LIMITS, what="Facebook")
        check_time(draft, self._clock.now())
        if draft.privacy != "public" and draft.publish_at is None:
            raise Reject(f"a reel cannot be {draft.privacy}", mend="Choose public: a page shows its reels to everybody")
        if size_bytes <= 0:
            raise Reject("the file is empty", mend="Render the video again")
        opened = await self._api.post(account, f"/{own_id(account)}/video_reels", data={"upload_phase": "start"})
        video, url = opened.get("video_id"), opened.get("upload_url")
        if not isinstance(video, str | int) or not str(video) or not isinstance(url, str):
            raise Retry("Facebook opened an upload without naming it")
        self._upload.check_home(url)
        return UploadCheckpoint(session_url=url, step="opened", ids={"video": str(video)})

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Ask how far the video is, send the rest, finish it once, and return it when it is published.

        One video makes at most one reel. Raises: Snooze (Facebook works on it), Unconfirmed (the upload is gone or
        spent), Retry, RateLimited, AuthExpired, Reject.
        """
        video = checkpoint.ids["video"]
        told, outcome = await self._status(account, video)
        if outcome.state == "none" and checkpoint.step != "finished":
            if parse_phase(told.get("status")) is not None:

                async def confirmed() -> int | None:
                    told, _ = await self._status(account, video)
                    return parse_phase(told.get("status"))

                checkpoint = await self._upload.send_rest(
                    account, checkpoint, file, confirmed=confirmed, journal=journal
                )
            form = finish_form(draft, video, self._clock.now())
            answer = await self._api.commit(account, f"/{own_id(account)}/video_reels", form, journal)
            if answer.get("success") is not True:
                raise Retry("Facebook did not say whether it takes the reel")
            await journal.keep(msgspec.structs.replace(checkpoint, step="finished"))
            told, outcome = await self._status(account, video)
        return await _settled(video, told, outcome, journal)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:  # noqa: ARG002 - the shape of an adapter
        """Return the reel by the id that its upload has had from the beginning; None: it was not published."""
        video = checkpoint.ids["video"]
        try:
            told, outcome = await self._status(account, video)
        except Unconfirmed:
            return None
        return parse_reel(video, told, outcome) if outcome.state in {"published", "scheduled"} else None

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts by video id. A reel that Facebook does not show is not in the answer."""

        async def one(video: str) -> PostMetrics:
            told = await self._api.get(account, f"/{video}", params={"fields": COUNTS})
            return parse_metrics(told, await ask_insights(self._api, account, f"/{video}/video_insights", GROUPS))

        return await self._api.each(account, platform_post_ids, one)

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each reel stands: shown, waiting for its time, a draft, failed, or removed."""

        async def one(video: str) -> Standing:
            return parse_standing(await self._api.get(account, f"/{video}", params={"fields": _STATUS}))

        return await self._api.standings(account, platform_post_ids, one)

    async def _status(self, account: AccountId, video: str) -> tuple[dict[str, Any], Outcome]:
        try:
            told = await self._api.get(account, f"/{video}", params={"fields": _STATUS})
        except GraphRefused as refused:
            if not refused.gone:
                raise
            raise Unconfirmed("Facebook no longer knows the video") from refused
        return told, parse_outcome(told.get("status"))


async def _settled(video: str, told: dict[str, Any], outcome: Outcome, journal: Journal) -> RemotePost:
    """Return the reel if it is published or waits for its time.

    Raises: Snooze (it is worked on), Reject (it failed), Unconfirmed (the upload has expired).
    """
    if outcome.state in {"published", "scheduled"}:
        return parse_reel(video, told, outcome)
    if outcome.state == "failed":
        await none_was_made(journal)
        raise Reject(outcome.reason, mend=outcome.mend)
    if outcome.state == "expired":
        await none_was_made(journal)
        raise Unconfirmed("Facebook let the upload expire")
    raise Snooze("Facebook works on the video", delay_s=SOON_S)


ADAPTER = Facebook
