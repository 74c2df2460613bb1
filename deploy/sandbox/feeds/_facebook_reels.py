"""Reels of own Facebook pages, imitated: three phases, status, figures.

Docs: developers.facebook.com/docs/video-api/guides/reels-publishing, .../docs/graph-api/reference/video and
.../video/video_insights, read 2026-11. A reel is posted by the request that finishes it, and shown once it is
processed; a video makes one at most. A test says what becomes of the next one: POST /at/facebook/sandbox/next.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from msgspec import Struct, structs

from deploy.sandbox.context import Refused
from deploy.sandbox.faults import drain, fault_of
from deploy.sandbox.feeds import _graph_upload
from deploy.sandbox.feeds._graph import GraphStage, error, fields_of, gone, moment, picked, refusal
from deploy.sandbox.feeds._graph_container import grown, insights, next_error, status_of_containers, taken_error
from deploy.sandbox.posted import Grant, Posted

__all__ = ["MetaVideo", "PageReels"]

DAY_S: Final = 86_400.0
REELS_A_DAY: Final = 30
SOONEST_S: Final = 600.0
LATEST_S: Final = 29 * DAY_S
CAN_POST: Final = ("pages_show_list", "pages_read_engagement", "pages_manage_posts")
_METRICS: Final[dict[str, Any]] = {
    **dict.fromkeys(
        (
            "fb_reels_total_plays",
            "blue_reels_play_count",
            "post_video_avg_time_watched",
            "post_video_view_time",
            "post_video_followers",
        )
    ),
    "post_video_social_actions": lambda post, now: {
        "COMMENT": grown(post, "comments", now),
        "SHARE": grown(post, "shares", now),
    },
    "post_video_likes_by_reaction_type": lambda post, now: {"REACTION_LIKE": grown(post, "likes", now)},
}


class MetaVideo(Struct, frozen=True, kw_only=True):
    """One upload. finished_at: when it was finished; publish_at: when it shall be shown. Times: Unix seconds."""

    id: str
    account: str
    opened_at: float
    size_bytes: int | None = None
    sha256: str = ""
    uploaded_at: float | None = None
    finished_at: float | None = None
    publish_at: float | None = None
    polls: int = 0
    error: str = ""


class PageReels:
    """The calls of an app that posts reels for pages."""

    def __init__(self, graph: GraphStage) -> None:
        self._graph = graph
        self._stage = graph.stage
        self._store = graph.stage.sandbox.store
        stage = graph.stage
        next_error(stage)
        stage.post("/{page}/video_reels", "reels", self._reels, refusal=refusal)
        stage.upload(r"/video-upload/v25.0/{video:\d+}", "upload", self._upload, refusal=_graph_upload.refusal)
        status_of_containers(stage, r"/{video:1220\d+}", self._status)
        stage.get(r"/{video:1220\d+}/video_insights", "insights", self._insights, refusal=refusal)
        stage.get("/{page}", "account", self._page, refusal=refusal)

    def listed(self, holder: Grant) -> list[dict[str, Any]]:
        """Describe the page's own reels as its list does, newest first."""
        posts = [post for post in reversed(self._stage.people.posts(holder.account)) if post.state == "stands"]
        return [
            {
                **dict.fromkeys(("length", "picture", "source")),
                "id": post.id,
                "title": post.title,
                "description": post.text,
                "created_time": moment(post.created_at),
                "permalink_url": f"/reel/{post.id}/",
                "from": {"name": holder.account, "id": holder.account},
                **self._counts(post),
            }
            for post in posts
        ]

    def _counts(self, post: Posted) -> dict[str, Any]:
        now = self._stage.sandbox.now()
        likes, comments = grown(post, "likes", now), grown(post, "comments", now)
        return {
            "views": grown(post, "views", now),
            "likes": {"data": [], "summary": {"total_count": likes, "can_like": True, "has_liked": False}},
            "comments": {"data": [], "summary": {"order": "ranked", "total_count": comments}},
        }

    async def _page(self, request: web.Request) -> web.StreamResponse:
        holder = self._graph.account(request)
        if request.match_info["page"] != holder.account:
            raise gone(request.match_info["page"])
        return self._graph.reply(picked(request, {"id": holder.account, "name": holder.account}))

    async def _reels(self, request: web.Request) -> web.StreamResponse:
        holder, form = self._graph.account(request, *CAN_POST), await fields_of(request)
        if request.match_info["page"] != holder.account:
            raise gone(request.match_info["page"])
        phase = form.get("upload_phase")
        if phase == "start":
            return self._start(request, holder)
        if phase == "finish":
            return self._finish(holder, form)
        raise Refused(error(400, 100, "(#100) Param upload_phase must be one of {START, FINISH}"))

    def _start(self, request: web.Request, holder: Grant) -> web.Response:
        number = int(self._store.add("facebook:videos", 1))
        now = self._stage.sandbox.now()
        video = MetaVideo(
            id=f"1220{number:012d}", account=holder.account, opened_at=now, error=taken_error(self._stage)
        )
        self._store.put(video.id, video)
        url = f"{self._stage.home(request)}/video-upload/v25.0/{video.id}"
        return self._graph.reply({"video_id": video.id, "upload_url": url})

    def _own(self, name: str, holder: Grant) -> MetaVideo:
        video = self._store.get(MetaVideo, name)
        post = self._stage.people.post(name)
        if video is None or video.account != holder.account or (post is not None and post.state == "removed"):
            raise gone(name)
        return video

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        try:
            video = self._own(request.match_info["video"], self._graph.account(request, *CAN_POST, scheme="OAuth"))
        except Refused:
            await drain(request)
            raise
        now = self._stage.sandbox.now()
        if video.uploaded_at is not None or now - video.opened_at > DAY_S:
            await drain(request)
            raise Refused(_graph_upload.failed(400, "ProcessingFailedError", "The upload is over", retriable=False))
        size = await _graph_upload.take(self._stage, request, video.id, video.size_bytes)
        sha256 = self._stage.receiver.sha256(video.id)
        self._store.put(video.id, structs.replace(video, size_bytes=size, sha256=sha256, uploaded_at=now))
        return web.json_response({"success": True})

    def _finish(self, holder: Grant, form: dict[str, str]) -> web.Response:
        """Take a reel: from here on there is a post. Raises: Refused."""
        video, now = self._own(form.get("video_id", ""), holder), self._stage.sandbox.now()
        if video.uploaded_at is None or video.finished_at is not None:
            raise Refused(error(400, 6000, "There was a problem uploading your video file.", subcode=1363041))
        recent = [one for one in self._stage.people.posts(holder.account) if one.created_at > now - DAY_S]
        if len(recent) >= REELS_A_DAY:
            raise Refused(error(400, 32))
        publish_at = None
        state = form.get("video_state")
        if state == "SCHEDULED":
            told = form.get("scheduled_publish_time", "")
            publish_at = float(told) if told.isdigit() else 0.0
            if not now + SOONEST_S < publish_at < now + LATEST_S:
                raise Refused(error(400, 100, "(#100) The specified scheduled publish time is invalid."))
        elif state != "PUBLISHED":
            raise Refused(error(400, 100, "(#100) Param video_state must be one of {DRAFT, PUBLISHED, SCHEDULED}"))
        with self._store.transaction():
            self._store.put(video.id, structs.replace(video, finished_at=now, publish_at=publish_at, polls=0))
            if not video.error:
                self._stage.people.add(
                    Posted(
                        id=video.id,
                        platform=self._stage.name,
                        account=holder.account,
                        text=form.get("description", ""),
                        title=form.get("title", ""),
                        created_at=now,
                        url=f"https://www.facebook.com/reel/{video.id}/",
                        privacy="scheduled" if publish_at is not None else "public",
                        sha256=video.sha256,
                        size_bytes=video.size_bytes or 0,
                        more={"publish_at": publish_at},
                    )
                )
        return self._graph.reply({"success": True})

    async def _status(self, request: web.Request) -> web.StreamResponse:
        video = self._own(request.match_info["video"], self._graph.account(request, "pages_read_engagement"))
        post = self._stage.people.post(video.id)
        video = structs.replace(video, polls=video.polls + (video.finished_at is not None))
        self._store.put(video.id, video)
        stuck = fault_of(request, "stuck_processing") is not None
        known: dict[str, Any] = {
            "id": video.id,
            "status": self._phases(video, post, stuck=stuck),
            "permalink_url": f"/reel/{video.id}/",
            "published": post is not None and post.state != "private",
            **dict.fromkeys(("views", "likes", "comments")),
            **(self._counts(post) if post is not None else {}),
        }
        return self._graph.reply(picked(request, known))

    def _phases(self, video: MetaVideo, post: Posted | None, *, stuck: bool) -> dict[str, Any]:
        settings, now = self._stage.sandbox.settings, self._stage.sandbox.now()
        uploading: dict[str, Any] = {
            "status": "complete" if video.uploaded_at is not None else "in_progress",
            "bytes_transfered": self._stage.receiver.size(video.id),
        }
        processing: dict[str, Any] = {"status": "not_started"}
        publishing: dict[str, Any] = {"status": "not_started"}
        whole = "uploading" if video.uploaded_at is None else "upload_complete"
        if video.finished_at is None and now - video.opened_at > DAY_S:
            whole = "expired"
        if video.finished_at is not None:
            done = not stuck and video.polls > settings.processing_polls
            done = done and now - video.finished_at >= settings.processing_s
            processing = {"status": "complete" if done else "in_progress"}
            publishing = {"status": "in_progress" if not done else "complete"}
            whole = "ready" if done else "processing"
            if done and (video.error or (post is not None and post.state == "blocked")):
                words = video.error or (post.because if post is not None else "")
                whole, publishing = "error", {"status": "error"}
                processing = {"status": "error", "errors": [{"code": 1363128, "message": words}]}
            elif done:
                publishing |= self._shown(video, post, now)
        phases = {"uploading_phase": uploading, "processing_phase": processing, "publishing_phase": publishing}
        return {"video_status": whole, **phases}

    def _shown(self, video: MetaVideo, post: Posted | None, now: float) -> dict[str, Any]:
        if post is not None and post.state == "private":
            return {"publish_status": "draft"}
        if video.publish_at is not None and video.publish_at > now:
            return {"status": "not_started", "publish_status": "scheduled", "publish_time": int(video.publish_at)}
        at = max(video.publish_at or 0.0, video.finished_at or 0.0)
        return {"publish_status": "published", "publish_time": int(at)}

    async def _insights(self, request: web.Request) -> web.StreamResponse:
        holder = self._graph.account(request, "read_insights")
        video = self._own(request.match_info["video"], holder)
        post, now = self._stage.people.post(video.id), self._stage.sandbox.now()
        return self._graph.reply({"data": [] if post is None else insights(request, post, now, _METRICS)})
