"""X: discovery of posts with a video, and posts with a video of connected accounts. Nearly everything costs money.

Docs: https://docs.x.com: /x-api/posts/creation-of-a-post, /x-api/media/quickstart/media-upload-chunked,
/x-api/posts/user-posts-timeline-by-user-id, /resources/fundamentals/authentication/oauth-2-0/authorization-code, and
the OpenAPI description 2.167, read 2026-11-23.
Auth: a bearer token of an application for discovery; OAuth 2.0 with PKCE for the rest. An access token lives 2 hours,
and is renewed with `offline.access`, each time with a new refresh token.
Limits: 280 weighted characters, a link counts 23; MP4 or MOV of 0.5 to 140 s and 512 MB, H.264 and AAC, 60 frames a
second, 32 px or more, 1:3 to 3:1; 100 posts in 15 minutes; media ids end after a day. The page's "1280 x 1024 at most"
contradicts the 720 x 1280 that it recommends, so it is left to X. Paying accounts may have more: the API does not tell.
Prices: USD 0.015 a post, USD 0.20 if it has a link, USD 0.001 for an own post read.
Units: total_bytes bytes, check_after_secs seconds; segments are counted from 0, at most 1000 of 5 MB.
Older answers write `tweet.fields` where newer ones write `post.fields`; both are spoken.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from actors.platforms._account import AccountApi, whose
from actors.platforms._posts import as_dict, as_list
from actors.platforms._x.posts import (
    MEDIA_METRICS,
    POST_METRICS,
    body_of,
    fault,
    is_it,
    parse_metrics,
    parse_post,
    parse_standing,
    words_of,
)
from actors.platforms._x.search import BASE_URL, BEARER, NAME, OtherNames, Search
from actors.platforms._x.upload import SEGMENT_BYTES, Upload
from actors.runtime.http import Http
from actors.runtime.means import Means
from actors.runtime.oauth import Identity, OAuthClient
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import (
    Candidate,
    Caps,
    Draft,
    Journal,
    Limits,
    Need,
    PostMetrics,
    RemotePost,
    Standing,
    UploadCheckpoint,
)

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "OAUTH", "X", "identify"]

CAPS: Final = Caps(
    discover=True,
    publish=True,
    measure=True,
    looks=True,
    by_name_only=True,
    sees="posts with a video of the past 7 days, by words; views of the video, likes, replies, reposts",
    costs="money: USD 0.005 for each post read, at least 10 posts a scan; 450 searches in 15 minutes",
    posting="an app with paid credits; USD 0.015 a post, USD 0.20 if its text has a link, as an attribution has; "
    "always public, no title, no thumbnail, no time of its own",
)
LIMITS: Final = Limits(
    page_size=100,
    caption=280,
    unit="x",
    link_weight=23,
    max_bytes=512 * 1024 * 1024,
    min_duration_us=500_000,
    max_duration_us=140_000_000,
    containers=("mp4", "mov"),
    video_codecs=("h264",),
    audio_codecs=("aac",),
    max_fps=60.0,
    min_side_px=32,
    min_aspect=1 / 3,
    max_aspect=3.0,
)
NEEDS: Final = (
    BEARER,
    Need(
        setting="x_client_id",
        means="For posting: client id of the same app, from its OAuth 2.0 settings at https://console.x.com",
        secret=False,
        optional=True,
    ),
    Need(setting="x_client_secret", means="For posting: the secret of that client", optional=True),
)
OAUTH: Final = OAuthClient(
    name=NAME,
    title="X",
    authorize_api=(NAME, "https://x.com"),
    authorize_path="/i/oauth2/authorize",
    token_api=(NAME, BASE_URL),
    token_path="/2/oauth2/token",  # noqa: S106 - a path
    revoke_path="/2/oauth2/revoke",
    client_id_setting="x_client_id",
    client_secret_setting="x_client_secret",  # noqa: S106 - the name of a setting
    scopes=("tweet.read", "users.read", "tweet.write", "media.write", "offline.access"),
    authentication="basic",
    gone=("invalid_grant", "invalid_request"),
)

FIND_PAGES: Final = 8
SKEW: Final = timedelta(minutes=5)
"""How far the clocks of X and of this machine may differ."""
BATCH: Final = 100


async def identify(http: Http, settings: Settings, access_token: str, *, now: datetime) -> Identity:
    """Return whose account the token opens. Raises: Reject, RateLimited, Retry."""
    url = f"{settings.api_url(NAME, BASE_URL)}/2/users/me"
    params = {"user.fields": "profile_image_url"}
    told = await whose(http, url, access_token, what="X", fault=fault, now=now, params=params)
    user = as_dict(told.get("data"))
    if not isinstance(user.get("id"), str) or not user["id"]:
        raise Retry("X did not say whose account it is")
    name, picture = str(user.get("username") or ""), user.get("profile_image_url")
    return Identity(
        account_id=f"{NAME}:{user['id']}",
        title=f"@{name}" if name else str(user.get("name") or user["id"]),
        url=f"https://x.com/{name}" if name else None,
        picture_url=picture if isinstance(picture, str) else None,
    )


class X:
    """Finds posts with a video by words; posts videos of connected accounts, and counts what comes of them."""

    segment_bytes: int = SEGMENT_BYTES

    def __init__(self, means: Means) -> None:
        self._clock = means.clock
        self._search = Search(means)
        self._api = AccountApi(means, name=NAME, base=BASE_URL, what="X", client=OAUTH, fault=fault)
        self._upload = Upload(self._api, means.pace)
        self._fields = "post.fields"

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates; reads no more posts than it needs. Raises: Retry, RateLimited, Reject."""
        return await self._search.discover(query, limit=limit)

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Announce the file. Raises: Reject (draft, account, file), RateLimited, AuthExpired, Retry."""
        if draft.privacy != "public":
            raise Reject(f"posts on X are always public, and this one is to be {draft.privacy}", mend="Make it public")
        if not words_of(draft).strip():
            raise Reject("the post has no text, by which it could be found again", mend="Give a title")
        return await self._upload.begin(account, size_bytes=size_bytes, segment_bytes=self.segment_bytes)

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Send the segments that are missing, wait until X has worked on them, post.

        Raises: Snooze (X works on the video), Retry, RateLimited, AuthExpired, Reject,
        Unconfirmed (X forgot the upload, or it may have the post, of which only `find` can tell).
        """
        if journal.may_exist:
            raise Unconfirmed("the answer to the post was lost")
        media_id = await self._upload.finish(account, checkpoint, file, journal)
        try:
            answer = await self._api.post(account, "/2/tweets", json=body_of(draft, media_id), commits=journal)
        except Reject as refused:
            if not journal.may_exist and "media" in refused.reason.lower():
                raise Unconfirmed(f"X no longer takes the upload: {refused.reason}") from refused
            raise
        return parse_post(answer.get("data"))

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Look among the account's own posts since the upload began, USD 0.001 each, by its video or its words.

        Raises: Unconfirmed if there are too many to read.
        """
        since = None if checkpoint.opened_at is None else checkpoint.opened_at - SKEW
        params = {"max_results": str(BATCH), "exclude": "replies,retweets"}
        if since is not None:
            params["start_time"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        user = account.partition(":")[2]
        for _ in range(FIND_PAGES):
            answer = await self._get(account, f"/2/users/{user}/tweets", params, "created_at,entities,attachments")
            for post in as_list(answer.get("data")):
                if is_it(post, words=words_of(draft), media_key=checkpoint.ids.get("media_key", ""), since=since):
                    return parse_post(post)
            following = as_dict(answer.get("meta")).get("next_token")
            if not isinstance(following, str) or not following:
                return None
            params["pagination_token"] = following
        raise Unconfirmed(f"the account has more than {FIND_PAGES * BATCH} posts since, and none of those read is it")

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts by post id, USD 0.001 each. A post that X does not show is not in the answer."""
        found: dict[str, PostMetrics] = {}
        for answer in await self._posts(account, platform_post_ids, POST_METRICS):
            media = {
                one["media_key"]: one
                for one in map(as_dict, as_list(as_dict(answer.get("includes")).get("media")))
                if isinstance(one.get("media_key"), str)
            }
            for post in map(as_dict, as_list(answer.get("data"))):
                if isinstance(post.get("id"), str):
                    found[post["id"]] = parse_metrics(post, media)
        return found

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands, USD 0.001 each."""
        standing: dict[str, Standing] = {}
        for answer in await self._posts(account, platform_post_ids, "withheld"):
            standing |= parse_standing(platform_post_ids, answer)
        return standing

    async def _posts(self, account: AccountId, ids: tuple[str, ...], fields: str) -> list[dict[str, Any]]:
        """Return the answers about posts, a hundred in each."""
        media = {"expansions": "attachments.media_keys", "media.fields": MEDIA_METRICS} if "metrics" in fields else {}
        return [
            await self._get(account, "/2/tweets", {"ids": ",".join(ids[start : start + BATCH]), **media}, fields)
            for start in range(0, len(ids), BATCH)
        ]

    async def _get(self, account: AccountId, path: str, params: dict[str, str], fields: str) -> dict[str, Any]:
        try:
            return await self._api.get(account, path, params={**params, self._fields: fields})
        except OtherNames:
            if self._fields == "tweet.fields":
                raise
            self._fields = "tweet.fields"
        return await self._api.get(account, path, params={**params, self._fields: fields})


ADAPTER = X
