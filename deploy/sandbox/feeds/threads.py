"""Threads, imitated: keyword search, consent, posts of own accounts and their figures.

Docs: developers.facebook.com/docs/threads/keyword-search, read 2026-11. 2,200 queries a day; those without results
are free.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._consent import Consent, Long, Style
from deploy.sandbox.feeds._graph import GraphStage, error, moment, refusal, token_refusal
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.feeds._threads_posts import OwnPosts

__all__ = ["CREDENTIALS", "FEED"]

CREDENTIALS = {
    "threads_access_token": "sandbox-threads",
    "threads_client_id": "sandbox-threads-app",
    "threads_client_secret": "sandbox-threads-word",
}
SCOPES = {
    "threads_basic": "See the profile and posts",
    "threads_content_publish": "Post for you",
    "threads_manage_insights": "See figures of posts",
    "threads_keyword_search": "Search posts of others",
}

QUERIES_A_DAY = 2_200


class Threads:
    """The search of one user."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._graph = GraphStage(stage, token=CREDENTIALS["threads_access_token"])
        stage.get("/keyword_search", "search", self._search, refusal=refusal)
        stage.people.access_life_s = 3600
        Consent(
            stage,
            Style(
                title="Threads",
                authorize="/oauth/authorize",
                token="/oauth/access_token",  # noqa: S106 - a path
                client_id=CREDENTIALS["threads_client_id"],
                client_secret=CREDENTIALS["threads_client_secret"],
                scopes=SCOPES,
                separator=",",
                optional=True,
                pkce="none",
                refreshes=False,
                long=Long(
                    prolong=("/access_token", "th_exchange_token", "access_token"),
                    renew=("/refresh_access_token", "th_refresh_token", "access_token"),
                ),
                refusal=token_refusal,
            ),
        )
        OwnPosts(self._graph)

    async def _search(self, request: web.Request) -> web.StreamResponse:
        self._graph.check_token(request)
        asked = request.query
        words = asked.get("q", "").strip()
        kind = asked.get("media_type")
        if not words:
            raise Refused(error(400, 100, "(#100) The parameter q is required"))
        if asked.get("search_type", "TOP") not in {"TOP", "RECENT"} or asked.get("search_mode", "KEYWORD") not in {
            "KEYWORD",
            "TAG",
        }:
            raise Refused(error(400, 100))
        if kind not in {None, "TEXT", "IMAGE", "VIDEO"}:
            raise Refused(error(400, 100, "(#100) Param media_type must be one of TEXT, IMAGE, VIDEO"))
        posts = self._posts(request, words)
        posts = [post for post in posts if kind is None or post["media_type"] == kind]
        posts = [post for post in posts if int(asked.get("since", "0")) <= post.pop("at_s")]
        if posts:
            left, _ = self._stage.take("queries", limit=QUERIES_A_DAY, window_s=86_400)
            if left < 0:
                raise Refused(error(400, 613))
        return self._graph.answer(request, posts, usual=25, most=100)

    def _posts(self, request: web.Request, words: str) -> list[dict[str, Any]]:
        """Return a video post of every work that has the words, and a text post about it."""
        found = []
        works = self._stage.catalogue.search(words)
        if request.query.get("search_type") == "RECENT":
            works.sort(key=self._stage.catalogue.published_s, reverse=True)
        for work in works:
            at_s = self._stage.catalogue.published_s(work)
            video: dict[str, Any] = {
                "id": f"180{work.number:014d}",
                "text": f"{work.title}\n{work.description} #{work.tags[0]}",
                "media_type": "VIDEO",
                "media_url": self._stage.media_url(request, work),
                "permalink": f"https://www.threads.com/@{_username(work.creator)}/post/V{work.number}",
                "timestamp": moment(at_s),
                "username": _username(work.creator),
                "has_replies": True,
                "is_quote_post": False,
                "at_s": int(at_s),
            }
            link = f"https://www.threads.com/@{_username(work.creator)}/post/T{work.number}"
            text = {"id": f"181{work.number:014d}", "media_type": "TEXT_POST", "media_url": None, "permalink": link}
            found += [video, {**video, **text}]
        return found


def _username(creator: str) -> str:
    return creator.lower().replace(" ", "_")


FEED = Threads
