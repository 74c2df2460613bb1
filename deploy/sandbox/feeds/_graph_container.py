"""Containers of Instagram and Threads, imitated: how one becomes a post, and what is counted of it.

Docs: developers.facebook.com/docs/instagram-platform/content-publishing, .../docs/threads/posts, read 2026-11. What
`SANDBOX_PROCESSING_*` say passes before a container is finished. A test says what becomes of the next one:
POST <platform>/sandbox/next {"error": "why it fails"}. An account with `young` in its name may post twice a day.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from msgspec import Struct, structs

from deploy.sandbox.context import Refused
from deploy.sandbox.faults import Handler, fault_of
from deploy.sandbox.feeds._graph import GraphStage, error, gone, moment, refusal
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.posted import Grant, Posted

__all__ = [
    "Containers",
    "MetaContainer",
    "grown",
    "insights",
    "next_error",
    "status_of_containers",
    "taken_error",
    "told_of",
]

DAY_S: Final = 86_400.0
INSIGHTS_AFTER_S: Final = 6 * 3600.0
"""Age of a post at which its figures come; the platform says: up to 48 hours."""
_PER_HOUR: Final = {
    "views": 120, "reach": 90, "likes": 12, "comments": 3, "replies": 3, "saved": 5, "shares": 4, "reposts": 2,
    "quotes": 1, "total_interactions": 24, "fb_reels_total_plays": 130, "blue_reels_play_count": 110,
    "post_video_view_time": 900_000, "ig_reels_video_view_total_time": 900_000, "post_video_followers": 1,
}  # fmt: skip
_FIXED: Final = {"ig_reels_avg_watch_time": 7_500, "post_video_avg_time_watched": 7_250}


class MetaContainer(Struct, frozen=True, kw_only=True):
    """One container. ready_at: when its bytes were there; post: id of the post that it made. Times: Unix seconds."""

    id: str
    platform: str
    account: str
    text: str
    form: dict[str, str]
    opened_at: float
    size_bytes: int | None = None
    sha256: str = ""
    ready_at: float | None = None
    polls: int = 0
    error: str = ""
    post: str = ""


class NextError(Struct, frozen=True, kw_only=True):
    error: str


def next_error(stage: Stage) -> None:
    """Let a test say how the next upload of a platform fails."""

    async def answer(request: web.Request) -> web.StreamResponse:
        stage.sandbox.store.put(stage.name, NextError(error=str((await request.json())["error"])))
        return web.Response(status=204)

    stage.post("/sandbox/next", "next", answer, refusal=refusal)


def status_of_containers(stage: Stage, path: str, handler: Handler) -> None:
    """Answer GET `path`; the fault `stuck_processing` can be set there."""
    stage._add(  # noqa: SLF001 - `get` takes no faults that the handler plays itself
        "GET", path, "status", handler, refusal=refusal, quota=False, own=frozenset({"stuck_processing"})
    )


def taken_error(stage: Stage) -> str:
    """Return how this upload fails, and forget it; empty: it does not."""
    found = stage.sandbox.store.get(NextError, stage.name)
    stage.sandbox.store.drop(NextError, stage.name)
    return "" if found is None else found.error


class Containers:
    """Containers of one platform. numbers: how ids begin, of containers and of posts; most: posts of a day."""

    def __init__(self, graph: GraphStage, *, numbers: tuple[str, str], most: int) -> None:
        self._graph = graph
        self.stage = graph.stage
        self._store = graph.stage.sandbox.store
        self._numbers = numbers
        self._most = most
        next_error(self.stage)

    def open(self, holder: Grant, text: str, form: dict[str, str]) -> MetaContainer:
        """Make a container; 400 in a day are the most. Raises: Refused."""
        now = self.stage.sandbox.now()
        mine = [one for one in self._store.all(MetaContainer) if one.account == holder.account]
        if sum(one.platform == self.stage.name and one.opened_at > now - DAY_S for one in mine) >= 400:
            raise Refused(error(400, 9, subcode=2207042))
        made = MetaContainer(
            id=self._number(0),
            platform=self.stage.name,
            account=holder.account,
            text=text,
            form=form,
            opened_at=now,
            error=taken_error(self.stage),
        )
        self.put(made)
        return made

    def put(self, container: MetaContainer) -> None:
        self._store.put(container.id, container)

    def own(self, name: str, holder: Grant) -> MetaContainer:
        """Return a container of the account. Raises: Refused."""
        found = self._store.get(MetaContainer, name)
        if found is None or found.account != holder.account or found.platform != self.stage.name:
            raise gone(name)
        return found

    def status(self, request: web.Request, found: MetaContainer) -> str:
        """Return how a container stands, and count the question."""
        found = structs.replace(found, polls=found.polls + (found.ready_at is not None))
        self.put(found)
        return "IN_PROGRESS" if fault_of(request, "stuck_processing") else self.standing(found)

    def standing(self, found: MetaContainer) -> str:
        settings, now = self.stage.sandbox.settings, self.stage.sandbox.now()
        if found.post:
            return "PUBLISHED"
        if now - found.opened_at > DAY_S:
            return "EXPIRED"
        if found.ready_at is None or found.polls <= settings.processing_polls:
            return "IN_PROGRESS"
        if now - found.ready_at < settings.processing_s:
            return "IN_PROGRESS"
        return "ERROR" if found.error else "FINISHED"

    def limit(self, holder: Grant) -> web.Response:
        """Answer how many posts the account made in the last 24 hours, and may make."""
        used, most = self._used(holder.account)
        config = {"quota_total": most, "quota_duration": int(DAY_S)}
        return self._graph.reply({"data": [{"quota_usage": used, "config": config}]})

    def _used(self, account: str) -> tuple[int, int]:
        since = self.stage.sandbox.now() - DAY_S
        used = sum(one.created_at > since for one in self.stage.people.posts(account))
        return used, 2 if "young" in account else self._most

    def publish(self, found: MetaContainer, *, page: str) -> web.Response:
        """Make the post of a finished container, once. page: its address, with `{}` for its number. Raises: Refused."""
        standing = self.standing(found)
        if standing != "FINISHED":
            code, subcode = (24, 2207006) if standing in {"PUBLISHED", "EXPIRED"} else (9007, 2207027)
            raise Refused(error(400, code, subcode=subcode))
        used, most = self._used(found.account)
        if used >= most:
            raise Refused(error(400, 9, subcode=2207042))
        number = self._number(1)
        with self._store.transaction():
            post = Posted(
                id=number,
                platform=self.stage.name,
                account=found.account,
                text=found.text,
                created_at=self.stage.sandbox.now(),
                url=page.format(number[-9:]),
                sha256=found.sha256,
                size_bytes=found.size_bytes or 0,
                more=found.form,
            )
            self.stage.people.add(post)
            self.put(structs.replace(found, post=post.id))
        return self._graph.reply({"id": post.id})

    def post(self, request: web.Request, holder: Grant) -> Posted:
        """Return the post that the path names, as its account sees it. Raises: Refused."""
        name = request.match_info["post"]
        found = self.stage.people.post(name)
        if found is None or found.account != holder.account or found.state in {"removed", "blocked"}:
            raise gone(name)
        return found

    def listed(self, holder: Grant) -> list[Posted]:
        """Return the account's posts, newest first."""
        return [one for one in reversed(self.stage.people.posts(holder.account)) if one.state != "removed"]

    def _number(self, which: int) -> str:
        count = int(self._store.add(f"{self.stage.name}:ids:{which}", 1))
        return f"{self._numbers[which]}{count:013d}"


def grown(post: Posted, name: str, now: float) -> int:
    """Return a figure of a post, which grows with its age."""
    if name in _FIXED:
        return _FIXED[name]
    return int((now - post.created_at) / 3600 * _PER_HOUR[name])


def insights(request: web.Request, post: Posted, now: float, known: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a post's insights say; none while it is young. known: the names, and how values are written.

    Raises: Refused for a name that is not known, whatever else was asked.
    """
    names = [name for name in request.query.get("metric", "").split(",") if name]
    for place, name in enumerate(names):
        if name not in known:
            words = f"(#100) metric[{place}] must be one of the following values: {', '.join(known)}"
            raise Refused(error(400, 100, words))
    if not names or now - post.created_at < INSIGHTS_AFTER_S:
        return []
    return [
        {
            "name": name,
            "period": "lifetime",
            "values": [{"value": known[name](post, now) if callable(known[name]) else grown(post, name, now)}],
            "title": name.replace("_", " ").capitalize(),
            "id": f"{post.id}/insights/{name}/lifetime",
        }
        for name in names
    ]


def told_of(post: Posted, text: str) -> dict[str, Any]:
    """Return what the platforms tell of a post; text: what they call its words."""
    return {"id": post.id, text: post.text, "permalink": post.url, "timestamp": moment(post.created_at)}
