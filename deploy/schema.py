"""Writes what the contracts say: JSON Schema, AsyncAPI 3.0 and a page for people, below docs/.

`python -m deploy.schema` writes them, `python -m deploy.schema --check` exits 1 if they are not up to date.
Sources: AsyncAPI Specification 3.0.0 (read 2026-11), JSON Schema draft 2020-12.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts.codec import EVENTS, subject_of, type_of
from contracts.events import Event
from contracts.flow import PARTIES, STREAM
from contracts.plan import Plan

__all__ = ["documents", "main"]

ENVELOPE: Final = {field.name for field in msgspec.structs.fields(Event)}
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def event_schema() -> dict[str, Any]:
    """Return one JSON Schema that holds every event, by its type, in `$defs`."""
    _, components = msgspec.json.schema_components(EVENTS.values(), ref_template="#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "title": "ettametta events, version 1",
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in EVENTS.values()],
        "$defs": {name: _open(schema) for name, schema in sorted(components.items())},
    }


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema of a render plan."""
    return {"$schema": DIALECT, **msgspec.json.schema(Plan)}


def _open(schema: dict[str, Any]) -> dict[str, Any]:
    """Let `type` be left out, as readers do: the subject names the event."""
    properties = schema.get("properties", {})
    if "type" in properties and "enum" in properties["type"] and "required" in schema:
        schema["required"] = [name for name in schema["required"] if name != "type"]
    return schema


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI document: one channel per event, one operation per party and event."""
    _, components = msgspec.json.schema_components(EVENTS.values(), ref_template="#/components/schemas/{name}")
    operations: dict[str, Any] = {}
    for party in PARTIES.values():
        for action, kinds in (("receive", party.takes), ("send", party.gives)):
            for kind in kinds:
                operations[f"{party.name}.{action}.{type_of(kind)}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{type_of(kind)}"},
                    "title": f"{party.name} {'takes' if action == 'receive' else 'gives'} {type_of(kind)}",
                }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ettametta",
            "version": "1.0.0",
            "description": f"Events on the JetStream stream {STREAM.name}. Every event is one JSON object.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            name: {
                "address": subject_of(kind),
                "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}},
            }
            for name, kind in EVENTS.items()
        },
        "operations": operations,
        "components": {
            "messages": {
                kind.__name__: {
                    "name": name,
                    "summary": (kind.__doc__ or "").splitlines()[0],
                    "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
                }
                for name, kind in EVENTS.items()
            },
            "schemas": {name: _open(schema) for name, schema in sorted(components.items())},
        },
    }


def events_page() -> str:
    """Return the Markdown page: who gives and takes each event, and what its fields mean."""
    lines = [
        "# Events",
        "",
        "Made from `contracts/` by `python -m deploy.schema`. Subjects are `ett.` + type, on the stream",
        f"`{STREAM.name}`. Every event is one JSON object; all fields with a default may be left out, so that",
        "",
        '    nats pub ett.scan.requested \'{"niche":"deep sea"}\'',
        "",
        "is a valid command. Times are RFC 3339 in UTC, media times integer microseconds.",
        "",
        "Every event also carries:",
        "",
        *_field_table(Event, skip=frozenset()),
    ]
    for name, kind in EVENTS.items():
        givers = [party.name for party in PARTIES.values() if kind in party.gives]
        takers = [party.name for party in PARTIES.values() if kind in party.takes]
        lines += [
            "",
            f"## {name}",
            "",
            (kind.__doc__ or "").strip(),
            "",
            f"Given by {', '.join(givers)}. Taken by {', '.join(takers) or 'nobody: for people and programs to read'}.",
            "",
            *_field_table(kind, skip=frozenset(ENVELOPE)),
        ]
    return "\n".join(lines) + "\n"


def _field_table(kind: type[msgspec.Struct], *, skip: frozenset[str]) -> list[str]:
    _, components = msgspec.json.schema_components([kind], ref_template="{name}")
    schema = components[kind.__name__]
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, shape in schema["properties"].items():
        if name in skip or name == "type":
            continue
        default = "required" if name in schema.get("required", ()) else f"`{json.dumps(shape.get('default'))}`"
        rows.append(f"| `{name}` | {_words(shape)} | {_cell(default)} | {_cell(shape.get('description', ''))} |")
    return rows


def _words(shape: dict[str, Any]) -> str:
    if "$ref" in shape:
        return str(shape["$ref"])
    if "anyOf" in shape:
        return " or ".join(_words(part) for part in shape["anyOf"])
    if "allOf" in shape:
        return _words(shape["allOf"][0])
    if "enum" in shape:
        return " or ".join(f"`{value}`" for value in shape["enum"])
    if shape.get("type") == "array" and isinstance(shape.get("items"), dict):
        return f"list of {_words(shape['items'])}"
    if shape.get("format") == "date-time":
        return "time"
    return str(shape.get("type", "object"))


def _cell(text: str) -> str:
    return text if len(text) < 400 else "see contracts"


def documents() -> dict[str, str]:
    """Return every generated file by its path below the project's root."""

    def pretty(value: Any) -> str:
        return json.dumps(value, indent=1, ensure_ascii=False) + "\n"

    return {
        "docs/schema/events.json": pretty(event_schema()),
        "docs/schema/plan.json": pretty(plan_schema()),
        "docs/asyncapi.json": pretty(asyncapi()),
        "docs/events.md": events_page(),
    }


def main(argv: list[str] | None = None) -> int:
    """Write or check the files; return the exit code."""
    root = Path(__file__).resolve().parent.parent
    check = "--check" in (sys.argv[1:] if argv is None else argv)
    stale = []
    for name, text in documents().items():
        path = root / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        sys.stdout.write(f"{'out of date' if check else 'written'}: {name}\n")
    if check and stale:
        sys.stdout.write("run `python -m deploy.schema` and commit the result\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
