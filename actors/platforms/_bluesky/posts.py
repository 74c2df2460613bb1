"""Posting to Bluesky, and reading back what became of it.

Docs: docs.bsky.app/docs/tutorials/video, lexicons app.bsky.video.*, com.atproto.repo.createRecord and getRecord, and
app.bsky.feed.getPosts, read 2026-11-23. The video service takes the file for the account's server, works on it and
gives a blob; the post is a record that names the blob, under a key that is chosen before the upload begins.

Exactly one post: a record key holds one record. createRecord with a key that is taken makes nothing: the reference
server answers 500 InternalServerError, others 409, and a named 400 is proposed (bluesky-social/atproto issue 3718,
pull request 4728). Whatever it answers, getRecord with that key tells whether the post is there. A video that is sent
twice is one blob (`already_exists`) and no post.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from actors.platforms._account import AccountApi, surely_refused
from actors.platforms._api import absent, count
from actors.platforms._bluesky.record import COLLECTION, caption_file, post_record, record_key, wire_moment
from actors.platforms._bluesky.session import ENTRYWAY, NAME, SIGN_IN, WHAT, denied, error_of, home_of, refusal
from actors.platforms._bodies import deadline_of, file_body
from actors.platforms._posts import as_dict, as_list
from actors.platforms._text import parse_moment
from actors.runtime.http import Response
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from actors.runtime.objects import open_objects
from contracts.errors import RateLimited, Reject, Retry, Snooze
from contracts.ids import AccountId
from contracts.platform import Draft, Journal, PostMetrics, RemotePost, Standing, UploadCheckpoint

__all__ = ["NOT_TOLD", "Posts", "parse_counts", "parse_job", "parse_standing"]

VIDEO_URL: Final = "https://video.bsky.app"
VIDEO_SERVICE: Final = "did:web:video.bsky.app"
GRANT_S: Final = 1_800
ASK_AGAIN_S: Final = 5.0
UPLOAD_AGAIN_S: Final = 60.0
MOST_UPLOADS: Final = 3
LIMIT_WAIT: Final = timedelta(hours=1)
"""When a spent daily allowance is looked at again: the moment of its end is not told."""
PAGE: Final = 25
UPLOAD: Final = "upload"
PROCESS: Final = "process"
CREATE: Final = "create"
NOT_TOLD: Final = {
    "views": "Bluesky does not count views",
    "reach": "Bluesky does not tell whom a post reached",
    "impressions": "Bluesky does not count how often a post is shown",
    "clicks": "Bluesky does not count clicks",
    "followers": "Bluesky does not tell which post brought a follower",
    "watched_us": "Bluesky does not tell how long a video is watched",
    "average_watched_us": "Bluesky does not tell how long a video is watched",
    "retention": "Bluesky does not tell how long a video is watched",
}
_ANEW: Final = frozenset({"pds_upload_failure", "generic_failure", ""})
"""Failures of the video service that are not the file's fault."""
_HIDDEN: Final = frozenset({"!hide", "!takedown", "!suspend"})
_LOST_BLOB: Final = "could not find blob"
"""How a server says that it cleared away what no post names yet."""
_GONE: Final = frozenset({"RecordNotFound", "NotFound"})


def parse_job(answer: Any) -> dict[str, Any]:
    """Return a job's status, which comes bare or within `jobStatus`."""
    body = as_dict(answer)
    return as_dict(body.get("jobStatus")) or body


def parse_counts(post: dict[str, Any]) -> PostMetrics:
    """Read a postView. Shares are reposts and quotes, saves are bookmarks."""
    reposts, quotes = count(post.get("repostCount")), count(post.get("quoteCount"))
    counts: dict[str, Any] = {
        "likes": count(post.get("likeCount")),
        "comments": count(post.get("replyCount")),
        "shares": None if reposts is None else reposts + (quotes or 0),
        "saves": count(post.get("bookmarkCount")),
    }
    missing = absent(counts, "the post has no such count in the answer")
    return PostMetrics(**counts, absent={**NOT_TOLD, **missing})


def parse_standing(post: dict[str, Any]) -> Standing:
    """Read the labels of a postView: one by which it is hidden from everybody is a block."""
    labels = {str(one.get("val")) for one in map(as_dict, as_list(post.get("labels"))) if not one.get("neg")}
    if hidden := sorted(labels & _HIDDEN):
        return Standing(state="blocked", because=f"Bluesky put the label {hidden[0]} on it", privacy="public")
    return Standing(state="stands", privacy="public")


class Posts:
    """The posts of connected accounts. A post's id is `did:key`, as in what discovery finds."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._clock = means.clock
        self._api = AccountApi(
            means, name=NAME, base=ENTRYWAY, what=WHAT, client=SIGN_IN, fault=refusal, denied=denied, named=True
        )
        self._video = means.settings.api_url(NAME, VIDEO_URL)

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Ask whether the account may upload, and choose the key of the post."""
        grant = await self._grant(account, "app.bsky.video.getUploadLimits", VIDEO_SERVICE)
        answer = await self._ask_video("GET", "getUploadLimits", token=grant)
        self._api.check(answer)
        self._allow(self._api.read(answer), size_bytes)
        now = self._clock.now()
        return UploadCheckpoint(
            step=UPLOAD, ids={"rkey": record_key(now, marker=draft.marker), "created_at": wire_moment(now)}
        )

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Upload, wait until the video is ready, make the record: each step is kept before the next."""
        if journal.may_exist and (found := await self.find(account, draft, checkpoint)) is not None:
            return found
        if checkpoint.step == UPLOAD:
            checkpoint = await self._upload(account, checkpoint, file, journal)
        if checkpoint.step == PROCESS:
            checkpoint = await self._await_job(checkpoint, journal)
        return await self._create(account, draft, checkpoint, journal)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:  # noqa: ARG002 - the shape of an adapter
        """Return the record under the key that was chosen; None: there is none."""
        key = checkpoint.ids["rkey"]
        record = await self._record(account, _did(account), key)
        return None if record is None else _remote(_did(account), key, as_dict(record.get("value")).get("createdAt"))

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts of those posts that Bluesky shows."""
        return {name: parse_counts(post) for name, post in (await self._shown(account, platform_post_ids)).items()}

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands; one that is not shown is looked for where its account keeps it."""
        shown = await self._shown(account, platform_post_ids)
        found = {name: parse_standing(post) for name, post in shown.items()}
        for name in platform_post_ids:
            if name in found:
                continue
            did, key = _parts(name)
            if await self._record(account, did, key) is None:
                found[name] = Standing(state="removed", because="the account's server no longer has the post")
            else:
                found[name] = Standing(
                    state="blocked", because="the account still has the post, Bluesky does not show it"
                )
        return found

    async def _shown(self, account: AccountId, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        home = await self._home(account)
        found: dict[str, dict[str, Any]] = {}
        for some in _some(names):
            uris = {_uri(name): name for name in some}
            answer = await self._api.get(
                account, f"{home}/xrpc/app.bsky.feed.getPosts", params=[("uris", uri) for uri in uris]
            )
            posts = answer.get("posts")
            if not isinstance(posts, list):
                raise Retry(f"{WHAT} answered in a shape that is not known here: there is no 'posts'")
            found |= {uris[str(post.get("uri"))]: post for post in map(as_dict, posts) if str(post.get("uri")) in uris}
        return found

    async def _home(self, account: AccountId) -> str:
        tokens = await self._means.tokens.get(account, SIGN_IN)
        return home_of(self._means.settings, tokens.kept)

    async def _grant(self, account: AccountId, call: str, audience: str) -> str:
        """Return a token with which another service acts for the account, for one kind of call."""
        until = int(self._clock.now().timestamp()) + GRANT_S
        answer = await self._api.get(
            account,
            f"{await self._home(account)}/xrpc/com.atproto.server.getServiceAuth",
            params={"aud": audience, "lxm": call, "exp": str(until)},
        )
        if not isinstance(token := answer.get("token"), str) or not token:
            raise Retry("Bluesky gave no token for its video service")
        return token

    async def _ask_video(self, method: str, call: str, *, token: str = "", **more: Any) -> Response:
        headers = {**more.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        url = f"{self._video}/xrpc/app.bsky.video.{call}"
        answer = await self._means.http.request(method, url, headers=headers, **more)
        if answer.status in {401, 403}:
            raise Retry(f"Bluesky's video service does not accept its token ({error_of(answer)[1] or answer.status})")
        return answer

    def _allow(self, told: dict[str, Any], size_bytes: int) -> None:
        """Raises: RateLimited (the day's allowance is spent), Reject (the account may not upload)."""
        videos, room = count(told.get("remainingDailyVideos")), count(told.get("remainingDailyBytes"))
        words = str(told.get("message") or told.get("error") or "no reason was given")[:200]
        if videos == 0 or (room is not None and room < size_bytes):
            until = self._clock.now() + LIMIT_WAIT
            raise RateLimited("the account's videos of today are used up on Bluesky", until=until)
        if told.get("canUpload") is not True:
            mend = "Confirm the account's e-mail address in Bluesky, then try again"
            raise Reject(f"the account may not upload videos ({words})", mend=mend)

    async def _upload(
        self, account: AccountId, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> UploadCheckpoint:
        size_bytes = (await asyncio.to_thread(file.stat)).st_size
        host = urlsplit(await self._home(account)).hostname
        grant = await self._grant(account, "com.atproto.repo.uploadBlob", f"did:web:{host}")
        await journal.sending(size_bytes)
        answer = await self._ask_video(
            "POST",
            "uploadVideo",
            token=grant,
            params={"did": _did(account), "name": f"{checkpoint.ids['rkey']}.mp4"},
            headers={"Content-Type": "video/mp4", "Content-Length": str(size_bytes)},
            data=file_body(file, 0, size_bytes, self._means.pace)(),
            deadline_s=deadline_of(size_bytes, self._means.pace),
        )
        if answer.status != 409:
            self._api.check(answer)
        return await self._after(parse_job(self._api.read(answer)), checkpoint, journal)

    async def _await_job(self, checkpoint: UploadCheckpoint, journal: Journal) -> UploadCheckpoint:
        answer = await self._ask_video("GET", "getJobStatus", params={"jobId": checkpoint.ids["job"]})
        if answer.status in {400, 404}:
            await _begin_anew(checkpoint, journal, f"it no longer knows the upload ({answer.status})")
        self._api.check(answer)
        return await self._after(parse_job(self._api.read(answer)), checkpoint, journal)

    async def _after(self, job: dict[str, Any], checkpoint: UploadCheckpoint, journal: Journal) -> UploadCheckpoint:
        """Keep what a job's status tells. Raises: Snooze (it is at work), Reject (the file), Retry."""
        blob = job.get("blob")
        if isinstance(blob, dict) and blob:
            ids = {**checkpoint.ids, "blob": msgspec.json.encode(blob).decode()}
            checkpoint = replace(checkpoint, step=CREATE, ids=ids)
            await journal.keep(checkpoint)
            return checkpoint
        words = str(job.get("message") or job.get("error") or "no reason was given")[:200]
        if job.get("state") == "JOB_STATE_FAILED":
            code = str(job.get("failureCode") or "")
            if code in _ANEW:
                await _begin_anew(checkpoint, journal, code or words)
            raise Reject(f"Bluesky does not take the video ({code}: {words})", mend="Render it anew as MP4 with H.264")
        name = job.get("jobId")
        if not isinstance(name, str) or not name:
            raise Retry(f"Bluesky took the video and gave no job for it ({words})")
        if checkpoint.step != PROCESS or checkpoint.ids.get("job") != name:
            checkpoint = replace(checkpoint, step=PROCESS, ids={**checkpoint.ids, "job": name})
            await journal.keep(checkpoint)
        raise Snooze(f"Bluesky works on the video ({job.get('state') or 'no state told'})", delay_s=ASK_AGAIN_S)

    async def _create(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, journal: Journal
    ) -> RemotePost:
        home, did, key = await self._home(account), _did(account), checkpoint.ids["rkey"]
        record = post_record(
            draft,
            created_at=checkpoint.ids["created_at"],
            video=msgspec.json.decode(checkpoint.ids["blob"]),
            captions=await self._captions(account, home, draft),
        )
        body = {"repo": did, "collection": COLLECTION, "rkey": key, "record": record}
        url = f"{home}/xrpc/com.atproto.repo.createRecord"
        answer = await self._api.send(account, "POST", url, json=body, commits=journal)
        if answer.status >= 400 and answer.status != 429:
            if (found := await self.find(account, draft, checkpoint)) is not None:
                return found
            if surely_refused(answer) and _LOST_BLOB in error_of(answer)[1].casefold():
                await _begin_anew(checkpoint, journal, "it no longer has the video that the post names")
        self._api.check(answer)
        return _remote(did, key, checkpoint.ids["created_at"])

    async def _captions(self, account: AccountId, home: str, draft: Draft) -> Any | None:
        """Store the subtitles at the account's server; None: there are none that Bluesky takes."""
        if draft.subtitles is None or draft.language is None:  # its lexicon asks for the language
            return None
        async with open_objects(self._means.settings) as objects, objects.local(draft.subtitles) as file:
            made = caption_file(await asyncio.to_thread(file.read_text, "utf-8", "replace"))
        if made is None:
            get_logger().warning("bluesky.captions_left_out", because="they cannot be read, or are longer than 20 kB")
            return None
        url = f"{home}/xrpc/com.atproto.repo.uploadBlob"
        answer = await self._api.post(account, url, headers={"Content-Type": "text/vtt"}, data=made)
        return answer.get("blob")

    async def _record(self, account: AccountId, did: str, key: str) -> dict[str, Any] | None:
        answer = await self._api.send(
            account,
            "GET",
            f"{await self._home(account)}/xrpc/com.atproto.repo.getRecord",
            params={"repo": did, "collection": COLLECTION, "rkey": key},
        )
        if answer.status in {400, 404} and error_of(answer)[0] in _GONE:
            return None
        self._api.check(answer)
        return self._api.read(answer)


async def _begin_anew(checkpoint: UploadCheckpoint, journal: Journal, why: str) -> NoReturn:
    """Go back to the upload. Raises: Retry; Reject after as many uploads as are worth their bytes."""
    uploads = int(checkpoint.ids.get("uploads", "0")) + 1
    await journal.keep(replace(checkpoint, step=UPLOAD, ids={**checkpoint.ids, "uploads": str(uploads)}))
    if uploads >= MOST_UPLOADS:
        raise Reject(f"Bluesky did not take the video in after {uploads} uploads ({why})", mend="Try again in a day")
    raise Retry(f"Bluesky did not take the video in ({why}): it is sent again", delay_s=UPLOAD_AGAIN_S * uploads)


def _did(account: AccountId) -> str:
    return account.removeprefix(f"{NAME}:")


def _parts(name: str) -> tuple[str, str]:
    did, _, key = name.rpartition(":")
    return did, key


def _uri(name: str) -> str:
    did, key = _parts(name)
    return f"at://{did}/{COLLECTION}/{key}"


def _remote(did: str, key: str, created_at: Any) -> RemotePost:
    return RemotePost(
        platform_post_id=f"{did}:{key}",
        url=f"https://bsky.app/profile/{did}/post/{key}",
        privacy="public",
        published_at=parse_moment(created_at),
    )


def _some(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for first in range(0, len(names), PAGE):
        yield names[first : first + PAGE]
