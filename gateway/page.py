"""The status page: one look tells what moves, what waits, what failed, and what is not known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from contracts.codec import EVENTS, type_of
from contracts.events import WorkRejected
from contracts.flow import ACTORS
from gateway.html import Child, Html, document, el
from gateway.overview import Overview
from gateway.page_accounts import Connectable, accounts_section
from gateway.page_items import item_row
from gateway.queues import ActorState
from gateway.views import GROUPS, DeadLetter, Progress
from gateway.words import count, empty, not_available, prose, when

__all__ = ["page"]

TASKS: Final = {
    "scanner": "Finds what is rising",
    "ranker": "Scores and chooses",
    "editor": "Fetches and plans",
    "renderer": "Makes the video",
    "publisher": "Posts it once",
    "tracker": "Measures it",
}
REACHED: Final = {
    "scanner": ("seen", "seen"),
    "ranker": ("chosen", "chosen"),
    "editor": ("planned", "planned"),
    "renderer": ("rendered", "rendered"),
    "publisher": ("posted", "posted"),
    "tracker": ("measured", "measured"),
}
STATES: Final = {"working": ("Working", "busy"), "idle": ("Idle", "good"), "absent": ("No process", "quiet")}
VIEWS: Final = {"videos": "Videos", "candidates": "Candidates", "attention": "Needs attention"}


def page(
    overview: Overview, *, view: str, connectables: Sequence[Connectable], connected: str | None, limit: int
) -> str:
    """Make the page. `connected`: name of the account that was connected just now."""
    now = overview.at
    return document(
        "ettametta",
        el("a", "Skip to the items", href="#items", class_="skip"),
        _header(overview),
        el(
            "main",
            el("p", f"{connected} is connected.", class_="banner", role="status") if connected else None,
            _readiness(overview),
            _flow(overview),
            _items(overview, view=view, limit=limit),
            accounts_section(overview.accounts, connectables, now=now),
            _dead_letters(overview, now=now),
        ),
        el(
            "footer",
            el(
                "p",
                "For programs: ",
                _links(
                    ("/api/v1/status", "status"),
                    ("/api/v1/events", "events"),
                    ("/readyz", "readiness"),
                    ("/metrics", "metrics"),
                ),
            ),
        ),
        el("p", class_="hidden", role="status", id="spoken"),
        data_events=" ".join(EVENTS),
        data_page="overview",
    )


def _header(overview: Overview) -> Html:
    ready = overview.readiness.ready
    return el(
        "header",
        el("h1", el("a", el("img", src="/static/icon.svg", alt="", width=24, height=24), "ettametta", href="/")),
        el(
            "form",
            el("label", "Scan a niche", for_="niche", class_="hidden"),
            el(
                "input",
                id="niche",
                name="niche",
                required=True,
                maxlength=200,
                autocomplete="off",
                placeholder="Niche to scan, such as deep sea",
            ),
            el("button", "Scan"),
            id="scan",
            action="/api/v1/scans",
            method="post",
        ),
        el(
            "p",
            el(
                "span",
                el("span", class_="dot", aria_hidden="true"),
                "Ready" if ready else "Not ready",
                class_=f"stage {'good' if ready else 'warn'}",
                id="ready",
                data_live=True,
            ),
            el("span", "Live updates need JavaScript", class_="meta", id="live"),
            class_="header-state",
        ),
    )


def _readiness(overview: Overview) -> Html:
    reasons = overview.readiness.reasons
    body = [
        el("h2", "Not ready"),
        el("ul", *(el("li", prose(reason.because)) for reason in reasons)),
    ]
    return el(
        "section",
        *(body if reasons else ()),
        id="readiness",
        class_="panel warning",
        hidden=not reasons,
        data_live=True,
    )


def _flow(overview: Overview) -> Html:
    states = {actor.name: actor for actor in overview.actors or ()}
    cells = [_cell(name, overview.progress, states.get(name), now=overview.at) for name in ACTORS]
    note = None
    if overview.actors is None:
        note = el("p", "What the actors do now: ", not_available(overview.absent["actors"]), class_="flow-note")
    elif absent := [name for name, state in states.items() if state.state == "absent"]:
        command = "ettametta up" if len(absent) == len(states) else f"ettametta run {absent[0]}"
        names = "any actor" if len(absent) == len(states) else f"the {', the '.join(absent)}"
        note = el("p", prose(f"No process of {names} is running. Start it with `{command}`"), class_="flow-note")
    retrying = [
        el(
            "li",
            f"{count(each.events)} {'event' if each.events == 1 else 'events'} of {each.consumer} failed and will be "
            f"tried again. Last error: {each.last_error}",
        )
        for each in overview.retrying
    ]
    return el(
        "section",
        el("h2", "The loop", id="flow-title", class_="hidden"),
        el("ol", *cells, class_="flow"),
        note,
        el("ul", *retrying, class_="flow-note") if retrying else None,
        id="flow",
        aria_labelledby="flow-title",
        data_live=True,
    )


def _cell(name: str, progress: Progress, actor: ActorState | None, *, now: datetime) -> Html:
    field, label = REACHED[name]
    word, tone = STATES[actor.state] if actor else ("Unknown", "quiet")
    gives = [type_of(kind) for kind in ACTORS[name].gives if kind is not WorkRejected]
    waiting = f"{count(actor.waiting)} waiting" if actor and actor.waiting else None
    last: Child = None
    if actor and actor.last_active_at:
        last = el("span", "Active ", when(actor.last_active_at, now=now))
    return el(
        "li",
        el("h3", name.capitalize()),
        el("p", TASKS[name], class_="meta"),
        el("p", el("span", count(getattr(progress, field)), class_="figure"), " ", label, class_="reached"),
        el(
            "p",
            el("span", el("span", class_="dot", aria_hidden="true"), word, class_=f"stage {tone}"),
            el("span", waiting, class_="waiting") if waiting else None,
            class_="state",
        ),
        el("p", last or "No activity yet", class_="meta activity"),
        data_actor=name,
        data_gives=" ".join(gives),
    )


def _items(overview: Overview, *, view: str, limit: int) -> Html:
    counts = {name: sum(overview.stages.get(stage, 0) for stage in stages) for name, stages in GROUPS.items()}
    tabs = [
        el(
            "a",
            VIEWS[name],
            el("span", count(counts[name]), class_="number"),
            href=f"/?view={name}#items" if name != "videos" else "/#items",
            aria_current="page" if name == view else None,
        )
        for name in VIEWS
    ]
    total = counts[view]
    more = None
    if total > len(overview.items):
        shown = f"The last {len(overview.items)} of {count(total)} are shown."
        more = el(
            "p",
            shown,
            " ",
            el("a", "Show more", href=f"/?view={view}&limit={min(limit * 4, 200)}#items") if limit < 200 else None,
            class_="meta more",
        )
    head = el(
        "div",
        *(el("span", name) for name in ("Item", "Where it is", "Score", "Post and numbers")),
        class_="items-head",
        aria_hidden="true",
    )
    body: Child = el("ol", *(item_row(item, now=overview.at) for item in overview.items), class_="items")
    return el(
        "section",
        el("h2", "Items", class_="hidden"),
        el("nav", *tabs, class_="tabs", aria_label="Items"),
        *((head, body) if overview.items else (_no_items(view, counts),)),
        more,
        id="items",
        data_live=True,
    )


def _no_items(view: str, counts: dict[str, int]) -> Html:
    if view == "attention":
        return empty("Nothing needs you", "Items that stop, fail or stay unconfirmed are listed here with the reason.")
    if view == "candidates":
        return empty("No candidates yet", "Scan a niche above: every work that a scan sees is listed here, scored.")
    if counts["candidates"]:
        seen = (
            "1 candidate was seen"
            if counts["candidates"] == 1
            else f"{count(counts['candidates'])} candidates were seen"
        )
        return empty(
            "No video yet",
            f"{seen}, and none is chosen so far. ",
            el("a", "See the candidates and why", href="/?view=candidates#items"),
            ".",
        )
    return empty(
        "No video yet",
        "Scan a niche above, or bring in a file of your own:",
        command='ettametta import talk.mp4 --licence owned --attest "I recorded it myself"',
    )


def _dead_letters(overview: Overview, *, now: datetime) -> Html:
    letters = overview.dead_letters
    total = sum(overview.dead_letter_counts.values())
    body: Child = empty("None", "What is rejected, or fails too often, is kept here with its event and its reason.")
    if letters:
        body = el("ul", *(_dead_letter(letter, now=now) for letter in letters), class_="rows")
    more = (
        f"The newest {len(letters)} of {count(total)} are shown; ettametta dead list has all."
        if total > len(letters)
        else None
    )
    return el(
        "section",
        el("h2", "Rejected and dead letters"),
        body,
        el("p", more, class_="meta more") if more else None,
        id="dead-letters",
        data_live=True,
    )


def _dead_letter(letter: DeadLetter, *, now: datetime) -> Html:
    word = "Rejected" if letter.kind == "rejected" else f"Given up after {letter.failures} failures"
    return el(
        "li",
        el("h3", letter.title or letter.subject.removeprefix("ett.")),
        el(
            "p",
            el("span", class_="dot", aria_hidden="true"),
            word,
            class_=f"stage {'warn' if letter.kind == 'rejected' else 'bad'}",
        ),
        el("p", prose(letter.error), class_="because"),
        el("p", f"By {letter.consumer}, ", when(letter.created_at, now=now), class_="meta"),
        el("p", el("code", f"ettametta dead show {letter.id}"), class_="meta"),
        data_key=str(letter.id),
        data_rev="1",
    )


def _links(*pairs: tuple[str, str]) -> list[Child]:
    parts: list[Child] = []
    for address, name in pairs:
        parts += [el("a", name, href=address), " "]
    return parts
