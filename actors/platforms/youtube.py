"""YouTube: one resumable upload per post, statistics of own videos.

Docs: YouTube Data API v3 reference (videos, channels, playlistItems), "Resumable Uploads", "Quota Calculator", and
"Using OAuth 2.0 for Web Server Applications", read 2026-11-23.
Auth: OAuth 2.0, Google; scopes youtube.upload and youtube.readonly.
Limits: title 100 characters, description 5,000 bytes, tags 500 characters (commas count, a tag with a space counts two
more), 256 GB or 12 hours, 50 ids per videos.list. Quota per project and day, reset at midnight Pacific: 100 uploads,
10,000 units for the rest (1 per list call). Uploads of projects without an audit are locked private.
Units: 64-bit counters are strings; times are RFC 3339 UTC.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from actors.platforms._google_upload import deadline_of, send_rest
from actors.platforms._youtube_errors import MENDS, PERMISSION_REASONS, parse_reason, raise_for_answer
from actors.runtime.http import Http, Response
from actors.runtime.means import Means
from actors.runtime.oauth import Identity, OAuthClient
from actors.runtime.settings import Settings
from contracts.errors import AuthExpired, Reject, Retry, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Caps, Draft, Limits, Metrics, RemotePost, UploadCheckpoint

__all__ = [
    "ADAPTER",
    "CAPS",
    "LIMITS",
    "NAME",
    "OAUTH",
    "YouTube",
    "check_draft",
    "identify",
    "parse_channel",
    "parse_metrics",
    "parse_post",
    "tags_chars",
    "video_resource",
]

NAME: Final = "youtube"
CAPS: Final = Caps(publish=True, measure=True, cannot="discovery is not built yet")
TITLE_CHARS: Final = 100
DESCRIPTION_BYTES: Final = 5000
TAGS_CHARS: Final = 500
MAX_BYTES: Final = 274_877_906_944
MAX_DURATION_US: Final = 12 * 3600 * 1_000_000
PAGE_SIZE: Final = 50
LIMITS: Final = Limits(
    title_chars=TITLE_CHARS,
    description_bytes=DESCRIPTION_BYTES,
    tags_chars=TAGS_CHARS,
    max_bytes=MAX_BYTES,
    max_duration_us=MAX_DURATION_US,
    page_size=PAGE_SIZE,
)
OAUTH: Final = OAuthClient(
    name="google",
    title="Google",
    authorize_api=("google_accounts", "https://accounts.google.com"),
    authorize_path="/o/oauth2/v2/auth",
    token_api=("google_oauth", "https://oauth2.googleapis.com"),
    token_path="/token",  # noqa: S106 - a path
    revoke_path="/revoke",
    client_id_setting="google_client_id",
    client_secret_setting="google_client_secret",  # noqa: S106 - the name of a setting
    scopes=(
        "https://www.googleapis.com/auth/youtube.upload",
        "https://www.googleapis.com/auth/youtube.readonly",
    ),
    authorize_params={"access_type": "offline", "prompt": "consent", "include_granted_scopes": "true"},
)

BASE_URL: Final = "https://www.googleapis.com"
WATCH_URL: Final = "https://www.youtube.com"
CATEGORY_ID: Final = "22"
FIND_PAGES: Final = 40

_ABSENT: Final = {
    "views": "YouTube gave no view count for this video",
    "likes": "YouTube gave no like count: the owner hides it or ratings are off",
    "comments": "YouTube gave no comment count: comments are off",
    "shares": "YouTube's statistics have no share count",
}


def check_draft(draft: Draft, *, size_bytes: int, duration_us: int | None = None) -> None:
    """Check a draft against the exact limits before anything is sent. Raises: Reject, naming the first fault."""
    if not draft.title.strip():
        raise Reject("the title is empty", mend="Give a title")
    if len(draft.title) > TITLE_CHARS:
        raise Reject(f"the title has {len(draft.title)} characters", mend=f"YouTube takes {TITLE_CHARS}")
    described = len(draft.description.encode())
    if described > DESCRIPTION_BYTES:
        raise Reject(f"the description has {described} bytes", mend=f"YouTube takes {DESCRIPTION_BYTES}")
    for what, text in (("title", draft.title), ("description", draft.description), ("tags", "".join(draft.tags))):
        if "<" in text or ">" in text:
            raise Reject(f"the {what} has < or >", mend="YouTube refuses both: leave them out")
    tagged = tags_chars(_tags_of(draft))
    if tagged > TAGS_CHARS:
        raise Reject(f"the tags have {tagged} characters together", mend=f"YouTube takes {TAGS_CHARS}")
    if draft.publish_at is not None and draft.privacy != "private":
        raise Reject(
            f"a post cannot be both scheduled and {draft.privacy}",
            mend="Leave out the time, or use privacy private: YouTube makes it public at the time",
        )
    if not 0 < size_bytes <= MAX_BYTES:
        raise Reject(f"the file has {size_bytes} bytes", mend=f"YouTube takes 1 to {MAX_BYTES}")
    if duration_us is not None and duration_us > MAX_DURATION_US:
        raise Reject(f"the video is {duration_us / 3_600_000_000:.1f} hours long", mend="YouTube takes 12 hours")


def tags_chars(tags: tuple[str, ...]) -> int:
    """Count tags as YouTube does: commas between them, two quotes around a tag that has a space."""
    return sum(len(tag) + 2 * (" " in tag) for tag in tags) + max(0, len(tags) - 1)


def video_resource(draft: Draft) -> dict[str, Any]:
    """Return the body of videos.insert. Everything that has a default which could surprise is said."""
    status: dict[str, Any] = {
        "privacyStatus": draft.privacy,
        "selfDeclaredMadeForKids": False,
        "containsSyntheticMedia": draft.synthetic,
        "embeddable": True,
        "license": "youtube",
        "publicStatsViewable": True,
    }
    if draft.publish_at is not None:
        status["publishAt"] = draft.publish_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    snippet = {
        "title": draft.title,
        "description": draft.description,
        "tags": list(_tags_of(draft)),
        "categoryId": CATEGORY_ID,
    }
    return {"snippet": snippet, "status": status}


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


def parse_metrics(video: Any) -> Metrics:
    """Read `statistics`; a counter that is absent is null, with the reason."""
    told = (video.get("statistics") if isinstance(video, dict) else None) or {}
    counts = {
        "views": _count(told.get("viewCount")),
        "likes": _count(told.get("likeCount")),
        "comments": _count(told.get("commentCount")),
        "shares": None,
    }
    return Metrics(**counts, absent={name: _ABSENT[name] for name, count in counts.items() if count is None})


def parse_channel(answer: Any) -> tuple[Identity, str | None]:
    """Read channels.list: who it is and the playlist of own uploads. Raises: Reject if there is no channel."""
    items = answer.get("items") if isinstance(answer, dict) else None
    if not items:
        raise Reject("the Google account has no YouTube channel", mend=MENDS["authenticatedUserNotChannel"])
    channel = items[0]
    playlists = (channel.get("contentDetails") or {}).get("relatedPlaylists") or {}
    title = (channel.get("snippet") or {}).get("title") or channel["id"]
    return Identity(account_id=f"{NAME}:{channel['id']}", title=title), playlists.get("uploads")


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
    return parse_channel(answer.json())[0]


def _tags_of(draft: Draft) -> tuple[str, ...]:
    """Return the tags with the marker first: it is what finds the video again."""
    return tuple(dict.fromkeys((draft.marker, *(tag for tag in draft.tags if tag.strip()))))


def _plain(text: str) -> str:
    """Put typographic quotation marks where < and > are: YouTube refuses those two characters."""
    return text.replace("<", "\u2039").replace(">", "\u203a")


def _count(told: Any) -> int | None:
    return int(told) if isinstance(told, str | int) and str(told).isascii() and str(told).isdigit() else None


def _moment(told: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(told)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None


class YouTube:
    """Publishes and measures videos of connected channels."""

    chunk_bytes: int | None = 8 * 1024 * 1024
    """Bytes per request; None: the whole file in one."""

    def __init__(self, means: Means) -> None:
        self._http = means.http
        self._tokens = means.tokens
        self._clock = means.clock
        self._base_url = means.settings.api_url(NAME, BASE_URL)
        self._watch_url = means.settings.api_url("youtube_www", WATCH_URL)

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Open an upload session; without bytes it makes no video.

        Raises: Reject (draft or account), RateLimited (quota, upload limit), AuthExpired, Retry.
        """
        draft = msgspec.structs.replace(draft, title=_plain(draft.title), description=_plain(draft.description))
        check_draft(draft, size_bytes=size_bytes)
        body = msgspec.json.encode(video_resource(draft))

        async def post(token: str) -> Response:
            return await self._http.request(
                "POST",
                f"{self._base_url}/upload/youtube/v3/videos",
                params={"uploadType": "resumable", "part": "snippet,status"},
                headers={
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/json; charset=UTF-8",
                    "X-Upload-Content-Length": str(size_bytes),
                    "X-Upload-Content-Type": "video/mp4",
                },
                data=body,
            )

        answer = await self._authorised(account, post)
        raise_for_answer(answer, what="opening the upload", now=self._clock.now())
        place = answer.headers.get("Location", "")
        self._check_home(place)
        return UploadCheckpoint(session_url=place)

    async def send(
        self,
        account: AccountId,
        checkpoint: UploadCheckpoint,
        file: Path,
        *,
        on_progress: Callable[[int], Awaitable[None]],
    ) -> RemotePost:
        """Ask how much is there, send the rest, return the video.

        `on_progress(n)` is awaited before byte n - 1 is sent: with the file's size before the upload can complete.
        Raises: Retry (the same session goes on later), RateLimited, AuthExpired, Reject,
        Unconfirmed (the session is gone: ask `find` before opening another).
        """
        self._check_home(checkpoint.session_url)
        size_bytes = (await asyncio.to_thread(file.stat)).st_size

        async def put(content_range: str, body: Callable[[], AsyncIterator[bytes]] | None, length: int) -> Response:
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
                    deadline_s=deadline_of(length),
                )

            return await self._authorised(account, once)

        answer = await send_rest(
            put, file, size_bytes=size_bytes, chunk_bytes=self.chunk_bytes, on_progress=on_progress
        )
        raise_for_answer(answer, what="sending the video", now=self._clock.now())
        return parse_post(answer.json(), watch_url=self._watch_url)

    async def find(self, account: AccountId, marker: str) -> RemotePost | None:
        """Look through own uploads, newest first, for the tag `marker`; None: no listed video has it.

        Costs one unit, and two for every 50 videos. Raises: Unconfirmed if the list is too long to read to its end.
        """
        channel = await self._get(account, "channels", {"part": "snippet,contentDetails", "mine": "true"})
        _, playlist = parse_channel(channel)
        if playlist is None:
            raise Retry("YouTube named no list of own uploads")
        page = {"part": "contentDetails", "playlistId": playlist, "maxResults": str(PAGE_SIZE)}
        for _ in range(FIND_PAGES):
            listed = await self._get(account, "playlistItems", page, missing_ok=True)
            ids = [item["contentDetails"]["videoId"] for item in listed.get("items", [])]
            for video in await self._videos(account, ids, "snippet,status"):
                if marker in ((video.get("snippet") or {}).get("tags") or ()):
                    return parse_post(video, watch_url=self._watch_url)
            if not listed.get("nextPageToken"):
                return None
            page["pageToken"] = listed["nextPageToken"]
        raise Unconfirmed(
            f"the channel has more than {FIND_PAGES * PAGE_SIZE} uploads and none of the newest is the one sought"
        )

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Metrics]:
        """Return the counts by video id. A video that YouTube does not show is not in the answer."""
        return {
            video["id"]: parse_metrics(video)
            for start in range(0, len(platform_post_ids), PAGE_SIZE)
            for video in await self._videos(account, platform_post_ids[start : start + PAGE_SIZE], "statistics")
        }

    async def _videos(self, account: AccountId, ids: list[str] | tuple[str, ...], part: str) -> list[dict[str, Any]]:
        if not ids:
            return []
        answer = await self._get(account, "videos", {"part": f"id,{part}", "id": ",".join(ids)})
        return [video for video in answer.get("items", []) if isinstance(video, dict) and video.get("id")]

    async def _get(
        self, account: AccountId, resource: str, params: dict[str, str], *, missing_ok: bool = False
    ) -> dict[str, Any]:
        async def get(token: str) -> Response:
            return await self._http.request(
                "GET",
                f"{self._base_url}/youtube/v3/{resource}",
                params=params,
                headers={"Authorization": f"Bearer {token}"},
            )

        answer = await self._authorised(account, get)
        if missing_ok and answer.status == 404:  # the uploads list of a channel without videos does not exist yet
            return {}
        raise_for_answer(answer, what=f"{resource}.list", now=self._clock.now())
        found = answer.json()
        if not isinstance(found, dict):
            raise Retry(f"{resource}.list answered without an object")
        return found

    async def _authorised(self, account: AccountId, send: Callable[[str], Awaitable[Response]]) -> Response:
        """Send with the account's token; after a 401 once more with a fresh one. Raises: AuthExpired."""
        token = await self._tokens.access_token(account, OAUTH)
        answer = await send(token)
        if answer.status == 401:
            await self._tokens.refused(account, token)
            token = await self._tokens.access_token(account, OAUTH)
            answer = await send(token)
        reason, message = parse_reason(answer)
        if answer.status == 401 or reason in PERMISSION_REASONS:
            because = f"YouTube says {reason or answer.status}: {message or 'the permission is not accepted'}"
            await self._tokens.lost(account, token, because)
            raise AuthExpired(account, because)
        return answer

    def _check_home(self, session_url: str) -> None:
        """Refuse to send the token and the video anywhere but to Google (or where the settings point)."""
        there, home = urlsplit(session_url), urlsplit(self._base_url)
        host = there.hostname or ""
        google = there.scheme == "https" and (host == "googleapis.com" or host.endswith(".googleapis.com"))
        if not google and (there.scheme, there.netloc) != (home.scheme, home.netloc):
            raise Retry("YouTube opened an upload session without a usable address")


ADAPTER = YouTube
