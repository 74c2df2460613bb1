"""What a person asks of a running system: import, post, status."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from actors import platforms
from actors.runtime.clock import Clock
from actors.runtime.http import open_http
from actors.runtime.objects import content_key
from actors.runtime.settings import Settings
from actors.runtime.work import Services
from contracts.errors import EttamettaError, Reject
from contracts.events import Destination, Event, ImportRequested, PostRequested
from contracts.ids import AccountId, ObjectKey, item_id
from contracts.language import language_tag
from contracts.media import Probe
from contracts.platform import Privacy
from contracts.rights import LICENCES, RightsRecord, Use, attribution_text
from deploy.supervisor import read_state
from deploy.system import outside, send
from deploy.unfit import refuse_unfit

__all__ = [
    "account_of",
    "import_media",
    "page_of",
    "post_video",
    "refuse_unless_publishes",
    "render_status",
    "sha256_of",
    "store_file",
    "system_status",
]

SUBTITLES: Final = (".srt", ".vtt")
DEADLINE_S: Final = 10.0
NOBODY: Final = "unknown"
"""Stands for an author that the source does not name."""


async def import_media(
    settings: Settings,
    source: str,
    *,
    rights: RightsRecord,
    title: str = "",
    script: Path | None = None,
    narrate: bool = False,
    subtitles: Path | None = None,
    style: str | None = None,
    to: str | None = None,
    page: str | None = None,
    until: datetime | None = None,
    only_for: tuple[Use, ...] = (),
    only_on: tuple[str, ...] = (),
    replaces: str = "",
) -> Event:
    """Store a file (an address is left to the editor) and ask for its import.

    Args: page: of the work, for the credit; until, only_for, only_on: limits of a permission, empty: none; replaces:
    why these rights may be weaker than those that the same file came in with before; style: a name of `STYLES`.
    Raises: Reject.
    """
    rights = _credited(rights)
    rights = msgspec.structs.replace(
        rights,
        source_url=page or rights.source_url,
        expires_at=until or rights.expires_at,
        uses=only_for or rights.uses,
        platforms=only_on or rights.platforms,
        replaces=replaces.strip(),
    )
    if until is not None and until <= datetime.now(UTC):
        raise Reject(f"the permission ended on {until:%Y-%m-%d}", mend="name a day to come, or leave --until out")
    if unknown := [name for name in only_on if name not in platforms.names()]:
        raise Reject(f"there is no platform '{unknown[0]}'", mend=f"known: {', '.join(platforms.names())}")
    if narrate and script is None:
        raise Reject("--narrate needs the words to speak", mend="add --script FILE")
    _refuse_unusable(source)
    words = _words(script) if script else ""
    destination = _destination(settings, to)
    async with outside(settings) as (services, bus):
        key = url = None
        name = source.rsplit("/", 1)[-1]
        if "://" in source:
            url = source
            rights = msgspec.structs.replace(rights, source_url=rights.source_url or source)
        else:
            file = Path(source)
            key = await store_file(services, "imports", file)
            subtitles = subtitles or next(
                (found for end in SUBTITLES if (found := file.with_suffix(end)).is_file()), None
            )
        subtitles_key = await store_file(services, "imports", subtitles) if subtitles else None
        return await send(
            bus,
            ImportRequested(
                rights=rights,
                key=key,
                url=url,
                file_name=name,
                title=title,
                script=words,
                narrate=narrate,
                subtitles_key=subtitles_key,
                caption_style=style or "",
                destination=destination,
            ),
        )


async def post_video(
    settings: Settings,
    video: Path,
    *,
    platform: str,
    rights: RightsRecord,
    title: str = "",
    description: str = "",
    privacy: Privacy | None = None,
    publish_at: datetime | None = None,
    at_slot: bool = False,
    changes: tuple[str, ...] = (),
    account: str | None = None,
    options: tuple[str, ...] = (),
    paid: bool = False,
    own_brand: bool = False,
    for_children: bool = False,
    thumbnail: Path | None = None,
    subtitles: Path | None = None,
    language: str | None = None,
    probe: Probe | None = None,
) -> Event:
    """Store a finished video and ask for its post.

    Args: changes: what was done to the work, in words for its credit; empty: it is posted as it came; options: what
    one platform alone knows, each as NAME=VALUE; language: of words and subtitles, a tag; probe: what decoding shows of
    it, None: its form is judged later.
    Raises: Reject.
    """
    rights = msgspec.structs.replace(_credited(rights), changes=changes)
    refuse_unless_publishes(platform)
    if language is not None and language_tag(language) is None:
        raise Reject(f"'{language}' is no tag of a language", mend="write it as en, pt-BR or zh-Hant")
    destination = Destination(
        platform=platform,
        account_id=None if account is None else account_of(platform, account),
        privacy=privacy or settings.privacy,
        publish_at=publish_at,
        at_slot=at_slot,
        paid=paid,
        own_brand=own_brand,
        for_children=for_children,
        options=dict(_option(one) for one in options),
    )
    sha256 = await sha256_of(video)
    named = msgspec.structs.replace(rights, title=rights.title or title or video.stem)
    credit = attribution_text(named)
    asked = PostRequested(
        item_id=item_id("post", sha256),
        key=content_key("posts", sha256, video.suffix.lower()),
        rights=named,
        destination=destination,
        title=title or video.stem,
        description="\n\n".join(part for part in (description, credit) if part),
        language=language,
    )
    refuse_unfit(video, asked, probe)
    async with outside(settings) as (services, bus):
        dressed = msgspec.structs.replace(
            asked,
            key=await store_file(services, "posts", video, sha256=sha256),
            thumbnail_key=await store_file(services, "posts", thumbnail) if thumbnail else None,
            subtitles_key=await store_file(services, "posts", subtitles) if subtitles else None,
        )
        return await send(bus, dressed)


def account_of(platform: str, account: str) -> AccountId:
    """Return an account's id; `platform:` may be left out. Raises: Reject if it is another platform's."""
    named, colon, _ = account.partition(":")
    if colon and named in platforms.names() and named != platform:
        raise Reject(f"{account} is no {platform} account", mend="see `ettametta accounts list`")
    return AccountId(account if colon and named == platform else f"{platform}:{account}")


def _option(told: str) -> tuple[str, str]:
    name, equals, value = told.partition("=")
    if not equals or not name.strip():
        raise Reject(f"'{told}' is no option", mend="give it as NAME=VALUE; docs/publishing.md lists them")
    return name.strip(), value.strip()


def _credited(rights: RightsRecord) -> RightsRecord:
    """Refuse a licence that asks for a credit and gives nobody to name. Raises: Reject."""
    licence, author = LICENCES.get(rights.licence, LICENCES["unknown"]), (rights.author or "").strip()
    if author.casefold() == NOBODY:
        return msgspec.structs.replace(rights, author=None, note="The source names no author.")
    if licence.attribution and not author:
        raise Reject(
            f"{licence.title} asks that the author is named in the post",
            mend=f"add --author NAME, or --author {NOBODY} where the source names nobody",
        )
    return rights


def _refuse_unusable(source: str) -> None:
    """Say at once what could only be refused later. Raises: Reject."""
    if "://" in source:
        if not source.lower().startswith(("http://", "https://")):
            raise Reject(f"{source} is no address that can be fetched", mend="begin it with http:// or https://")
    elif not Path(source).is_file():
        raise Reject(f"there is no file {source}", mend="name a media file, or an address with http:// or https://")
    elif not Path(source).stat().st_size:
        raise Reject(f"{source} is empty", mend="name a media file")


def _words(script: Path) -> str:
    try:
        return script.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Reject(f"{script} is not text in UTF-8", mend="save it as UTF-8") from error


async def sha256_of(file: Path) -> str:
    """Return the hash of a file's content."""

    def digest() -> str:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()

    return await asyncio.to_thread(digest)


async def store_file(services: Services, prefix: str, file: Path, *, sha256: str | None = None) -> ObjectKey:
    """Store a file under the hash of its content and return its key. sha256: where it is known already."""
    key = content_key(prefix, sha256 or await sha256_of(file), file.suffix.lower())
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    await services.objects.put_file(key, file, content_type=kind)
    return key


def _destination(settings: Settings, to: str | None) -> Destination | None:
    platform = to or settings.destination
    if platform:
        refuse_unless_publishes(platform)
    return Destination(platform=platform, privacy=settings.privacy) if platform else None


def refuse_unless_publishes(platform: str) -> None:
    """Raises: Reject if the platform is not known, or takes no posts."""
    known = [name for name in platforms.names() if platforms.module(name).CAPS.publish]
    if platform not in known:
        raise Reject(f"'{platform}' cannot be posted to", mend=f"known: {', '.join(known)}")


def page_of(settings: Settings) -> str:
    """Return the address of the page of the system that runs on the data folder, else the configured one."""
    state = read_state(settings.data_dir)
    return ((state.urls.get("gateway") if state else None) or settings.public_url).rstrip("/")


async def system_status(settings: Settings) -> dict[str, Any]:
    """Ask the gateway. Raises: Reject if none answers."""
    url = page_of(settings)
    async with open_http(settings, Clock()) as http:
        try:
            answer = await http.request("GET", f"{url}/api/v1/status", deadline_s=DEADLINE_S)
        except EttamettaError as error:
            raise Reject(f"no gateway answers at {url}", mend="start `ettametta up`, or correct PUBLIC_URL") from error
    if answer.status != 200:
        raise Reject(f"the gateway answered {answer.status}: {answer.text[:200]}", mend="see its log")
    found: dict[str, Any] = answer.json()
    return found


def render_status(found: dict[str, Any]) -> str:
    """Return the status as text."""
    lines = ["items: " + (", ".join(f"{count} {stage}" for stage, count in found["stages"].items() if count) or "none")]
    lines += [f"not ready: {fault['because']}" for fault in found["readiness"]["reasons"]]
    for item in found["items"]:
        lines.append(f"  {item['stage']:<11} {item['title'][:70]}")
        lines += [
            f"              {line}"
            for post in (item["post"], *item["others"])
            if post is not None
            for line in _post_lines(post)
        ]
        if item["stopped"] is not None:
            lines.append(f"              stopped: {item['stopped']['because']}")
    if (more := sum(found["stages"].values()) - len(found["items"])) > 0:
        lines.append(f"  and {more} more, mostly works that were seen and not chosen: on the page, or with --json")
    lines += [
        f"account: {account['platform']} {account['title']} ({account['state']})" for account in found["accounts"]
    ]
    letters = found["dead_letters"]
    if letters:
        lines.append(f"dead letters: {len(letters)}; see `ettametta dead list`")
    return "\n".join(lines)


def _post_lines(post: dict[str, Any]) -> list[str]:
    told = [post["url"] or "", post["because"]] if post["state"] == "published" else [post["because"]]
    lines = [" ".join((f"{post['platform']}: {post['state']}", *(part for part in told if part)))]
    return [*lines, f"  next: {post['next_action']}"] if post["next_action"] else lines
