"""Logs: one JSON object a line on stderr, ids on every line, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from actors.runtime.log import get_logger, setup_logging

SECRET = "s3cr3t-value"


@pytest.fixture(autouse=True)
def _fresh_logging() -> Iterator[None]:
    before = structlog.get_config()
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()
    structlog.configure(**before)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what was logged; anything on stdout is a failure."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_one_json_object_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """If it fails, log collectors cannot read the logs, or `--json` output is mixed with them."""
    setup_logging(actor="scanner", terminal=False)
    get_logger().info("scan.completed", found=3, title="深海\nline")
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["actor"], line["found"]) == ("scan.completed", "info", "scanner", 3)
    assert line["title"] == "深海\nline"
    at = datetime.fromisoformat(line["timestamp"])
    assert at.utcoffset() is not None
    assert not at.utcoffset()


def test_bound_ids_are_on_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    """If it fails, the lines of one flow cannot be found by its correlation id."""
    setup_logging(actor="editor", terminal=False)
    with structlog.contextvars.bound_contextvars(correlation_id="c1"):
        get_logger().info("one")
    get_logger().info("two")
    one, two = lines(capsys)
    assert one["correlation_id"] == "c1"
    assert "correlation_id" not in two


def test_the_level_silences_what_is_below(capsys: pytest.CaptureFixture[str]) -> None:
    """If it fails, LOG_LEVEL does nothing."""
    setup_logging(actor="editor", level="Warning", terminal=False)
    get_logger().info("quiet")
    get_logger().warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


@pytest.mark.parametrize(
    "key",
    ["access_token", "refresh_token", "authorization", "session_url", "client_secret", "password", "Authorization"],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_secrets_are_never_logged(capsys: pytest.CaptureFixture[str], key: str, *, terminal: bool) -> None:
    """If it fails, whoever reads the logs can post in the user's name."""
    setup_logging(actor="publisher", terminal=terminal)
    get_logger().info("token.refreshed", **{key: SECRET}, nested={"headers": {key: SECRET}, "list": [{key: SECRET}]})
    text = capsys.readouterr().err
    assert "token.refreshed" in text
    assert SECRET not in text


@pytest.mark.parametrize("terminal", [False, True])
def test_a_traceback_has_no_local_variables(capsys: pytest.CaptureFixture[str], *, terminal: bool) -> None:
    """If it fails, a crash prints the tokens that the code was holding."""

    def call(value: str) -> None:
        length = len(value)
        raise ValueError(f"cannot send {length} bytes")

    setup_logging(actor="publisher", terminal=terminal)
    try:
        call(SECRET)
    except ValueError:
        get_logger().exception("upload.failed")
    text = capsys.readouterr().err
    assert "cannot send 12 bytes" in text
    assert "in call" in text or '"call"' in text
    assert SECRET not in text
