"""Instagram's publishing and insights of professional accounts, imitated.

Docs: developers.facebook.com/docs/instagram-platform: content-publishing, ig-user/media, ig-container, media_publish,
content_publishing_limit, instagram-media/insights, read 2026-11.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from msgspec import structs

from deploy.sandbox.context import Refused
from deploy.sandbox.faults import drain
from deploy.sandbox.feeds import _graph_upload
from deploy.sandbox.feeds._graph import GraphStage, error, fields_of, gone, picked, refusal
from deploy.sandbox.feeds._graph_container import Containers, grown, insights, status_of_containers, told_of
from deploy.sandbox.posted import Grant

__all__ = ["Reels"]

POSTS_A_DAY: Final = 50
LONGEST_CAPTION: Final = 2200
CAN_POST: Final = ("instagram_basic", "instagram_content_publish")
CAN_COUNT: Final = ("instagram_basic", "instagram_manage_insights")
_METRICS: Final[dict[str, Any]] = dict.fromkeys(
    (
        "views", "reach", "likes", "comments", "saved", "shares", "total_interactions", "ig_reels_avg_watch_time",
        "ig_reels_video_view_total_time",
    )
)  # fmt: skip


class Reels:
    """Containers, bytes, posts and figures."""

    def __init__(self, graph: GraphStage) -> None:
        self._graph = graph
        stage = graph.stage
        self._containers = Containers(graph, numbers=("1790", "1795"), most=POSTS_A_DAY)
        status_of_containers(stage, r"/{container:1790\d+}", self._status)
        stage.get(r"/{post:1795\d+}", "post", self._post, refusal=refusal)
        stage.get(r"/{post:1795\d+}/insights", "insights", self._insights, refusal=refusal)
        stage.get("/{user}/content_publishing_limit", "limit", self._limit, refusal=refusal)
        stage.get("/{user}/media", "list", self._list, refusal=refusal)
        stage.post("/{user}/media", "container", self._open, refusal=refusal)
        stage.post("/{user}/media_publish", "publish", self._publish, refusal=refusal)
        path = r"/ig-api-upload/v25.0/{container:\d+}"
        stage.upload(path, "upload", self._upload, refusal=_graph_upload.refusal)

    def _holder(self, request: web.Request, *scopes: str) -> Grant:
        """Return whose token it is, who must be the user of the path. Raises: Refused."""
        holder = self._graph.account(request, *scopes)
        user = request.match_info.get("user", holder.account)
        if user not in {holder.account, "me"}:
            raise gone(user)
        return holder

    async def _limit(self, request: web.Request) -> web.StreamResponse:
        return self._containers.limit(self._holder(request, *CAN_POST))

    async def _open(self, request: web.Request) -> web.StreamResponse:
        holder, form = self._holder(request, *CAN_POST), await fields_of(request)
        caption = form.get("caption", "")
        if form.get("media_type") != "REELS":
            raise Refused(error(400, 100, subcode=2207023))
        if form.get("upload_type") != "resumable":
            raise Refused(error(400, 9004, "Only photo or video can be accepted as media type.", subcode=2207052))
        if len(caption) > LONGEST_CAPTION or caption.count("#") > 30:
            raise Refused(error(400, 36004, subcode=2207010))
        if sum(word.startswith("@") for word in caption.split()) > 20:
            raise Refused(error(400, 100, subcode=2207040))
        flags = ("is_ai_generated", "is_paid_partnership", "share_to_feed")
        if wrong := next((name for name in flags if form.get(name, "true") not in {"true", "false"}), None):
            raise Refused(error(400, 100, f"(#100) Param {wrong} must be a boolean"))
        made = self._containers.open(holder, caption, form)
        uri = f"{self._graph.stage.home(request)}/ig-api-upload/v25.0/{made.id}"
        return self._graph.reply({"id": made.id, "uri": uri})

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        stage = self._graph.stage
        try:
            holder = self._graph.account(request, *CAN_POST, scheme="OAuth")
            made = self._containers.own(request.match_info["container"], holder)
        except Refused:
            await drain(request)
            raise
        if made.ready_at is not None or self._containers.standing(made) == "EXPIRED":
            await drain(request)
            words = "The upload is over"
            raise Refused(_graph_upload.failed(400, "ProcessingFailedError", words, retriable=False))
        size = await _graph_upload.take(stage, request, made.id, made.size_bytes)
        sha256, now = stage.receiver.sha256(made.id), stage.sandbox.now()
        self._containers.put(structs.replace(made, size_bytes=size, sha256=sha256, ready_at=now))
        return web.json_response({"success": True, "message": "Upload successful."})

    async def _status(self, request: web.Request) -> web.StreamResponse:
        made = self._containers.own(request.match_info["container"], self._holder(request, "instagram_basic"))
        code = self._containers.status(request, made)
        sent = self._graph.stage.receiver.size(made.id)
        phase = {"status": "complete"} if made.ready_at is not None else {"status": "in_progress"}
        failed = made.error if code == "ERROR" else ""
        known = {
            "id": made.id,
            "status_code": code,
            "status": f"Error: {failed}" if failed else f"{code.capitalize()}: the media",
            "video_status": {"uploading_phase": {**phase, "bytes_transferred": sent}},
            "copyright_check_status": {"status": "completed", "matches_found": False},
        }
        return self._graph.reply(picked(request, known))

    async def _publish(self, request: web.Request) -> web.StreamResponse:
        holder, form = self._holder(request, *CAN_POST), await fields_of(request)
        made = self._containers.own(form.get("creation_id", ""), holder)
        page = "https://www.instagram.com/reel/R{}/"
        return self._containers.publish(made, page=page)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        holder = self._holder(request, "instagram_basic")
        posts = [told_of(post, "caption") for post in self._containers.listed(holder)]
        return self._graph.answer(request, posts, usual=25, most=100)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        post = self._containers.post(request, self._holder(request, "instagram_basic"))
        now = self._graph.stage.sandbox.now()
        counts = {"like_count": grown(post, "likes", now), "comments_count": grown(post, "comments", now)}
        kinds = {"media_type": "VIDEO", "media_product_type": "REELS"}
        return self._graph.reply(picked(request, told_of(post, "caption") | counts | kinds))

    async def _insights(self, request: web.Request) -> web.StreamResponse:
        post = self._containers.post(request, self._holder(request, *CAN_COUNT))
        return self._graph.reply({"data": insights(request, post, self._graph.stage.sandbox.now(), _METRICS)})
