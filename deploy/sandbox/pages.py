"""HTML of the sandbox: the front page, a video's page, Google's consent page, notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from aiohttp import web

from deploy.sandbox.context import rfc3339

__all__ = ["PAGE_FOLDER", "consent", "front", "html", "listed_item", "notice", "oauth_error", "watch"]

PAGE_FOLDER = Path(__file__).with_name("page")
_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def html(text: str, *, status: int = 200) -> web.Response:
    """Answer with a page that loads nothing from outside and cannot be framed."""
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def _page(title: str, body: str, *, attributes: str = "", live: bool = False) -> str:
    script = '<script src="/sandbox/page.js" defer></script>' if live else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/sandbox/page.css">'
        f'<link rel="icon" href="/sandbox/channel.svg">{script}</head><body{attributes}>{body}</body></html>'
    )


def _top(title: str, aside: str = "") -> str:
    return f'<header class="top"><div><h1><a href="/">{escape(title)}</a></h1>{aside}</div></header>'


def front(state: Mapping[str, Any], places: Mapping[str, Sequence[str]], kinds: Sequence[str]) -> str:
    """The page at /: what was posted, what is listed, which faults are set."""
    videos = list(reversed(state["videos"]))
    open_sessions = [session for session in state["sessions"] if session["state"] == "open"]
    cards = "".join(_card(video) for video in videos)
    posted = f'<div class="cards">{cards}</div>' if cards else _empty("Nothing has been posted yet.")
    now = escape(str(state["now"]).replace("T", " ").replace("Z", " UTC"))
    aside = f'<span class="soft small">imitated platforms on this machine; nothing here leaves it · {now}</span>'
    pace = f'<p class="soft small">For views and likes, one second here counts as {state["time_scale"]:,g}.</p>'
    elsewhere = list(reversed(state["posted"]))
    body = (
        _top("Sandbox platforms", aside)
        + "<main>"
        + _heading("Posted", len(videos))
        + (pace if cards else "")
        + posted
        + (_heading("Posted elsewhere", len(elsewhere)) + _elsewhere(elsewhere) if elsewhere else "")
        + (_heading("Uploads under way", len(open_sessions)) + _sessions(open_sessions) if open_sessions else "")
        + _heading("Listed", len(state["archive"]) + len(state["commons"]))
        + _listings(state)
        + _heading("Faults", len(state["faults"]))
        + _faults(state["faults"], places, kinds)
        + _heading("Calls", sum(state["calls"].values()))
        + _calls(state)
        + "<footer>The same as JSON: <a href='/sandbox/state'><code>/sandbox/state</code></a></footer></main>"
    )
    return _page("Sandbox platforms", body, attributes=f' data-videos="{len(videos)}"', live=True)


def _heading(title: str, count: int) -> str:
    return f'<h2>{escape(title)} <span class="count">{count:,}</span></h2>'


def _empty(words: str) -> str:
    return f'<div class="empty">{words}</div>'


def _counts(video: Mapping[str, Any]) -> str:
    cells = "".join(
        f'<span><b data-video="{escape(video["id"])}" data-count="{name}">{video[name]:,}</b>'
        f'<span class="soft small">{name}</span></span>'
        for name in ("views", "likes", "comments")
    )
    return f'<div class="numbers">{cells}</div>'


def _badges(video: Mapping[str, Any]) -> str:
    tone = {"processed": "good", "failed": "bad"}.get(video["upload_status"], "warn")
    marks = [f'<span class="badge">{escape(video["privacy"])}</span>']
    marks.append(f'<span class="badge {tone}">{escape(video["upload_status"])}</span>')
    if video["publish_at"]:
        marks.append(f'<span class="badge warn">public at {escape(video["publish_at"])}</span>')
    if video["license"] == "creativeCommon":
        marks.append('<span class="badge">Creative Commons</span>')
    if video["synthetic"]:
        marks.append('<span class="badge">altered or synthetic</span>')
    marks += [f'<span class="badge">#{escape(tag)}</span>' for tag in video["tags"]]
    return f'<div class="row">{"".join(marks)}</div>'


def _player(video: Mapping[str, Any]) -> str:
    key = escape(video["id"])
    poster = f' poster="/vi/{key}/hqdefault.jpg"' if video["upload_status"] != "failed" else ""
    return f'<video controls preload="metadata"{poster} src="/sandbox/media/{key}"></video>'


def _card(video: Mapping[str, Any]) -> str:
    size = f"{video['size_bytes'] / 1e6:,.1f} MB"
    return (
        f'<article class="card">{_player(video)}<div class="words">'
        f'<h3><a href="/watch?v={escape(video["id"])}">{escape(video["title"])}</a></h3>'
        f'<p class="soft small clip">{escape(video["description"]) or "No description"}</p>'
        f"{_badges(video)}{_counts(video)}"
        f'<span class="soft small">{escape(video["created_at"])} · {size} · <code>{escape(video["id"])}</code></span>'
        "</div></article>"
    )


def watch(video: Mapping[str, Any]) -> str:
    """One video's page."""
    body = (
        _top("Sandbox platforms")
        + f'<main><div class="stage">{_player(video)}<div class="words"><h3>{escape(video["title"])}</h3>'
        + f"{_badges(video)}{_counts(video)}"
        + f"<p>{escape(video['description'])}</p>"
        + f'<span class="soft small">SHA-256 <code>{escape(video["sha256"])}</code></span></div></div></main>'
    )
    return _page(video["title"], body, live=True)


def _elsewhere(posts: Sequence[Mapping[str, Any]]) -> str:
    """Return the posts on platforms without a page of their own here."""
    rows = []
    for post in posts:
        what = "<br>".join(escape(post[part]) for part in ("title", "text") if post[part])
        state = ": ".join(escape(post[part]) for part in ("state", "because") if post[part])
        size = f'<span class="soft small">{escape(post["privacy"])} · {post["size_bytes"]:,} bytes</span>'
        when = rfc3339(post["created_at"]).replace("T", " ").replace("Z", " UTC")
        rows.append(
            (f"<b>{escape(post['platform'])}</b><br>{escape(post['account'])}", what, f"{state}<br>{size}", when)
        )
    return _table(("Where", "What", "State", "When"), rows)


def _sessions(sessions: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            escape(session["title"]),
            f"{session['received_bytes']:,} of {session['total_bytes'] or 0:,} bytes",
            escape(session["created_at"]),
        )
        for session in sessions
    ]
    return _table(("Title", "Stored", "Begun"), rows)


def _listings(state: Mapping[str, Any]) -> str:
    rows = [
        (
            f'<a href="/details/{escape(item["identifier"])}">{escape(item["title"])}</a>',
            "Internet Archive",
            _licence(item["licenseurl"]),
            f"{item['downloads']:,}",
        )
        for item in state["archive"]
    ]
    rows += [
        (
            f'<a href="/wiki/{escape(page["title"].replace(" ", "_"))}">{escape(page["title"])}</a>',
            "Wikimedia Commons",
            _licence(page["license"]),
            "",
        )
        for page in state["commons"]
    ]
    return _table(("Title", "Where", "Licence", "Downloads"), rows) if rows else _empty("Nothing is listed yet.")


def _licence(text: str) -> str:
    return escape(text) if text else '<span class="badge warn">none stated</span>'


def _faults(faults: Sequence[Mapping[str, Any]], places: Mapping[str, Sequence[str]], kinds: Sequence[str]) -> str:
    rows = [
        (
            f"<code>{escape(fault['where'])}</code>",
            escape(fault["kind"]) + (f" {fault['status']}" if fault["kind"] == "status" else ""),
            "until cleared" if fault["times"] is None else f"{fault['times']} more",
            f'<form method="post" action="/sandbox/faults/{fault["id"]}/clear"><button>Clear</button></form>',
        )
        for fault in faults
    ]
    wheres = "".join(f"<option>{escape(place)}</option>" for place in sorted(places))
    choices = "".join(f"<option>{escape(kind)}</option>" for kind in kinds)
    form = (
        '<form class="line" method="post" action="/sandbox/faults">'
        f'<label>Where<select name="where">{wheres}</select></label>'
        f'<label>What happens<select name="kind">{choices}</select></label>'
        '<label>Status code<input type="number" name="status" min="200" max="599" placeholder="503"></label>'
        '<label>Times<input type="number" name="times" min="1" value="1"></label>'
        '<button class="main">Set fault</button></form>'
    )
    return form + (_table(("Where", "What happens", "Left", ""), rows) if rows else _empty("No fault is set."))


def _calls(state: Mapping[str, Any]) -> str:
    rows = [(f"<code>{escape(place)}</code>", f"{count:,}") for place, count in state["calls"].items()]
    quota = " · ".join(
        f"{escape(name)} {state['quota']['spent'].get(name, 0):,} of {limit:,}"
        for name, limit in state["quota"]["limits"].items()
    )
    words = f'<p class="soft small">YouTube quota today: {quota}</p>'
    return words + (_table(("Place", "Calls"), rows) if rows else _empty("No client has called yet."))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'


def consent(platform: str, account: str, client_id: str, scopes: Sequence[tuple[str, str, bool]]) -> str:
    """A platform's consent page; its buttons post to the address that it was opened at.

    Args: account: who is signed in, to be changed by people; scopes: name, what it allows, whether it may be unticked.
    """
    lines = "".join(
        f'<label class="tick">{_tick(scope) if free else "<span>•</span>"}'
        f"<span>{escape(title)}<br><code class='soft'>{escape(scope)}</code></span></label>"
        for scope, title, free in scopes
    )
    granular = '<input type="hidden" name="granular" value="true">' if any(free for _, _, free in scopes) else ""
    body = (
        '<main><form class="narrow" method="post">'
        f'<p class="soft small">{escape(platform)} in the sandbox</p>'
        "<h1>An app wants to use your account</h1>"
        f'<p class="soft small">It is registered here as <code>{escape(client_id)}</code>.</p>'
        f'<label class="field">Signed in as<input type="text" name="account" value="{escape(account)}" required '
        'pattern="[A-Za-z0-9._@\\-]{1,60}" autocomplete="off" spellcheck="false"></label>'
        '<p class="soft small">No real account is involved. Another name is another account.</p>'
        f"{granular}{lines}"
        '<div class="row buttons"><button class="main" name="decision" value="allow">Allow</button>'
        '<button name="decision" value="deny">Deny</button></div></form></main>'
    )
    return _page(f"Allow access? {platform} in the sandbox", body)


def _tick(scope: str) -> str:
    return f'<input type="checkbox" name="granted" value="{escape(scope)}" checked>'


def oauth_error(status: int, error: str, words: str) -> str:
    """Google's page for an authorization request that cannot be answered by a redirect."""
    return notice("Access blocked: Authorization Error", words, f"Error {status}: {error}")


def notice(title: str, words: str, code: str = "") -> str:
    detail = f"<p><code>{escape(code)}</code></p>" if code else ""
    return _page(
        title, f'<main><div class="narrow"><h1>{escape(title)}</h1><p>{escape(words)}</p>{detail}</div></main>'
    )


def listed_item(metadata: Mapping[str, Any], media: str, where: str) -> str:
    """The page of a listed item: its media and what is stated about it."""
    title = str(metadata.get("title", "Untitled"))
    rows = [(escape(str(name)), escape(_plain(value))) for name, value in metadata.items()]
    body = (
        _top("Sandbox platforms", f'<span class="soft small">{escape(where)}</span>')
        + f'<main><div class="stage"><video controls preload="metadata" src="{escape(media)}"></video>'
        + f'<div class="words"><h3>{escape(title)}</h3></div></div>{_table(("Field", "Value"), rows)}</main>'
    )
    return _page(title, body)


def _plain(value: Any) -> str:
    return ", ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)
