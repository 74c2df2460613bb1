"""The gateway's pure parts: markup, readiness, what is said of unknown values, live streams."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import Reject
from contracts.flow import ACTORS, consumers_of
from contracts.rights import RightsRecord
from gateway.html import Html, el
from gateway.live import KEPT, KEPT_BYTES, Hub
from gateway.overview import Overview
from gateway.page import page
from gateway.page_items import item_row
from gateway.queues import Queue, actor_states
from gateway.readiness import Fault, Late, Readiness, judge
from gateway.rows import MOST_SHOWN_BYTES, item_of
from gateway.views import GROUPS, STAGES, Item, Progress
from gateway.web import Problem, page_of
from gateway.words import span

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
STATIC = Path(__file__).parents[2] / "gateway" / "static"
RIGHTS = RightsRecord(licence="CC-BY-4.0", title="Reef", author="A. Diver", source_url="https://example.org/reef")

COLUMNS = (
    "platform",
    "url",
    "niche",
    "score",
    "reasons",
    "decided_at",
    "destination",
    "creator",
    "plan_id",
    "rendition",
    "started_at",
    "frames_done",
    "frames_total",
    "eta_s",
    "eta_because",
    "told_at",
    "finished_at",
    "stored_at",
    "post_id",
    "post_platform",
    "account_id",
    "post_state",
    "post_because",
    "next_action",
    "post_url",
    "privacy",
    "description",
    "intent_at",
    "published_at",
    "object_key",
    "size_bytes",
    "bucket",
    "measured_at",
    "age_s",
    "views",
    "likes",
    "comments",
    "shares",
    "absent",
    "stopped_because",
    "stopped_by",
    "stopped_at",
    "dead_letter",
    "due_at",
)


def row(**changes: Any) -> dict[str, Any]:
    """Return the database row of a candidate that was only found, with `changes`."""
    plain: dict[str, Any] = dict.fromkeys(COLUMNS)
    rights = {"licence": RIGHTS.licence, "title": RIGHTS.title, "author": RIGHTS.author}
    plain |= {
        "item_id": "internet_archive:reef",
        "correlation_id": "c1",
        "origin": "scan",
        "title": "Reef",
        "rights": rights,
        "decision": "found",
        "decided_because": "",
        "first_seen_at": NOW - timedelta(minutes=3),
        "changed_at": NOW,
        "stage": "found",
    }
    return plain | changes


POSTED = {
    "decision": "selected",
    "stage": "published",
    "plan_id": "p1",
    "frames_done": 900,
    "post_id": "post-1",
    "post_platform": "youtube",
    "post_state": "published",
    "post_because": "",
    "next_action": "",
}


def queue(**changes: Any) -> Queue:
    plain: dict[str, Any] = {
        "name": "renderer-render-requested",
        "actor": "renderer",
        "waiting": 0,
        "in_work": 0,
        "pulling": 1,
        "waiting_since": None,
        "last_active_at": None,
    }
    return Queue(**(plain | changes))


def overview(*items: Item, readiness: Readiness | None = None, **changes: Any) -> Overview:
    plain: dict[str, Any] = {
        "at": NOW,
        "readiness": readiness or Readiness(ready=True, reasons=(), checked_at=NOW),
        "progress": Progress(seen=0, chosen=0, planned=0, rendered=0, posted=0, measured=0),
        "stages": dict.fromkeys(STAGES, 0),
        "actors": actor_states([], seen_at={}, now=NOW),
        "items": items,
        "accounts": (),
        "dead_letters": (),
        "dead_letter_counts": {},
        "retrying": (),
        "outbox": {},
    }
    return Overview(**(plain | changes))


def shown(state: Overview, *, view: str = "videos") -> str:
    return page(state, view=view, connectables=(), connected=None, limit=50)


def words_of(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup))


def test_everything_is_escaped() -> None:
    """A title written by a stranger must never run in the operator's browser."""
    hostile = '"><script>alert(1)</script>'
    made = el("p", hostile, ["a", None, 3, Html("<b>x</b>")], title=hostile)
    assert made.count("<script") == 0
    assert made.endswith("a3<b>x</b></p>")
    item = item_of(row(title=hostile, url="javascript:alert(1)", creator=hostile, niche=hostile), now=NOW)
    markup = item_row(item, now=NOW)
    assert "<script" not in markup
    assert "javascript:" not in markup


def test_pages_need_nothing_inline_and_nothing_from_outside() -> None:
    """The content security policy blocks inline code and other hosts: a page that needs them would be broken."""
    markup = shown(overview(item_of(row(), now=NOW)))
    markup += page_of(Problem(400, "Wrong", detail="d", mend="m"))
    assert not re.search(r"<style|style=|<script(?![^>]* src=\"/static/)|\son\w+=", markup)
    assert not re.search(r"<(?:script|link|img|video)[^>]*(?:src|href)=\"(?!/)", markup)
    for file in STATIC.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", file.read_text(encoding="utf-8")), file.name


def test_the_script_finds_what_it_looks_for() -> None:
    """The script addresses parts of the page by id; a renamed id would stop live updates without any error."""
    markup = shown(overview())
    script = (STATIC / "script.js").read_text(encoding="utf-8")
    for name in set(re.findall(r'getElementById\("(\w+)"\)', script)) - {"told"}:
        assert f'id="{name}"' in markup, name
    for live in re.findall(r"<[^>]*data-live[^>]*>", markup):
        assert 'id="' in live


@pytest.mark.parametrize(
    ("told", "eta_s", "because"),
    [
        ({"eta_s": 150.0, "eta_because": "", "told_at": NOW}, 150.0, ""),
        ({"eta_because": "no frame is encoded yet", "told_at": NOW}, None, "no frame is encoded yet"),
        (
            {"eta_s": 150.0, "eta_because": "", "told_at": NOW - timedelta(minutes=2)},
            None,
            "no renderer has told of it for a while",
        ),
    ],
)
def test_the_time_left_is_shown_while_it_is_known(told: dict[str, Any], eta_s: float | None, because: str) -> None:
    """A render whose renderers are gone would be three minutes from its end for ever."""
    item = item_of(row(stage="rendering", plan_id="p", frames_done=75, frames_total=150, **told), now=NOW)
    assert item.render is not None
    assert (item.render.eta_s, item.render.eta_because) == (eta_s, because)
    assert ("2 min left" in words_of(item_row(item, now=NOW))) == (eta_s is not None)


@pytest.mark.parametrize(
    ("changes", "field", "because"),
    [
        ({}, "score", "it is not ranked yet"),
        ({"origin": "import", "decision": "imported", "stage": "editing"}, "score", "imports are not scored"),
        ({"stage": "rendering", "plan_id": "p", "frames_done": 0}, "rendition", "it is being rendered"),
        ({"stage": "passed"}, "post", "it was passed over"),
        ({"stage": "kept"}, "post", "no destination was named, so it is kept here"),
        (POSTED, "numbers", "the tracker has not planned a measurement yet"),
        (POSTED | {"due_at": NOW + timedelta(minutes=9)}, "numbers", "the first measurement is due in 9 min"),
        (POSTED | {"due_at": NOW}, "numbers", "the first measurement is due now"),
        (POSTED | {"post_state": "failed", "stage": "failed"}, "numbers", "it was not posted"),
        (
            POSTED | {"post_state": "unconfirmed", "stage": "unconfirmed"},
            "numbers",
            "the platform has not confirmed the post",
        ),
    ],
)
def test_unknown_values_say_why(changes: dict[str, Any], field: str, because: str) -> None:
    """An operator who sees no number must learn whether to wait, to act, or that there will never be one."""
    item = item_of(row(**changes), now=NOW)
    assert item.absent[field] == because
    assert f"Not available, because {because}" in words_of(item_row(item, now=NOW))


def test_unknown_is_never_shown_as_zero() -> None:
    """A count that the platform withheld must not look like a count of nothing, nor a true zero like a gap."""
    measured = POSTED | {
        "stage": "measured",
        "bucket": 0,
        "measured_at": NOW,
        "age_s": 600,
        "views": 0,
        "likes": None,
        "absent": {"likes": "the channel hides likes"},
    }
    item = item_of(row(**measured), now=NOW)
    assert item.post is not None
    assert item.post.measurement is not None
    assert item.post.measurement.metrics.likes is None
    text = words_of(item_row(item, now=NOW))
    assert "0 views" in text
    assert "0 likes" not in text
    assert "Likes Not available, because the channel hides likes" in text
    assert "Shares Not available, because the platform did not give it" in text


OWN = {
    "origin": "import",
    "decision": "imported",
    "object_key": "posts/ab/abcd.mp4",
    "size_bytes": MOST_SHOWN_BYTES,
    "plan_id": None,
}


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "/media/posts/ab/abcd.mp4"),
        ({"object_key": "posts/ab/abcd.mov"}, "/media/posts/ab/abcd.mov"),
        ({"object_key": "posts/ab/abcd.avi"}, None),
        ({"object_key": "k"}, None),
        ({"size_bytes": MOST_SHOWN_BYTES + 1}, None),
    ],
)
def test_a_file_that_was_posted_as_it_came_is_shown(changes: dict[str, Any], url: str | None) -> None:
    """A person reads "no video" beside the video that they posted."""
    item = item_of(row(**(POSTED | OWN | changes)), now=NOW)
    assert item.post is not None
    assert item.post.file_url == url
    markup = item_row(item, now=NOW)
    thumbnail = markup[markup.index("item-thumb") : markup.index("item-title")]
    assert "own file" in thumbnail
    assert "no video" not in thumbnail
    assert (f'src="{url}#t=0.5"' in thumbnail) == (url is not None)
    assert (f'<video src="{url}" ' in markup) == (url is not None), "it can be watched in the details"
    assert "its file goes out as it came, and nothing is rendered" in words_of(markup)


def test_every_stage_can_be_shown() -> None:
    """A stage without a name or a list would make items disappear from the page."""
    for stage in STAGES:
        assert STAGES[stage] in words_of(item_row(item_of(row(stage=stage), now=NOW), now=NOW))
    assert {stage for group in ("videos", "candidates") for stage in GROUPS[group]} == set(STAGES)


def test_the_empty_page_says_what_to_do() -> None:
    """A newcomer's first page must lead on, not show empty boxes."""
    text = words_of(shown(overview()))
    assert "Scan a niche above" in text
    assert "ettametta import" in text
    assert "No account is connected" in text
    assert "No process of any actor is running. Start it with ettametta up" in text
    only_seen = shown(overview(stages=dict.fromkeys(STAGES, 0) | {"found": 2}))
    assert "2 candidates were seen, and none is chosen so far" in words_of(only_seen)


def test_an_unreachable_bus_is_said_not_guessed() -> None:
    """Without NATS nobody knows what the actors do; the page must not call them idle."""
    text = words_of(shown(overview(actors=None, absent={"actors": "NATS cannot be reached"})))
    assert "Not available, because NATS cannot be reached" in text
    assert "Idle" not in text
    assert text.count("Unknown") == len(ACTORS)


def test_nothing_late_is_ready() -> None:
    """A healthy engine that reported itself as not ready would be restarted by an orchestrator for ever."""
    late = Late(outbox={"editor": NOW - timedelta(seconds=29)})
    busy = queue(waiting=9, in_work=1, pulling=0, waiting_since=NOW - timedelta(minutes=29))
    assert judge(late, [busy, queue()], now=NOW).ready


@pytest.mark.parametrize(
    ("late", "one", "what", "said"),
    [
        (Late(outbox={"editor": NOW - timedelta(seconds=31)}), queue(), "outbox", "waits for 31 s"),
        (Late(measures=2, measure_due_at=NOW - timedelta(minutes=6)), queue(), "measurements", "oldest by 6 min"),
        (
            Late(),
            queue(waiting=3, pulling=0, waiting_since=NOW - timedelta(seconds=61)),
            "renderer-render-requested",
            "no renderer takes them: start one with `ettametta run renderer`",
        ),
        (
            Late(),
            queue(waiting=3, in_work=1, waiting_since=NOW - timedelta(minutes=31)),
            "renderer-render-requested",
            "none was taken for 31 min",
        ),
        (Fault(what="database", because="gone"), queue(), "database", "gone"),
    ],
)
def test_what_is_late_is_named(late: Late | Fault, one: Queue, what: str, said: str) -> None:
    """Not ready without the reason, and without what to do, leaves an operator searching."""
    answer = judge(late, [one], now=NOW)
    assert not answer.ready
    assert [fault.what for fault in answer.reasons] == [what]
    assert said in answer.reasons[0].because


def test_a_lost_bus_is_not_ready() -> None:
    """Work would pile up unseen if readiness did not depend on the bus."""
    answer = judge(Late(), Fault(what="bus", because="NATS cannot be reached"), now=NOW)
    assert [fault.what for fault in answer.reasons] == ["bus"]


def test_actors_are_working_idle_or_absent() -> None:
    """The page's liveness must follow from what was seen, not from what should be running."""
    seen = {"ranker": NOW - timedelta(seconds=1), "editor": NOW - timedelta(minutes=2)}
    queues = [queue(in_work=1, pulling=0), queue(name="r", actor="ranker"), queue(name="e", actor="editor", pulling=0)]
    states = {state.name: state.state for state in actor_states(queues, seen_at=seen, now=NOW)}
    assert states["renderer"] == "working"
    assert states["ranker"] == "idle"
    assert states["editor"] == states["tracker"] == "absent"
    assert set(states) == {name for name, actor in ACTORS.items() if consumers_of(actor)}


async def test_viewers_get_every_event_in_order() -> None:
    """The live page would show a wrong picture if events were lost or swapped on the way to it."""
    hub = Hub()
    viewer = hub.join("")
    for number in range(3):
        hub.see("ett.candidate.found", f'{{"n":{number}}}'.encode())
    hub.see("ett.not.an.event", b"{}")
    hub.see("ett.candidate.found", b'{"a":\n1}')
    got = [await viewer.get() for _ in range(3)]
    assert [sent.data for sent in got if sent] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']


async def test_a_viewer_that_comes_back_misses_nothing() -> None:
    """A laptop that slept for a moment must not leave a gap on the page."""
    hub = Hub()
    for number in range(5):
        hub.see("ett.candidate.found", f'{{"n":{number}}}'.encode())
    again = hub.join(f"{hub.boot}-3")
    got = [await again.get(), await again.get()]
    assert [sent.number for sent in got if sent] == [4, 5]
    stranger = hub.join("other-3")
    hub.see("ett.candidate.found", b"{}")
    first = await stranger.get()
    assert first is not None
    assert first.number == 6


@pytest.mark.parametrize(("events", "size"), [(KEPT + 1, 2), (5, KEPT_BYTES // 4)])
async def test_a_slow_viewer_is_let_go(events: int, size: int) -> None:
    """One browser that does not read must not fill the gateway's memory or hold up the others."""
    hub = Hub()
    slow, quick = hub.join(""), hub.join("")
    for _ in range(events):
        hub.see("ett.candidate.found", b"1" * size)
        assert await quick.get() is not None
    assert slow.gone
    assert await slow.get() is None
    assert not quick.gone
    assert hub.viewers == {quick}


def test_spans_are_rounded_down() -> None:
    """An age that is rounded up would claim numbers to be older than they are."""
    assert [span(value) for value in (0, 59.9, 61, 7199, 90_000)] == ["0 s", "59 s", "1 min", "1 h", "1 d"]


def test_reject_is_told_as_it_is() -> None:
    """The words of who refused must reach the person unchanged."""
    error = Reject("Google says invalid_grant: Bad Request")
    assert "Google says invalid_grant: Bad Request" in page_of(Problem(502, "Refused", detail=str(error)))
