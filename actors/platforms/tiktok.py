"""TikTok: posting by the Content Posting API, reading own videos back, discovery as far as TikTok allows it.

Docs: developers.tiktok.com/doc: login-kit-web, login-kit-desktop, oauth-user-access-token-management,
tiktok-api-v2-get-user-info, content-posting-api-* (direct post, upload, status, media transfer guide), content-sharing-
guidelines, tiktok-api-v2-video-list, -video-query, research-api-*, tiktok-api-v2-rate-limit, read 2026-11-23.
Auth: OAuth 2.0 with `client_key`, PKCE in hexadecimal digits, refresh tokens that are good once; access tokens live
for 2 hours. Research: a client token of an approved client; creators, advertisers and commercial users are not
eligible.
Limits per account: 6 inits, 30 status calls, 20 creator_info calls a minute; 5 drafts waiting; about 15 posts a day
over all apps. Display 600 requests a minute, 20 videos each; Research 1,000 requests a day, 100 videos each.
Units: `create_time` Unix seconds, durations seconds, captions UTF-16 units; ids are int64, kept as digits. Errors
stand in the envelope, with status 200 too. An app without TikTok's audit posts for private accounts only, to
themselves.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from actors.platforms._account import AccountApi, whose
from actors.platforms._api import dig
from actors.platforms._tiktok.chunks import MAX_BYTES
from actors.platforms._tiktok.errors import denied_of, fault_of, post_fault_of
from actors.platforms._tiktok.init import CAPTION_UTF16
from actors.platforms._tiktok.measure import Measurer
from actors.platforms._tiktok.publish import Publisher
from actors.platforms._tiktok.reading import (
    BASE_URL,
    LISTINGS,
    NEEDS,
    PAGE_SIZE,
    Reader,
    lacking,
    parse_own,
    parse_researched,
    query_for,
    way_of,
)
from actors.runtime.http import Http
from actors.runtime.means import Means
from actors.runtime.oauth import Identity, OAuthClient
from actors.runtime.settings import Settings
from contracts.errors import Retry
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
    "LISTINGS",
    "NAME",
    "NEEDS",
    "OAUTH",
    "TikTok",
    "fault_of",
    "identify",
    "lacking",
    "parse_own",
    "parse_researched",
    "query_for",
    "way_of",
]

NAME: Final = "tiktok"
CAPS: Final = Caps(
    discover=True,
    through_account=True,
    publish=True,
    measure=True,
    looks=True,
    hides=("public", "private"),
    sees="with the Research API public videos of 30 days by words, with counts; else the own videos of one account",
    costs="Research: 1 of 1,000 requests a day for 100 videos; own videos: 1 of 600 a minute for 20; both at most "
    "once in half an hour",
    cannot="TikTok has no open search: the Research API is for approved non-commercial research only, never for "
    "creators or commercial use, so it needs MONETISED=false; own videos are those of a connected account, or of a "
    "token that is set and ends after hours.",
    posting="an app audited by TikTok, else only private accounts and only for themselves, or drafts in their inbox "
    "(mode=inbox), which a person finishes in the TikTok app; comments, duets and stitches are off unless "
    "comment=on, duet=on, stitch=on; nothing unlisted",
)
LIMITS: Final = Limits(
    caption=CAPTION_UTF16,
    unit="utf16",
    max_bytes=MAX_BYTES,
    min_bytes=1,
    max_duration_us=600_000_000,
    containers=("mp4", "mov", "webm"),
    video_codecs=("h264", "hevc", "vp8", "vp9"),
    min_fps=23,
    max_fps=60,
    min_side_px=360,
    max_width_px=4096,
    max_height_px=4096,
    posts_per_day=15,
    page_size=PAGE_SIZE,
)
OAUTH: Final = OAuthClient(
    name=NAME,
    title="TikTok",
    authorize_api=(NAME, "https://www.tiktok.com"),
    authorize_path="/v2/auth/authorize/",
    token_api=(NAME, BASE_URL),
    token_path="/oauth/token/",  # noqa: S106 - a path
    revoke_path="/oauth/revoke/",
    client_id_setting="tiktok_client_key",
    client_secret_setting="tiktok_client_secret",  # noqa: S106 - the name of a setting
    client_id_field="client_key",
    scopes=("user.info.basic", "video.publish", "video.upload", "video.list"),
    scope_separator=",",
    pkce="hex",
    revoke_token="access",  # noqa: S106 - which one
)


async def identify(http: Http, settings: Settings, access_token: str, *, now: datetime) -> Identity:
    """Return whose account the token opens. Raises: Reject, RateLimited, Retry."""
    url = f"{settings.api_url(NAME, BASE_URL)}/user/info/"
    params = {"fields": "open_id,union_id,avatar_url,display_name"}
    told = await whose(http, url, access_token, what="TikTok", fault=post_fault_of, now=now, params=params)
    user = dig(told, "data", "user", what="TikTok's user info")
    open_id, picture = user.get("open_id"), user.get("avatar_url")
    if not isinstance(open_id, str) or not open_id:
        raise Retry("TikTok told of an account without an id")
    return Identity(
        account_id=f"{NAME}:{open_id}",
        title=str(user.get("display_name") or open_id),
        picture_url=picture if isinstance(picture, str) and picture.startswith("https://") else None,
    )


class TikTok:
    """Posts to connected accounts and reads their videos back; finds videos in the one way that is allowed."""

    def __init__(self, means: Means) -> None:
        api = AccountApi(
            means, name=NAME, base=BASE_URL, what="TikTok", client=OAUTH, fault=post_fault_of, denied=denied_of
        )
        self._reader = Reader(means, OAUTH, page_size=PAGE_SIZE)
        self._publisher = Publisher(means, api)
        self._measurer = Measurer(means, api, self._publisher)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` videos, see Reader. Raises: Retry, RateLimited, Reject."""
        return await self._reader.discover(query, limit=limit)

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Open an upload, see Publisher. Raises: Reject, RateLimited, AuthExpired, Retry."""
        return await self._publisher.open_session(account, draft, size_bytes=size_bytes)

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Go on until TikTok has the post, see Publisher."""
        return await self._publisher.send(account, draft, checkpoint, file, journal)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Ask what became of an upload, see Publisher."""
        return await self._publisher.find(account, draft, checkpoint)

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts by post id, see Measurer."""
        return await self._measurer.measure(account, platform_post_ids)

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands, see Measurer."""
        return await self._measurer.look(account, platform_post_ids)


ADAPTER = TikTok
