"""Threads' publishing and insights, imitated. The video is fetched from its address, on this machine alone.

Docs: developers.facebook.com/docs/threads: posts, posts/publish, troubleshooting, insights, read 2026-11.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final

import aiohttp
from aiohttp import web
from msgspec import structs
from yarl import URL

from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._graph import GraphStage, error, fields_of, gone, picked, refusal
from deploy.sandbox.feeds._graph_container import (
    Containers,
    MetaContainer,
    insights,
    status_of_containers,
    told_of,
)
from deploy.sandbox.posted import BLOCK_BYTES, Grant

__all__ = ["OwnPosts"]

POSTS_A_DAY: Final = 250
LONGEST_TEXT: Final = 500
FETCH_S: Final = 60.0
_METRICS: Final[dict[str, Any]] = dict.fromkeys(("views", "likes", "replies", "reposts", "quotes", "shares"))


class OwnPosts:
    """Containers, posts and figures of own accounts."""

    def __init__(self, graph: GraphStage) -> None:
        self._graph = graph
        self._containers = Containers(graph, numbers=("1830", "1835"), most=POSTS_A_DAY)
        stage = graph.stage
        status_of_containers(stage, r"/{container:1830\d+}", self._status)
        stage.get(r"/{post:1835\d+}", "post", self._post, refusal=refusal)
        stage.get(r"/{post:1835\d+}/insights", "insights", self._insights, refusal=refusal)
        stage.get("/{user}/threads_publishing_limit", "limit", self._limit, refusal=refusal)
        stage.get("/{user}/threads", "list", self._list, refusal=refusal)
        stage.post("/{user}/threads", "container", self._open, refusal=refusal)
        stage.post("/{user}/threads_publish", "publish", self._publish, refusal=refusal)
        stage.get("/{user}", "account", self._account, refusal=refusal)

    def _holder(self, request: web.Request, scope: str = "threads_basic") -> Grant:
        """Return whose token it is, who must be the user of the path. Raises: Refused."""
        holder = self._graph.account(request, "threads_basic", scope)
        user = request.match_info.get("user", holder.account)
        if user not in {holder.account, "me"}:
            raise gone(user)
        return holder

    async def _account(self, request: web.Request) -> web.StreamResponse:
        holder = self._holder(request)
        known = {"id": holder.account, "username": f"sandbox_{holder.account}", "threads_profile_picture_url": None}
        return self._graph.reply(picked(request, known))

    async def _limit(self, request: web.Request) -> web.StreamResponse:
        return self._containers.limit(self._holder(request, "threads_content_publish"))

    async def _open(self, request: web.Request) -> web.StreamResponse:
        holder, form = self._holder(request, "threads_content_publish"), await fields_of(request)
        if form.get("media_type") != "VIDEO" or not form.get("video_url"):
            raise Refused(error(400, 100, "(#100) The parameter video_url is required"))
        if len(form.get("text", "")) > LONGEST_TEXT:
            raise Refused(error(400, 100, "(#100) Param text must be at most 500 characters long."))
        if form.get("reply_control", "everyone") not in {"everyone", "accounts_you_follow", "mentioned_only"}:
            raise Refused(error(400, 100, "(#100) Param reply_control is invalid"))
        address = form.pop("video_url")
        made = self._containers.open(holder, form.get("text", ""), form)
        self._containers.put(await self._fetched(made, address))
        return self._graph.reply({"id": made.id})

    async def _fetched(self, made: MetaContainer, address: str) -> MetaContainer:
        """Fetch the video at once; the platform does it soon."""
        now = self._graph.stage.sandbox.now()
        digest, size = hashlib.sha256(), 0
        failed = structs.replace(made, ready_at=now, error="FAILED_DOWNLOADING_VIDEO")
        try:
            url = URL(address)
            if url.host not in {"127.0.0.1", "localhost"}:
                return failed
            async with asyncio.timeout(FETCH_S), aiohttp.ClientSession() as session, session.get(url) as answer:
                answer.raise_for_status()
                async for block in answer.content.iter_chunked(BLOCK_BYTES):
                    digest.update(block)
                    size += len(block)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return failed
        return structs.replace(made, ready_at=now, size_bytes=size, sha256=digest.hexdigest())

    async def _status(self, request: web.Request) -> web.StreamResponse:
        made = self._containers.own(request.match_info["container"], self._holder(request))
        status = self._containers.status(request, made)
        known = {"id": made.id, "status": status, "error_message": made.error if status == "ERROR" else None}
        return self._graph.reply(picked(request, known))

    async def _publish(self, request: web.Request) -> web.StreamResponse:
        holder, form = self._holder(request, "threads_content_publish"), await fields_of(request)
        made = self._containers.own(form.get("creation_id", ""), holder)
        page = f"https://www.threads.com/@sandbox_{holder.account}/post/P{{}}"
        return self._containers.publish(made, page=page)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        posts = [told_of(post, "text") for post in self._containers.listed(self._holder(request))]
        return self._graph.answer(request, posts, usual=25, most=100)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        post = self._containers.post(request, self._holder(request))
        return self._graph.reply(picked(request, told_of(post, "text") | {"media_type": "VIDEO"}))

    async def _insights(self, request: web.Request) -> web.StreamResponse:
        post = self._containers.post(request, self._holder(request, "threads_manage_insights"))
        return self._graph.reply({"data": insights(request, post, self._graph.stage.sandbox.now(), _METRICS)})
