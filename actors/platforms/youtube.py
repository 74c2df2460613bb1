"""YouTube: discovery of Shorts and long videos, one resumable upload per post, statistics of own videos.

Docs: YouTube Data API v3 reference (search, videos, channels, playlistItems), "Resumable Uploads", "Quota Calculator",
and "Using OAuth 2.0 for Web Server Applications", read 2026-11-23.
Auth: an API key for discovery; OAuth 2.0, Google, for the rest: `_youtube_calls` has the scopes.
Limits: title 100 characters, description 5,000 bytes, tags 500 characters (commas count, a tag with a space counts two
more), 256 GB or 12 hours, 50 ids per videos.list. Quota per project and day, reset at midnight Pacific: 100 searches,
100 uploads, 10,000 units for the rest (1 per list call). Uploads of projects without an audit are locked private.
Units: 64-bit counters are strings; times are RFC 3339 UTC.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from actors.platforms._bodies import deadline_of
from actors.platforms._youtube.analytics import Report, Reports, day_of
from actors.platforms._youtube.calls import BASE_URL, OAUTH, Calls
from actors.platforms._youtube.drafts import (
    DESCRIPTION_BYTES,
    MAX_BYTES,
    MAX_DURATION_US,
    TAGS_CHARS,
    TITLE_CHARS,
    check_draft,
    plain,
    tags_chars,
    video_resource,
)
from actors.platforms._youtube.dress import Dresser
from actors.platforms._youtube.errors import MENDS, parse_reason, raise_for_answer
from actors.platforms._youtube.search import ABSENT, SOURCES, Form, Search, searches, uploads
from actors.platforms._youtube.upload import send_rest
from actors.runtime.http import Http, Response
from actors.runtime.means import Means
from actors.runtime.oauth import Identity
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import (
    Candidate,
    Caps,
    Discovers,
    Draft,
    Journal,
    Limits,
    Need,
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
    "RATION",
    "SOURCES",
    "UPLOADS",
    "YouTube",
    "check_draft",
    "identify",
    "parse_channel",
    "parse_metrics",
    "parse_post",
    "tags_chars",
    "video_resource",
    "with_report",
]

NAME: Final = "youtube"
CAPS: Final = Caps(
    discover=True,
    publish=True,
    measure=True,
    schedules=True,
    hides=("private", "unlisted", "public"),
    looks=True,
    dresses=True,
    revises=True,
    licence_known=True,
    sees="videos of the last 30 days by words, Shorts (`youtube:shorts`) and long ones (`youtube:long`); "
    "views, likes, comments; never a file to use",
    costs="1 of 100 searches a day for 50 videos, rationed over the watched niches, and 1 of 10,000 units",
    posting="a channel; 1 of 100 upload calls a day, a thumbnail 50 and subtitles 450 of 10,000 units; uploads of API "
    "projects without Google's audit are locked private; over 15 minutes only for verified accounts",
)
NEEDS: Final = (
    Need(
        setting="youtube_api_key",
        means="An API key for the YouTube Data API v3, made in the Google Cloud console under Credentials",
    ),
)
RATION: Final = searches
"""The quota that scans on a schedule share."""
UPLOADS: Final = uploads
"""The quota of upload calls, of one project and day."""
PAGE_SIZE: Final = 50
LIMITS: Final = Limits(
    title_chars=TITLE_CHARS,
    description_bytes=DESCRIPTION_BYTES,
    tags_chars=TAGS_CHARS,
    max_bytes=MAX_BYTES,
    max_duration_us=MAX_DURATION_US,
    page_size=PAGE_SIZE,
)
WATCH_URL: Final = "https://www.youtube.com"
FIND_PAGES: Final = 40
ABSENT_ALWAYS: Final = dict.fromkeys(
    ("saves", "reach", "impressions", "clicks"), "YouTube's programming interfaces do not tell it"
)


def uploads_per_day(settings: Settings) -> int:
    """Return how many uploads a day Google grants the project, for all of its accounts together."""
    return settings.youtube_uploads_per_day


def parse_post(video: Any, *, watch_url: str = WATCH_URL) -> RemotePost:
    """Read a video resource. Raises: Retry if it has no id."""
    video_id = video.get("id") if isinstance(video, dict) else None
    if not isinstance(video_id, str) or not video_id:
        raise Retry("YouTube answered without a video id")
    return RemotePost(
        platform_post_id=video_id,
        url=f"{watch_url}/watch?v={video_id}",
        privacy=(video.get("status") or {}).get("privacyStatus"),
        published_at=_moment((video.get("snippet") or {}).get("publishedAt")),
    )


def parse_metrics(video: Any) -> PostMetrics:
    """Read `statistics`; a counter that is absent is null, with the reason."""
    told = (video.get("statistics") if isinstance(video, dict) else None) or {}
    counts: dict[str, Any] = {
        "views": _count(told.get("viewCount")),
        "likes": _count(told.get("likeCount")),
        "comments": _count(told.get("commentCount")),
        "shares": None,
    }
    return PostMetrics(**counts, absent={name: ABSENT[name] for name, count in counts.items() if count is None})


def with_report(metrics: PostMetrics, report: Report) -> PostMetrics:
    """Add what Analytics tells of a video to its counts; each null has its reason."""
    told = {name: value for name, value in report.counts.items() if value is not None}
    absent = {**metrics.absent, **ABSENT_ALWAYS, **report.absent}
    if "shares" in report.absent:
        absent["shares"] = f"{ABSENT['shares']}; {report.absent['shares']}"
    return msgspec.structs.replace(
        metrics, **told, absent={name: because for name, because in absent.items() if name not in told}
    )


def parse_channel(answer: Any, *, watch_url: str = WATCH_URL) -> tuple[Identity, str | None]:
    """Read channels.list: who it is and the playlist of own uploads. Raises: Reject if there is no channel.

    The address is that of the id: a handle (`customUrl`) can be changed.
    """
    items = answer.get("items") if isinstance(answer, dict) else None
    if not items:
        raise Reject("the Google account has no YouTube channel", mend=MENDS["authenticatedUserNotChannel"])
    channel = items[0]
    playlists = (channel.get("contentDetails") or {}).get("relatedPlaylists") or {}
    title = (channel.get("snippet") or {}).get("title") or channel["id"]
    url = f"{watch_url}/channel/{channel['id']}"
    return Identity(account_id=f"{NAME}:{channel['id']}", title=title, url=url), playlists.get("uploads")


async def identify(http: Http, settings: Settings, access_token: str, *, now: datetime) -> Identity:
    """Return whose channel the token opens. Raises: Reject (no channel), RateLimited, Retry."""
    answer = await http.request(
        "GET",
        f"{settings.api_url(NAME, BASE_URL)}/youtube/v3/channels",
        params={"part": "id,snippet", "mine": "true"},
        headers={"Authorization": f"Bearer {access_token}"},
    )
    if parse_reason(answer)[0] == "youtubeSignupRequired":
        raise Reject("the Google account has no YouTube channel", mend=MENDS["authenticatedUserNotChannel"])
    raise_for_answer(answer, what="reading the channel", now=now)
    return parse_channel(answer.json(), watch_url=settings.api_url("youtube_www", WATCH_URL))[0]


def _count(told: Any) -> int | None:
    return int(told) if isinstance(told, str | int) and str(told).isascii() and str(told).isdigit() else None


def _moment(told: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(told)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None


class _Source:
    """Only Shorts, or only long videos."""

    def __init__(self, search: Search, form: Form) -> None:
        self._search = search
        self._form = form

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        return await self._search.find(query, limit=limit, form=self._form)


class YouTube:
    """Finds videos of anybody; publishes and measures those of connected channels."""

    chunk_bytes: int | None = 16 * 1024 * 1024
    """Bytes per request; None: the whole file in one."""

    def __init__(self, means: Means) -> None:
        self._http = means.http
        self._clock = means.clock
        self._pace = means.pace
        self._calls = Calls(means)
        self._dresser = Dresser(self._calls, means.pace)
        self.reports = Reports(means)
        self._watch_url = means.settings.api_url("youtube_www", WATCH_URL)
        self._quota = means.quota
        self._uploads = uploads(means.settings)
        self._search = Search(means)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` videos of both kinds. Raises: Retry, RateLimited, Reject."""
        return await self._search.find(query, limit=limit)

    def source(self, name: str) -> Discovers:
        """Return what discovers in one of `SOURCES` alone."""
        return _Source(self._search, "shorts" if name == "shorts" else "long")

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Open an upload session; without bytes it makes no video.

        Raises: Reject (draft or account), RateLimited (quota, upload limit), AuthExpired, Retry.
        """
        draft = msgspec.structs.replace(draft, title=plain(draft.title), description=plain(draft.description))
        check_draft(draft, size_bytes=size_bytes)
        body = msgspec.json.encode(video_resource(draft))

        async def post(token: str) -> Response:
            return await self._http.request(
                "POST",
                f"{self._calls.base_url}/upload/youtube/v3/videos",
                params={"uploadType": "resumable", "part": "snippet,status"},
                headers={
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/json; charset=UTF-8",
                    "X-Upload-Content-Length": str(size_bytes),
                    "X-Upload-Content-Type": "video/mp4",
                },
                data=body,
            )

        await self._quota.spend(NAME, self._uploads)
        answer = await self._calls.authorised(account, post)
        raise_for_answer(answer, what="opening the upload", now=self._clock.now())
        place = answer.headers.get("Location", "")
        self._check_home(place)
        return UploadCheckpoint(session_url=place)

    async def send(
        self,
        account: AccountId,
        draft: Draft,  # noqa: ARG002 - the shape of an adapter
        checkpoint: UploadCheckpoint,
        file: Path,
        journal: Journal,
    ) -> RemotePost:
        """Ask how much is there, send the rest, return the video. The last byte is what makes it.

        Raises: Retry (the same session goes on later), RateLimited, AuthExpired, Reject,
        Unconfirmed (the session is gone: ask `find` before opening another).
        """
        self._check_home(checkpoint.session_url)
        size_bytes = (await asyncio.to_thread(file.stat)).st_size

        async def put(
            content_range: str,
            body: Callable[[], AsyncIterator[bytes]] | None,
            length: int,
            last: bool,  # noqa: FBT001 - the shape of Put
        ) -> Response:
            async def once(token: str) -> Response:
                return await self._http.request(
                    "PUT",
                    checkpoint.session_url,
                    headers={
                        "Authorization": f"Bearer {token}",
                        "Content-Type": "video/mp4",
                        "Content-Length": str(length),
                        "Content-Range": content_range,
                    },
                    data=b"" if body is None else body(),
                    deadline_s=deadline_of(length, self._pace),
                )

            return await self._calls.authorised(account, once, commits=journal if last else None)

        answer = await send_rest(
            put,
            file,
            size_bytes=size_bytes,
            chunk_bytes=self.chunk_bytes,
            pace=self._pace,
            sending=journal.sending,
        )
        raise_for_answer(answer, what="sending the video", now=self._clock.now())
        return parse_post(answer.json(), watch_url=self._watch_url)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:  # noqa: ARG002 - the shape of an adapter
        """Look through own uploads, newest first, for the marker among the tags; None: no listed video has it.

        Costs one unit, and two for every 50 videos. Raises: Unconfirmed if the list is too long to read to its end.
        """
        channel = await self._calls.get(account, "channels", {"part": "snippet,contentDetails", "mine": "true"})
        _, playlist = parse_channel(channel)
        if playlist is None:
            raise Retry("YouTube named no list of own uploads")
        page = {"part": "contentDetails", "playlistId": playlist, "maxResults": str(PAGE_SIZE)}
        for _ in range(FIND_PAGES):
            listed = await self._calls.get(account, "playlistItems", page, missing_ok=True)
            ids = tuple(item["contentDetails"]["videoId"] for item in listed.get("items", []))
            for video in await self._calls.videos(account, ids, "snippet,status"):
                if draft.marker in ((video.get("snippet") or {}).get("tags") or ()):
                    return parse_post(video, watch_url=self._watch_url)
            if not listed.get("nextPageToken"):
                return None
            page["pageToken"] = listed["nextPageToken"]
        raise Unconfirmed(
            f"the channel has more than {FIND_PAGES * PAGE_SIZE} uploads and none of the newest is the one sought"
        )

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts by video id, with what Analytics tells; a video that YouTube does not show is left out."""
        found: dict[str, PostMetrics] = {}
        for start in range(0, len(platform_post_ids), PAGE_SIZE):
            batch = platform_post_ids[start : start + PAGE_SIZE]
            videos = await self._calls.videos(account, batch, "snippet,statistics")
            ids = [video["id"] for video in videos]
            published = (_moment((video.get("snippet") or {}).get("publishedAt")) for video in videos)
            days = [day_of(moment) for moment in published if moment is not None]
            since = min(days) if len(days) == len(videos) and days else None
            reports = await self.reports.of_videos(account, ids, since=since) if ids else {}
            found |= {video["id"]: with_report(parse_metrics(video), reports[video["id"]]) for video in videos}
        return found

    async def dress(
        self, account: AccountId, draft: Draft, post: RemotePost, *, thumbnail: Path | None, subtitles: Path | None
    ) -> str:
        """Set thumbnail and subtitles, see Dresser."""
        return await self._dresser.dress(account, draft, post, thumbnail=thumbnail, subtitles=subtitles)

    async def revise(
        self, account: AccountId, platform_post_id: str, *, title: str | None, description: str | None
    ) -> None:
        """Change the words of a video, see Dresser."""
        await self._dresser.revise(account, platform_post_id, title=title, description=description)

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each video stands, see Dresser."""
        return await self._dresser.look(account, platform_post_ids)

    def _check_home(self, session_url: str) -> None:
        """Refuse to send the token and the video anywhere but to Google (or where the settings point)."""
        there, home = urlsplit(session_url), urlsplit(self._calls.base_url)
        host = there.hostname or ""
        google = there.scheme == "https" and (host == "googleapis.com" or host.endswith(".googleapis.com"))
        if not google and (there.scheme, there.netloc) != (home.scheme, home.netloc):
            raise Retry("YouTube opened an upload session without a usable address")


ADAPTER = YouTube
