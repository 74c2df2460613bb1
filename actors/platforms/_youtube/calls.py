"""Calls to Google in the name of a connected channel: its permission, its token, the project's quota of the day.

Docs: "Using OAuth 2.0 for Web Server Applications", "OAuth 2.0 Scopes", "Quota Calculator", read 2026-11-23.
What a permission costs the person who gives it: all five stand on one consent page, each can be unticked, and each is
"sensitive" to Google, so an app that Google has not verified shows a warning first, and one that is in testing is
forgotten after 7 days. What is unticked is missing alone: without force-ssl no subtitles and no change of words,
without the reports no watch time, no retention, no earnings. Posting needs the first two.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from actors.platforms._account import Denied, authorised
from actors.platforms._youtube.errors import PERMISSION_REASONS, parse_reason, raise_for_answer
from actors.platforms._youtube.search import PLATFORM, units
from actors.runtime.http import Body, Response
from actors.runtime.means import Means
from actors.runtime.oauth import OAuthClient
from contracts.errors import Retry
from contracts.ids import AccountId
from contracts.platform import Journal

__all__ = ["BASE_URL", "OAUTH", "Calls"]

BASE_URL: Final = "https://www.googleapis.com"
_AUTH: Final = "https://www.googleapis.com/auth/"
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
        f"{_AUTH}youtube.upload",
        f"{_AUTH}youtube.readonly",
        f"{_AUTH}youtube.force-ssl",
        f"{_AUTH}yt-analytics.readonly",
        f"{_AUTH}yt-analytics-monetary.readonly",
    ),
    optional_scopes=(
        f"{_AUTH}youtube.force-ssl",
        f"{_AUTH}yt-analytics.readonly",
        f"{_AUTH}yt-analytics-monetary.readonly",
    ),
    authorize_params={"access_type": "offline", "prompt": "consent", "include_granted_scopes": "true"},
)


def denied_of(answer: Response) -> Denied | None:
    """Read that the token, or the permission as a whole, is not accepted."""
    reason, message = parse_reason(answer)
    if answer.status != 401 and reason not in PERMISSION_REASONS:
        return None
    because = f"YouTube says {reason or answer.status}: {message or 'the permission is not accepted'}"
    return Denied(because=because, renewable=answer.status == 401)


def token_denied_of(answer: Response) -> Denied | None:
    """Read that the token is not accepted; one permission that is missing is left to the caller."""
    return denied_of(answer) if parse_reason(answer)[0] not in PERMISSION_REASONS else None


class Calls:
    """The Data API, for one adapter."""

    def __init__(self, means: Means) -> None:
        self.base_url = means.settings.api_url(PLATFORM, BASE_URL)
        self._http = means.http
        self._tokens = means.tokens
        self._clock = means.clock
        self._quota = means.quota
        self._units = units(means.settings)

    async def authorised(
        self,
        account: AccountId,
        send: Callable[[str], Awaitable[Response]],
        *,
        whole: bool = True,
        commits: Journal | None = None,
    ) -> Response:
        """Send with the account's token, see `_account.authorised`. A session that ended may have made its video.

        whole: a permission that is missing means that the account is lost; else the answer says so.
        """
        return await authorised(
            self._tokens,
            account,
            OAUTH,
            send,
            denied=denied_of if whole else token_denied_of,
            commits=commits,
            refuses=lambda _: False,
        )

    async def send(
        self,
        account: AccountId,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Callable[[], Body] | None = None,
        cost: int = 1,
        deadline_s: float = 30.0,
        whole: bool = True,
    ) -> Response:
        """Spend units and send; return the answer, whatever its status. data: a maker of bodies.

        Raises: AuthExpired, RateLimited (the day's units are spent), Retry.
        """
        await self._quota.spend(PLATFORM, self._units, cost)

        async def once(token: str) -> Response:
            return await self._http.request(
                method,
                f"{self.base_url}{path}",
                params=params,
                headers={**(headers or {}), "Authorization": f"Bearer {token}"},
                json=json,
                data=None if data is None else data(),
                deadline_s=deadline_s,
            )

        return await self.authorised(account, once, whole=whole)

    async def get(
        self, account: AccountId, resource: str, params: Mapping[str, str], *, missing_ok: bool = False, cost: int = 1
    ) -> dict[str, Any]:
        """Return what a list call answers; missing_ok: 404 is an empty object."""
        answer = await self.send(account, "GET", f"/youtube/v3/{resource}", params=params, cost=cost)
        if missing_ok and answer.status == 404:
            return {}
        return self.read(answer, what=f"{resource}.list")

    def check(self, answer: Response, *, what: str) -> None:
        """Raise unless the answer is good: RateLimited, Retry, Reject."""
        raise_for_answer(answer, what=what, now=self._clock.now())

    def read(self, answer: Response, *, what: str) -> dict[str, Any]:
        """Return the object in a good answer. Raises: RateLimited, Retry, Reject."""
        self.check(answer, what=what)
        found = answer.json()
        if not isinstance(found, dict):
            raise Retry(f"{what} answered without an object")
        return found

    async def videos(self, account: AccountId, ids: tuple[str, ...], part: str) -> list[dict[str, Any]]:
        """Return the resources of at most 50 videos; those that YouTube does not show are left out."""
        if not ids:
            return []
        answer = await self.get(account, "videos", {"part": f"id,{part}", "id": ",".join(ids)})
        items = answer.get("items")
        return [
            video for video in (items if isinstance(items, list) else ()) if isinstance(video, dict) and video.get("id")
        ]
