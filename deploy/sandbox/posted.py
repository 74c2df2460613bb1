"""What was posted to the imitated platforms, and who may post: alike for all of them."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final, Literal

from aiohttp import web
from msgspec import Struct

from deploy.sandbox.context import Sandbox

__all__ = ["Grant", "People", "Posted", "Receiver"]

BLOCK_BYTES: Final = 1 << 18


class Posted(Struct, frozen=True, kw_only=True):
    """One post on one platform. Times: Unix seconds by the sandbox's clock. sha256: of the bytes as they came."""

    id: str
    platform: str
    account: str
    text: str
    created_at: float
    url: str = ""
    title: str = ""
    privacy: str = "public"
    sha256: str = ""
    size_bytes: int = 0
    state: Literal["stands", "processing", "private", "removed", "blocked", "claimed"] = "stands"
    because: str = ""
    more: dict[str, Any] = {}


class Grant(Struct, frozen=True, kw_only=True):
    """A permission that a person of the sandbox gave. The tokens are made-up words, good on this machine alone."""

    id: str
    platform: str
    account: str
    scopes: tuple[str, ...]
    access: str
    refresh: str
    access_ends_at: float
    refresh_ends_at: float
    revoked: bool = False


class People:
    """Accounts of one platform: their tokens, and what they posted."""

    def __init__(
        self, sandbox: Sandbox, platform: str, *, access_life_s: int = 7200, refresh_life_s: int = 180 * 86_400
    ) -> None:
        self.platform = platform
        self.access_life_s = access_life_s
        self.refresh_life_s = refresh_life_s
        self._sandbox = sandbox

    def grant(self, account: str, scopes: tuple[str, ...]) -> Grant:
        """Give a permission as after a consent page."""
        return self._keep(secrets.token_hex(8), account, scopes)

    def holder(self, token: str) -> Grant | None:
        """Return whose access token that is; None: unknown, ended or withdrawn."""
        now = self._sandbox.now()
        found = (grant for grant in self._all() if grant.access == token and not grant.revoked)
        return next((grant for grant in found if grant.access_ends_at > now), None)

    def rotated(self, refresh: str) -> Grant | None:
        """Use up a refresh token for new tokens; None: it is unknown, used before, ended or withdrawn."""
        now = self._sandbox.now()
        old = next((one for one in self._all() if one.refresh == refresh and not one.revoked), None)
        if old is None or old.refresh_ends_at <= now:
            return None
        return self._keep(old.id, old.account, old.scopes)

    def revoke(self, token: str) -> bool:
        """Withdraw the permission that an access or refresh token belongs to."""
        found = next((one for one in self._all() if token in {one.access, one.refresh} and not one.revoked), None)
        if found is None:
            return False
        self._sandbox.store.put(found.id, _changed(found, revoked=True))
        return True

    def expire(self) -> None:
        """End every access token of the platform now, as after a change of password."""
        for one in self._all():
            self._sandbox.store.put(one.id, _changed(one, access_ends_at=self._sandbox.now()))

    def add(self, post: Posted) -> Posted:
        """Make a post. Two with one id are a fault of the imitation."""
        assert self._sandbox.store.get(Posted, f"{self.platform}:{post.id}") is None
        self.put(post)
        return post

    def put(self, post: Posted) -> None:
        self._sandbox.store.put(f"{self.platform}:{post.id}", post)

    def post(self, key: str) -> Posted | None:
        return self._sandbox.store.get(Posted, f"{self.platform}:{key}")

    def posts(self, account: str | None = None) -> list[Posted]:
        """Return the platform's posts, oldest first."""
        every = (one for one in self._sandbox.store.all(Posted) if one.platform == self.platform)
        return [one for one in every if account is None or one.account == account]

    def _all(self) -> list[Grant]:
        return [one for one in self._sandbox.store.all(Grant) if one.platform == self.platform]

    def _keep(self, key: str, account: str, scopes: tuple[str, ...]) -> Grant:
        now = self._sandbox.now()
        new = Grant(
            id=key,
            platform=self.platform,
            account=account,
            scopes=scopes,
            access=f"sandbox-access-{self.platform}-{secrets.token_hex(8)}",
            refresh=f"sandbox-refresh-{self.platform}-{secrets.token_hex(8)}",
            access_ends_at=now + self.access_life_s,
            refresh_ends_at=now + self.refresh_life_s,
        )
        self._sandbox.store.put(key, new)
        return new


class Receiver:
    """Uploads under way, by id: bytes are hashed and forgotten. A restart of the sandbox forgets them as well."""

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}

    def size(self, upload: str) -> int:
        """Return how many bytes are there."""
        return self._sizes.get(upload, 0)

    def sha256(self, upload: str) -> str:
        """Return the hash of what is there, hex."""
        return str(self._hashes[upload].hexdigest()) if upload in self._hashes else hashlib.sha256().hexdigest()

    def add(self, upload: str, block: bytes) -> None:
        self._hashes.setdefault(upload, hashlib.sha256()).update(block)
        self._sizes[upload] = self.size(upload) + len(block)

    async def take(self, upload: str, request: web.Request) -> int:
        """Read a request's body to its end, or to where it breaks off; return the size of what is there."""
        async for block in request.content.iter_chunked(BLOCK_BYTES):
            self.add(upload, block)
        return self.size(upload)

    def forget(self, upload: str) -> None:
        self._hashes.pop(upload, None)
        self._sizes.pop(upload, None)


def _changed(grant: Grant, **changes: Any) -> Grant:
    return Grant(**{name: getattr(grant, name) for name in grant.__struct_fields__} | changes)
