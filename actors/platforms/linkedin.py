"""LinkedIn: posts with a video of connected people and organisations. No discovery.

Docs: learn.microsoft.com/linkedin: "Authorization Code Flow", "Sign In with LinkedIn using OpenID Connect"; /marketing:
Videos API, Posts API, Social Metadata API, read 2026-11-23: posts are read by their own author or organisation only;
no endpoint searches, and none names trends.
Auth: OAuth 2.0 without PKCE; w_member_social for a person, w_organization_social for an organisation, which few apps
may ask for, so that it is asked for where a setting says so: rw_organization_admin is for what is not done here. A
token lives 60 days; refresh tokens, of 365 days, go to approved apps only, so a person connects again every 60 days.
Limits: 3,000 characters; MP4 of 3 s to 30 min and 75 KB to 500 MB (both second-hand). A day's calls are limited by
app and member. Listing an account's posts needs r_member_social or r_organization_social, which few apps have.
Units: times milliseconds since 1970; bytes of parts from `firstByte` to `lastByte`, both included.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

from actors.platforms._account import AccountApi, whose
from actors.platforms._linkedin.posts import (
    HEADERS,
    STATISTICS,
    author_of,
    body_of,
    fault,
    moment_of,
    parse_metrics,
    parse_post,
    parse_standing,
    parse_statistic,
    path_of,
    words_of,
)
from actors.platforms._linkedin.upload import Upload
from actors.platforms._posts import as_dict, as_list
from actors.runtime.http import Http
from actors.runtime.means import Means
from actors.runtime.oauth import Identity, OAuthClient
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import (
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

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "OAUTH", "LinkedIn", "identify"]

NAME: Final = "linkedin"
CAPS: Final = Caps(
    publish=True,
    measure=True,
    looks=True,
    cannot="LinkedIn has no public endpoint that searches posts or names trends.",
    posting="a person connects again every 60 days, unless the app is approved for refresh tokens; an organisation's "
    "posts need an approved app, LINKEDIN_ORGANISATIONS_ENABLED=true and the option author; always public; no field "
    "for paid or synthetic content; most apps may not list posts, so a lost answer needs a look",
)
LIMITS: Final = Limits(
    caption=3000,
    min_bytes=75 * 1024,
    max_bytes=500 * 1024 * 1024,
    min_duration_us=3_000_000,
    max_duration_us=30 * 60 * 1_000_000,
    containers=("mp4",),
)
NEEDS: Final = (
    Need(
        setting="linkedin_client_id",
        means="For posting: client id of an app with Share on LinkedIn and Sign In with LinkedIn, "
        "from https://www.linkedin.com/developers/apps",
        secret=False,
        optional=True,
    ),
    Need(setting="linkedin_client_secret", means="For posting: the secret of that client", optional=True),
    Need(
        setting="linkedin_organisations_enabled",
        means="true asks for posting in the name of organisations, when an account is connected: only for an app that "
        "LinkedIn has approved for the Community Management API, since any other gets no consent page at all",
        secret=False,
        optional=True,
    ),
)
OAUTH: Final = OAuthClient(
    name=NAME,
    title="LinkedIn",
    authorize_api=(NAME, "https://www.linkedin.com"),
    authorize_path="/oauth/v2/authorization",
    token_api=(NAME, "https://www.linkedin.com"),
    token_path="/oauth/v2/accessToken",  # noqa: S106 - a path
    client_id_setting="linkedin_client_id",
    client_secret_setting="linkedin_client_secret",  # noqa: S106 - the name of a setting
    scopes=("openid", "profile", "w_member_social"),
    scopes_if={"linkedin_organisations_enabled": ("w_organization_social", "r_organization_social")},
    pkce="none",
    gone=("invalid_grant", "invalid_request"),
)

BASE_URL: Final = "https://api.linkedin.com"
SKEW: Final = timedelta(minutes=5)
FIND_PAGE: Final = 50
FIND_PAGES: Final = 10


async def identify(http: Http, settings: Settings, access_token: str, *, now: datetime) -> Identity:
    """Return which member's account the token opens. Raises: Reject, RateLimited, Retry."""
    url = f"{settings.api_url(NAME, BASE_URL)}/v2/userinfo"
    told = await whose(http, url, access_token, what="LinkedIn", fault=fault, now=now)
    member, picture = told.get("sub"), told.get("picture")
    if not isinstance(member, str) or not member:
        raise Retry("LinkedIn did not say whose account it is")
    return Identity(
        account_id=f"{NAME}:{member}",
        title=str(told.get("name") or member),
        picture_url=picture if isinstance(picture, str) else None,
    )


class LinkedIn:
    """Posts videos in the name of connected people and of their organisations, and reads what came of it."""

    def __init__(self, means: Means) -> None:
        self._api = AccountApi(means, name=NAME, base=BASE_URL, what="LinkedIn", client=OAUTH, fault=fault)
        self._upload = Upload(means, self._api)

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Announce the file. Raises: Reject (draft, account, file), RateLimited, AuthExpired, Retry."""
        if draft.privacy != "public":
            raise Reject(
                f"posts on LinkedIn are public here, and this one is to be {draft.privacy}", mend="Make it public"
            )
        if not words_of(draft).strip():
            raise Reject("the post has no text", mend="Give a title")
        owner = author_of(draft, account.partition(":")[2])
        return await self._upload.begin(account, owner=owner, size_bytes=size_bytes)

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Send the parts that are missing, wait until LinkedIn has worked on them, post.

        Raises: Snooze (LinkedIn works on the video), Retry, RateLimited, AuthExpired, Reject,
        Unconfirmed (the upload is gone, or LinkedIn may have the post, of which only `find` can tell).
        """
        if journal.may_exist:
            raise Unconfirmed("the answer to the post was lost")
        video = await self._upload.finish(account, checkpoint, file, journal)
        body = body_of(draft, author=checkpoint.ids["owner"], video=video)
        answer = await self._api.send(account, "POST", "/rest/posts", headers=HEADERS, json=body, commits=journal)
        self._api.check(answer)
        return parse_post(answer.headers.get("x-restli-id"))

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:  # noqa: ARG002 - the shape of an adapter
        """Look among the author's posts, newest first, for the one with the uploaded video.

        Raises: Unconfirmed where the app may not list them, which is the usual case, or if there are too many.
        """
        video, author = checkpoint.ids["video"], checkpoint.ids["owner"]
        since = None if checkpoint.opened_at is None else checkpoint.opened_at - SKEW
        headers = {**HEADERS, "X-RestLi-Method": "FINDER"}
        listed = f"/rest/posts?author={quote(author, safe='')}&q=author&count={FIND_PAGE}&sortBy=CREATED"
        for page in range(FIND_PAGES):
            answer = await self._api.send(account, "GET", f"{listed}&start={page * FIND_PAGE}", headers=headers)
            if answer.status == 403:
                right = "r_organization_social" if ":organization:" in author else "r_member_social"
                raise Unconfirmed(f"LinkedIn lists the posts of an account only for apps that have {right}")
            self._api.check(answer)
            posts = [as_dict(one) for one in as_list(self._api.read(answer).get("elements"))]
            for post in posts:
                if as_dict(as_dict(post.get("content")).get("media")).get("id") == video:
                    return parse_post(post.get("id"), published_at=moment_of(post))
            made = moment_of(posts[-1]) if posts else None
            if len(posts) < FIND_PAGE or (since is not None and made is not None and made < since):
                return None
        raise Unconfirmed(
            f"the author has more than {FIND_PAGE * FIND_PAGES} posts since, and none of those read is it"
        )

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts by post id, as far as the app may read them; a post that is gone is left out.

        The statistics are those of a person's posts, for apps that have r_member_postAnalytics.
        """
        found: dict[str, PostMetrics] = {}
        untold = ""
        for urn in platform_post_ids:
            answer = await self._api.send(account, "GET", path_of("socialMetadata", urn), headers=HEADERS)
            if answer.status == 404:
                continue
            if answer.status != 403:
                self._api.check(answer)
            metadata = None if answer.status == 403 else self._api.read(answer)
            counts: dict[str, int | None] = {}
            for name, query in STATISTICS.items():
                if not untold:
                    counts[name], untold = await self._statistic(account, urn, query)
            found[urn] = parse_metrics(metadata, counts, untold)
        return found

    async def _statistic(self, account: AccountId, urn: str, query: str) -> tuple[int | None, str]:
        """Return a total and no words, or None and why it is not told to this app."""
        kind = "ugc" if ":ugcPost:" in urn else "share"
        entity = f"({kind}:{quote(urn, safe='')})"
        path = f"/rest/memberCreatorPostAnalytics?q=entity&entity={entity}&queryType={query}&aggregation=TOTAL"
        answer = await self._api.send(account, "GET", path, headers=HEADERS)
        if answer.status in {400, 403, 404}:
            return None, "LinkedIn tells it of a person's posts alone, and to apps that have r_member_postAnalytics"
        self._api.check(answer)
        return parse_statistic(self._api.read(answer)), ""

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands; unknown where the app may not read it."""
        standing: dict[str, Standing] = {}
        for urn in platform_post_ids:
            answer = await self._api.send(account, "GET", path_of("posts", urn), headers=HEADERS)
            if answer.status == 404:
                standing[urn] = Standing(state="removed", because="LinkedIn no longer knows it")
            elif answer.status == 403:
                standing[urn] = Standing(
                    state="unknown", because="LinkedIn shows posts only to apps with r_member_social"
                )
            else:
                self._api.check(answer)
                standing[urn] = parse_standing(self._api.read(answer))
        return standing


ADAPTER = LinkedIn
