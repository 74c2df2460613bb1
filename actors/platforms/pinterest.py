"""Pinterest: keywords that rise in its search, and video pins of connected accounts. No open search through pins.

Docs: developers.pinterest.com/docs/api/v5: trending_keywords-list, media-create, pins-create, boards-list,
pins-analytics, "Set up authentication and authorization", OpenAPI 5.23.0, read 2026-11-23.
Auth: OAuth 2.0, client by HTTP Basic, scopes with commas. A token lives 30 days, its refresh token 60, both anew each
time; for trends alone a pasted token does. Pins of an app with trial access are seen by their creator only
(second-hand).
Limits: title 100, description 800, link 2,048 characters; a board for every pin; the description of the API states no
limits of a video. Rates by category, told by 429 alone. Pins must be new content, no saves of others'.
Units: cover_image_key_frame_time seconds; analytics days in UTC, 90 days back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from actors.platforms._account import AccountApi, whose
from actors.platforms._pinterest.pins import (
    DESCRIPTION_CHARS,
    METRICS,
    TITLE_CHARS,
    body_of,
    described,
    fault,
    is_it,
    parse_metrics,
    parse_pin,
    window_of,
)
from actors.platforms._pinterest.trends import BASE_URL, NAME, REGION, TOKEN
from actors.platforms._pinterest.trends import Trends as Rising
from actors.platforms._pinterest.upload import Upload
from actors.platforms._posts import as_dict, as_list
from actors.platforms._text import clean
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
    Topic,
    UploadCheckpoint,
)

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "OAUTH", "Pinterest", "identify", "lacking"]

CAPS: Final = Caps(
    trends=True,
    publish=True,
    measure=True,
    looks=True,
    sees="keywords whose searches on Pinterest grow, by region, with the growth of a week",
    costs="1 request an hour for 50 keywords; no stated quota",
    cannot="There is no open search through pins: the API searches the own ones only.",
    posting="a board: option board_id, else the account's only one; with trial access pins are seen by their creator "
    "alone until Pinterest gives the app standard access; no field for paid or synthetic content",
)
LIMITS: Final = Limits(page_size=50, title_chars=TITLE_CHARS, description_bytes=DESCRIPTION_CHARS)
"""description_bytes: bytes, where Pinterest counts characters, so that what fits here always fits there."""
_APP: Final = (
    Need(
        setting="pinterest_client_id",
        means="For posting, and for trends without a pasted token: app id from https://developers.pinterest.com/apps",
        secret=False,
        optional=True,
    ),
    Need(setting="pinterest_client_secret", means="For posting: the secret of that app", optional=True),
)
NEEDS: Final = (TOKEN, REGION, *_APP)
OAUTH: Final = OAuthClient(
    name=NAME,
    title="Pinterest",
    authorize_api=(NAME, "https://www.pinterest.com"),
    authorize_path="/oauth/",
    token_api=(NAME, BASE_URL),
    token_path="/oauth/token",  # noqa: S106 - a path
    client_id_setting="pinterest_client_id",
    client_secret_setting="pinterest_client_secret",  # noqa: S106 - the name of a setting
    scopes=("boards:read", "boards:write", "pins:read", "pins:write", "user_accounts:read"),
    scope_separator=",",
    authentication="basic",
    pkce="none",
    gone=("invalid_grant", "283"),
    refused=("invalid_client", "unauthorized_client", "2"),
)

SKEW: Final = timedelta(minutes=5)
PINS_A_PAGE: Final = 250
FIND_PAGES: Final = 40
SHOWN_BOARDS: Final = 30


def lacking(settings: Settings) -> tuple[Need, ...]:
    """Return what trends cannot do without: a pasted token, or an app with which an account is connected."""
    connects = all(settings.option(need.setting) for need in _APP)
    return () if connects or settings.option(TOKEN.setting) else (TOKEN,)


async def identify(http: Http, settings: Settings, access_token: str, *, now: datetime) -> Identity:
    """Return whose account the token opens. Raises: Reject, RateLimited, Retry."""
    url = f"{settings.api_url(NAME, BASE_URL)}/user_account"
    told = await whose(http, url, access_token, what="Pinterest", fault=fault, now=now)
    name, picture = told.get("username"), told.get("profile_image")
    key = told.get("id") or name
    if not isinstance(key, str) or not key:
        raise Retry("Pinterest did not say whose account it is")
    return Identity(
        account_id=f"{NAME}:{key}",
        title=str(name or key),
        url=f"https://www.pinterest.com/{name}/" if name else None,
        picture_url=picture if isinstance(picture, str) else None,
    )


class Pinterest:
    """Names the keywords that grow; pins videos of connected accounts and reads what came of them."""

    def __init__(self, means: Means) -> None:
        self._clock = means.clock
        self._rising = Rising(means, OAUTH)
        self._api = AccountApi(means, name=NAME, base=BASE_URL, what="Pinterest", client=OAUTH, fault=fault)
        self._upload = Upload(means, self._api)

    async def trends(self, *, region: str | None, limit: int) -> tuple[Topic, ...]:
        """Return at most `limit` keywords, the strongest first; without a region those of the setting.

        Raises: Retry, RateLimited, AuthExpired, Reject (also for a region that Pinterest does not have).
        """
        return await self._rising.trends(region=region, limit=limit)

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:  # noqa: ARG002 - the shape of an adapter
        """Choose the board and register the video. Raises: Reject (draft, board), RateLimited, AuthExpired, Retry."""
        if draft.privacy != "public":
            raise Reject(f"pins are public here, and this one is to be {draft.privacy}", mend="Make it public")
        if len(draft.title) > TITLE_CHARS or len(described(draft)) > DESCRIPTION_CHARS:
            mend = f"Pinterest takes {TITLE_CHARS} characters as title and {DESCRIPTION_CHARS} as description"
            raise Reject("the words are too long", mend=mend)
        board = draft.options.get("board_id") or await self._only_board(account)
        body_of(draft, board=board, media_id="")  # its options are looked at before a byte is sent
        return await self._upload.begin(account, board=board)

    async def _only_board(self, account: AccountId) -> str:
        """Return the account's one board. Raises: Reject, with all of them, if there are others."""
        answer = await self._api.get(account, "/boards", params={"page_size": str(PINS_A_PAGE)})
        boards = [one for one in map(as_dict, as_list(answer.get("items"))) if isinstance(one.get("id"), str)]
        if len(boards) == 1 and not answer.get("bookmark"):
            return str(boards[0]["id"])
        if not boards:
            raise Reject("the account has no board, and every pin lies on one", mend="Make a board on Pinterest")
        names = [f"{one['id']} ({clean(str(one.get('name') or ''), max_chars=60)})" for one in boards[:SHOWN_BOARDS]]
        more = " and others" if len(boards) > SHOWN_BOARDS or answer.get("bookmark") else ""
        mend = f"Name one in the destination's option board_id: {', '.join(names)}{more}"
        raise Reject("the account has several boards, and none is named", mend=mend)

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Send the file if it is not there, wait until Pinterest has worked on it, make the pin.

        Raises: Snooze (Pinterest works on the video), Retry, RateLimited, AuthExpired, Reject,
        Unconfirmed (the upload is gone, or the pin may be there, of which only `find` can tell).
        """
        if journal.may_exist:
            raise Unconfirmed("the answer to the pin was lost")
        media_id = await self._upload.finish(account, checkpoint, file, journal)
        body = body_of(draft, board=checkpoint.ids["board"], media_id=media_id)
        return parse_pin(await self._api.post(account, "/pins", json=body, commits=journal))

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Look through the board's pins for one with the same words that is as new. Raises: Unconfirmed (too many)."""
        since = None if checkpoint.opened_at is None else checkpoint.opened_at - SKEW
        params = {"page_size": str(PINS_A_PAGE)}
        for _ in range(FIND_PAGES):
            answer = await self._api.get(account, f"/boards/{checkpoint.ids['board']}/pins", params=params)
            for pin in as_list(answer.get("items")):
                if is_it(pin, draft, since=since):
                    return parse_pin(pin)
            following = answer.get("bookmark")
            if not isinstance(following, str) or not following:
                return None
            params["bookmark"] = following
        raise Unconfirmed(f"the board has more than {FIND_PAGES * PINS_A_PAGE} pins, and none of those read is it")

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts by pin, two requests each. A pin that Pinterest does not show is not in the answer."""
        found: dict[str, PostMetrics] = {}
        today = self._clock.now().date()
        for name in platform_post_ids:
            answer = await self._api.send(account, "GET", f"/pins/{name}", params={"pin_metrics": "true"})
            if answer.status == 404:
                continue
            self._api.check(answer)
            pin = self._api.read(answer)
            first, whole = window_of(pin, today)
            wanted = {"start_date": f"{first}", "end_date": f"{today}", "metric_types": ",".join(METRICS)}
            told = await self._api.send(account, "GET", f"/pins/{name}/analytics", params=wanted)
            if told.status in {403, 404}:
                because = "Pinterest gives no analytics of it to this account: they are for business accounts"
                found[name] = parse_metrics(pin, None, whole=whole, because=because)
                continue
            self._api.check(told)
            found[name] = parse_metrics(pin, self._api.read(told), whole=whole)
        return found

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each pin stands. Pinterest does not tell why one is gone."""
        standing: dict[str, Standing] = {}
        for name in platform_post_ids:
            answer = await self._api.send(account, "GET", f"/pins/{name}")
            if answer.status == 404:
                standing[name] = Standing(state="removed", because="Pinterest does not find it")
            elif answer.status == 403:
                standing[name] = Standing(state="blocked", because="Pinterest does not show it")
            else:
                self._api.check(answer)
                standing[name] = Standing(state="stands")
        return standing


ADAPTER = Pinterest
