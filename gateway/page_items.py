"""The list of items on the status page."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from contracts.platform import Metrics
from gateway.html import Child, Html, el, fragment
from gateway.views import STAGES, Item, Post, Render, Stage
from gateway.words import age, bytes_, clock_time, count, not_available, platform_title, prose, span, when

__all__ = ["item_row"]

TONES: Final[dict[Stage, str]] = {
    "found": "quiet",
    "passed": "quiet",
    "editing": "busy",
    "rendering": "busy",
    "kept": "good",
    "scheduled": "quiet",
    "waiting": "warn",
    "publishing": "busy",
    "unconfirmed": "warn",
    "failed": "bad",
    "published": "good",
    "measured": "good",
    "removed": "bad",
    "dropped": "quiet",
    "stopped": "bad",
}
COUNTED: Final = ("views", "likes", "comments", "shares")


def item_row(item: Item, *, now: datetime) -> Html:
    """Make one item: a line that tells where it is, and details to unfold."""
    return el(
        "li",
        el(
            "article",
            el("div", _thumbnail(item), class_="item-thumb"),
            el("div", _heading(item), class_="item-title"),
            el("div", *_stage(item, now=now), class_="item-stage"),
            el("div", *_score(item), class_="item-score"),
            el("div", *_post(item), class_="item-post"),
            _note(item),
            el(
                "details",
                el("summary", "Details", el("span", f" of {item.title}", class_="hidden")),
                el("div", *_details(item, now=now), class_="item-details"),
            ),
            class_="item",
        ),
        data_key=item.item_id,
        data_rev=hashlib.sha256(msgspec.json.encode(item)).hexdigest()[:16],
    )


def _thumbnail(item: Item) -> Child:
    """Show a picture of the video. Words lie behind that of an own file: a browser may not be able to show it."""
    if item.render is not None:
        if item.render.media_url is not None:
            return _still(item.render.media_url)
    elif item.post is not None:
        return [el("span", "own file"), _still(item.post.file_url) if item.post.file_url else None]
    return el("span", "no video yet" if item.stage in {"found", "editing", "rendering"} else "no video")


def _still(media_url: str) -> Html:
    return el(
        "video",
        src=f"{media_url}#t=0.5",
        preload="metadata",
        muted=True,
        playsinline=True,
        tabindex="-1",
        aria_hidden="true",
        disablepictureinpicture=True,
    )


def _heading(item: Item) -> list[Child]:
    named = _link(item.title, item.url) if item.url else item.title
    source = [platform_title(item.platform) if item.origin == "scan" else "Imported", item.creator, item.niche]
    rights = item.rights
    title = rights.title if rights.licence != "unknown" else "Licence unknown"
    licence: Child = _link(title, rights.url) if rights.url else title
    return [
        el("h3", named),
        el("p", " · ".join(part for part in source if part), class_="meta"),
        el(
            "p",
            el("span", licence, class_="licence" if rights.licence != "unknown" else "licence unknown"),
            el("span", rights.attribution, class_="credit") if rights.attribution else None,
            class_="meta rights",
        ),
    ]


def _stage(item: Item, *, now: datetime) -> list[Child]:
    parts: list[Child] = [
        el("p", el("span", class_="dot", aria_hidden="true"), STAGES[item.stage], class_=f"stage {TONES[item.stage]}")
    ]
    if item.stage == "rendering" and item.render is not None:
        parts.append(_progress(item.render))
    parts.append(el("p", when(item.changed_at, now=now), class_="meta"))
    return parts


def _note(item: Item) -> Html | None:
    """Say why it stands where it stands, and what to do."""
    post = item.post
    if item.stopped is not None:
        return el("p", prose(item.stopped.because), class_="item-note bad-text")
    if post is not None and (post.because or post.next_action):
        return el("p", prose(post.because), " ", _to_do(post.next_action), class_="item-note")
    if item.decided_because and item.stage in {"passed", "found"}:
        return el("p", prose(item.decided_because), class_="item-note meta")
    return None


def _to_do(next_action: str) -> Child:
    """Say what to do, standing out; what begins with "none" asks for nothing."""
    if not next_action.startswith("none"):
        return el("strong", prose(next_action)) if next_action else None
    return prose(next_action.removeprefix("none").lstrip(":;, "))


def _progress(render: Render) -> Html:
    total = render.frames_total
    label = f"{count(render.frames_done)} of {count(total)} frames" if total else "starting"
    if render.eta_s:
        label += f", {span(render.eta_s)} left"
    return el(
        "div",
        el("progress", max=total or 1, value=render.frames_done if total else None, aria_label="Rendering"),
        el("span", label, class_="meta number"),
        class_="progress",
        data_plan=render.plan_id,
    )


def _score(item: Item) -> list[Child]:
    if item.score is None:
        return [el("p", el("span", "Score", class_="label")), el("p", not_available(item.absent["score"]))]
    return [
        el("p", el("span", "Score", class_="label"), el("span", f"{item.score:.0f}", class_="figure")),
        el("meter", f"{item.score:.0f} of 100", min=0, max=100, value=f"{item.score:.1f}", aria_label="Score of 100"),
    ]


def _post(item: Item) -> list[Child]:
    post = item.post
    if post is None:
        return [el("p", el("span", "Post", class_="label")), el("p", not_available(item.absent["post"]))]
    name = platform_title(post.platform)
    head: Child = _link(f"Open on {name}", post.url) if post.url else f"{name}: {post.state}"
    parts: list[Child] = [el("p", el("span", "Post", class_="label"), head, _privacy(post))]
    if post.measurement is None:
        return [*parts, el("p", not_available(item.absent["numbers"])), *_also(item)]
    metrics = post.measurement.metrics
    known = [f"{count(value)} {name}" for name in COUNTED if (value := getattr(metrics, name)) is not None]
    if known:
        parts.append(el("p", ", ".join(known[:2]), class_="numbers number"))
    else:
        parts.append(el("p", not_available(_why(metrics, "views"))))
    return [*parts, el("p", age(post.measurement.age_s), class_="meta"), *_also(item)]


def _also(item: Item) -> list[Child]:
    """Name the other posts of the item, with what is not well about them."""
    shown: list[Child] = []
    for other in item.others:
        name = platform_title(other.platform)
        well = other.state == "published" and other.url is not None
        shown += [", " if shown else "Also: ", _link(name, other.url) if well else f"{name} ({other.state})"]
    return [el("p", *shown, class_="meta also")] if shown else []


def _privacy(post: Post) -> Child:
    return el("span", post.privacy, class_="tag") if post.privacy else None


def _details(item: Item, *, now: datetime) -> list[Child]:
    return [
        el("div", _player(item), class_="detail-player"),
        el(
            "div",
            _section("Why this score", _reasons(item)),
            _section("Steps", _steps(item)),
            _section("Rights", _rights(item)),
            _section("Video", _video(item)),
            _section("Post", _post_facts(item, now=now)),
            _section("Numbers", _numbers(item)),
            _section("Other posts", _others(item)) if item.others else None,
            el(
                "p",
                "Item ",
                el("code", item.item_id),
                ". Everything about it as ",
                el("a", "JSON", href=f"/api/v1/items/{quote(item.item_id, safe='')}"),
                ".",
                class_="meta",
            ),
            class_="detail-text",
        ),
    ]


def _section(title: str, body: Child) -> Html:
    return el("section", el("h4", title), body)


def _player(item: Item) -> Child:
    own = item.post.file_url if item.post is not None else None
    shown = item.render.media_url if item.render is not None else own
    if shown is None:
        return el("p", not_available(item.absent["rendition"]))
    return el(
        "video",
        src=shown,
        preload="none",
        controls=True,
        playsinline=True,
        aria_label=f"Finished video of {item.title}",
    )


def _reasons(item: Item) -> Child:
    if not item.reasons:
        because = item.absent.get("score", "no reasons were recorded with it")
        return el("p", not_available(because))
    rows = [
        el(
            "tr",
            el("th", reason.signal.replace("_", " "), scope="row"),
            el("td", reason.because),
            el("td", f"{reason.points:+.1f}", class_="number"),
        )
        for reason in item.reasons
    ]
    total = el("tr", el("th", "Score", scope="row"), el("td", item.decided_because), _total(item), class_="total")
    head = el("thead", el("tr", *(el("th", name, scope="col") for name in ("Signal", "Because", "Points"))))
    return el("table", head, el("tbody", *rows, total), class_="reasons")


def _total(item: Item) -> Html:
    return el("td", "" if item.score is None else f"{item.score:.1f}", class_="number")


def _steps(item: Item) -> Html:
    times = item.times
    named = (
        ("Found" if item.origin == "scan" else "Imported", times.found_at),
        ("Decided", times.decided_at if item.origin == "scan" else None),
        ("Source stored", times.stored_at),
        ("Rendering began", times.render_started_at),
        ("Rendered and checked", times.rendered_at),
        ("Post intended", times.post_intended_at),
        ("Published", times.published_at),
        ("Last measured", times.measured_at),
    )
    rows = []
    before: datetime | None = None
    for name, at in named:
        if at is None:
            continue
        after = "" if before is None or at < before else f"+{span((at - before).total_seconds())}"
        shown = el("time", clock_time(at), datetime=at.isoformat())
        rows.append(el("li", el("span", name), shown, el("span", after, class_="number meta")))
        before = at
    return el("ol", *rows, class_="steps")


def _facts(*pairs: tuple[str, Child]) -> Html:
    shown = [fragment(el("dt", name), el("dd", value)) for name, value in pairs if value not in (None, "")]
    return el("dl", *shown)


def _rights(item: Item) -> Html:
    record = item.rights.record
    read = f"Read on {clock_time(record.read_at)}" if record.read_at else None
    attested = f"{record.attested_by}: {record.attestation}" if record.attested_by else None
    return _facts(
        ("Licence", _link(item.rights.title, item.rights.url) if item.rights.url else item.rights.title),
        ("Credit in the post", item.rights.attribution or "None is asked for"),
        ("Author", record.author),
        ("Stated as", record.proof),
        ("Source", _link(record.source_url, record.source_url) if record.source_url else None),
        ("Checked", read),
        ("Attested by", attested),
        ("Note", record.note),
    )


def _video(item: Item) -> Html:
    made = item.render.rendition if item.render else None
    if made is None:
        return el("p", not_available(item.absent["rendition"]))
    return _facts(
        (
            "Picture",
            f"{made.width_px} × {made.height_px} px, {made.duration_us / 1e6:.1f} s, {count(made.frames)} frames",
        ),
        ("Sound", "Yes" if made.has_audio else "None"),
        ("File", f"{bytes_(made.size_bytes)}"),
        ("Made by", made.engine),
        ("SHA-256", el("code", made.sha256)),
    )


def _post_facts(item: Item, *, now: datetime) -> Html:
    post = item.post
    if post is None:
        return el("p", not_available(item.absent["post"]))
    return _facts(
        ("State", post.state.capitalize()),
        ("Because", prose(post.because) if post.because else None),
        ("What to do", _to_do(post.next_action)),
        ("Account", post.account_id or not_available("none was chosen yet")),
        ("Address", _link(post.url, post.url) if post.url else not_available("the platform has not confirmed it")),
        ("Seen by", post.privacy or not_available("the platform has not told")),
        ("Next measurement", when_due(post.next_measurement_at, now=now)),
    )


def _others(item: Item) -> Html:
    return _facts(
        *(
            (
                platform_title(other.platform),
                [
                    _link(other.state.capitalize(), other.url),
                    f" · {other.account_id}" if other.account_id else None,
                    el("br") if other.because else None,
                    prose(other.because) if other.because else None,
                ],
            )
            for other in item.others
        )
    )


def when_due(moment: datetime | None, *, now: datetime) -> Child:
    if moment is None:
        return None
    wait_s = (moment - now).total_seconds()
    return f"{clock_time(moment)}, {'now' if wait_s <= 0 else f'in {span(wait_s)}'}"


def _numbers(item: Item) -> Html:
    taken = item.post.measurement if item.post else None
    if taken is None:
        return el("p", not_available(item.absent["numbers"]))
    pairs: list[tuple[str, Child]] = []
    for name in COUNTED:
        value = getattr(taken.metrics, name)
        shown: Child = not_available(_why(taken.metrics, name)) if value is None else count(value)
        pairs.append((name.capitalize(), shown))
    return _facts(*pairs, ("Measured", f"{clock_time(taken.measured_at)}, {age(taken.age_s)}"))


def _why(metrics: Metrics, name: str) -> str:
    return metrics.absent.get(name, "the platform did not give it")


def _link(text: str | None, address: str | None) -> Child:
    """Link out, but only to the web: addresses come from strangers."""
    if address is None or urlsplit(address).scheme not in {"http", "https"}:
        return text
    return el("a", text, href=address, rel="noreferrer noopener")
