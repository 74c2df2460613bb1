"""The language model's client over HTTP: one shape for two providers, errors that say what to do; the doctor's look."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.ranker.judge import SCHEMA
from actors.runtime.db import Database
from actors.runtime.llm import Llm
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry
from deploy.doctor.llm import check_llm
from tests.channel import Channel, connected_channel
from tests.judging import CHAT, KEY, MODELS, settings_at


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, actor="ranker") as found:
        yield found


def llm(channel: Channel, **changes: Any) -> Llm:
    found = Llm.of(settings_at(channel, **changes), channel.clock)
    assert found is not None
    return found


async def said(model: Llm, **changes: Any) -> Any:
    asked: dict[str, Any] = {"system": "Vote.", "user": "Nothing.", "schema": SCHEMA, "seed": 1, **changes}
    return json.loads(await model.write(**asked))


async def calls(channel: Channel, place: str) -> int:
    return int((await channel.state())["calls"].get(place, 0))


async def test_groq_comes_first_and_the_other_takes_its_place(channel: Channel) -> None:
    """If it fails, a key of a compatible server is never used, or used although Groq's is set."""
    both = llm(channel, openai_api_key=KEY)
    assert (both.provider, both.model) == ("groq", "openai/gpt-oss-20b")
    other = llm(channel, groq_api_key=None, openai_api_key=KEY)
    assert (other.provider, other.model) == ("openai", "openai/gpt-oss-120b")
    for model in (both, other):
        assert set(await said(model)) == {"votes"}
    assert [chat["model"] for chat in (await channel.state())["groq"]["chats"]] == [both.model, other.model]
    assert Llm.of(settings_at(channel, groq_api_key=None), channel.clock) is None
    default = Llm.of(Settings(openai_api_key=KEY), channel.clock)
    assert default is not None
    assert (default.base_url, default.model) == ("https://api.openai.com/v1", "gpt-5.4-mini")


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ({"status": 401}, Reject, "401 invalid_api_key: Invalid API Key. Set GROQ_API_KEY to a key that is valid"),
        ({"status": 403}, Reject, "answered 403"),
        ({"status": 413}, Reject, "413 request_too_large"),
        (
            {"status": 400, "reason": "model_decommissioned"},
            Reject,
            "Set GROQ_MODEL to a model that `ettametta doctor`",
        ),
        ({"status": 404}, Reject, "404 model_not_found"),
        ({"status": 429, "reason": "insufficient_quota"}, Reject, "Add credit there"),
        ({"status": 400, "reason": "json_validate_failed"}, Retry, "400 json_validate_failed"),
        ({"status": 429}, Retry, "429 rate_limit_exceeded"),
        ({"status": 500}, Retry, "500 internal_server_error"),
        ({"status": 498}, Retry, "answered 498"),
        ({"kind": "cut_off"}, Retry, "not whole (finish_reason: length)"),
        ({"kind": "truncate"}, Retry, "cannot be read"),
        ({"kind": "drop_mid_body"}, Retry, "Groq cannot be reached"),
    ],
)
async def test_every_failure_has_its_class_and_its_words(
    channel: Channel, fault: dict[str, Any], error: type[Exception], told: str
) -> None:
    """If it fails, a wrong key is retried for ever, or a busy minute ends the work."""
    await channel.fault(CHAT, fault.pop("kind", "status"), **fault)
    with pytest.raises(error) as caught:
        await said(llm(channel), tries=1)
    assert told in str(caught.value)
    assert KEY not in str(caught.value)
    assert await calls(channel, CHAT) == 1


async def test_a_limit_says_until_when(channel: Channel) -> None:
    """If it fails, a limited model is asked again at once."""
    await channel.fault(CHAT, "status", status=429, retry_after_s=90)
    with pytest.raises(RateLimited) as caught:
        await said(llm(channel))
    assert caught.value.until == channel.clock.now() + timedelta(seconds=90)
    assert await calls(channel, CHAT) == 1


async def test_one_more_try_follows_a_short_wait(channel: Channel) -> None:
    """If it fails, a server that stumbles once costs the answer, or is asked without end."""
    before = channel.clock.now()
    await channel.fault(CHAT, "status", status=503)
    await said(llm(channel))
    assert (await calls(channel, CHAT), channel.clock.now() - before) == (2, timedelta(seconds=1))


async def test_a_slow_server_is_left_at_the_deadline(channel: Channel) -> None:
    """If it fails, a server that hangs holds up its caller."""
    await channel.fault(CHAT, "slow", delay_s=60)
    with pytest.raises(Retry, match=r"did not answer within 0\.2 s|timed out"):
        await said(llm(channel), deadline_s=0.2)


async def test_a_key_that_is_none_is_not_sent(channel: Channel) -> None:
    """If it fails, a pasted line break becomes a header, or a traceback."""
    with pytest.raises(Reject, match="GROQ_API_KEY is no key"):
        await said(llm(channel, groq_api_key="two\nlines"))
    assert await calls(channel, CHAT) == 0


# The doctor ---------------------------------------------------------------------------------------


async def looked(channel: Channel, **changes: Any) -> dict[str, tuple[str, str, str]]:
    settings = settings_at(channel, **changes)
    checks = await check_llm(settings, clock=channel.clock)
    assert not any(check.stops_work for check in checks)
    assert KEY not in str(checks)
    return {check.name: (check.state, check.detail, check.mend) for check in checks}


async def test_the_doctor_finds_the_models(channel: Channel) -> None:
    """If it fails, a right setting is called wrong."""
    assert await looked(channel) == {
        "language model": ("ok", "openai/gpt-oss-20b, at Groq", ""),
        "transcript model": ("ok", "whisper-large-v3-turbo, at Groq", ""),
    }
    other = await looked(channel, groq_api_key=None, openai_api_key=KEY)
    assert other == {"language model": ("ok", "openai/gpt-oss-120b, at the OpenAI-compatible server", "")}


async def test_the_doctor_names_a_model_that_is_gone_and_those_that_are_there(channel: Channel) -> None:
    """If it fails, a model that was shut down is found out by votes that never come."""
    found = await looked(channel, groq_model="llama-3.3-70b-versatile", groq_transcript_model="whisper-9")
    state, detail, mend = found["language model"]
    assert state == "wrong"
    assert detail.startswith("Groq has no model llama-3.3-70b-versatile (it is misspelt or was shut down)")
    assert mend == f"set GROQ_MODEL to one of: {', '.join(MODELS)}"
    assert found["transcript model"][0] == "wrong"
    assert found["transcript model"][2].startswith("set GROQ_TRANSCRIPT_MODEL to one of: ")


async def test_the_doctor_says_when_the_key_is_refused(channel: Channel) -> None:
    """If it fails, a revoked key passes for a working one."""
    found = await looked(channel, groq_api_key="another-word")
    assert found == {
        "language model": (
            "wrong",
            "Groq answered 401 invalid_api_key: Invalid API Key: works are ranked without its vote",
            "Set GROQ_API_KEY to a key that is valid",
        )
    }


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"kind": "drop_mid_body", "times": None}, "Groq cannot be reached"),
        ({"kind": "status", "status": 503}, "Groq answered 503"),
        ({"kind": "truncate"}, "Groq's answer cannot be read"),
        ({"kind": "status", "status": 429, "retry_after_s": 60}, "Groq answered 429"),
    ],
)
async def test_the_doctor_says_when_nobody_answers(channel: Channel, fault: dict[str, Any], told: str) -> None:
    """If it fails, the doctor crashes where it should help."""
    await channel.fault("groq.models", **fault)
    state, detail, mend = (await looked(channel))["language model"]
    assert state == "wrong"
    assert detail.startswith(told)
    assert mend


async def test_the_doctor_says_what_is_lost_without_a_key(channel: Channel) -> None:
    """If it fails, nobody learns that there could be a vote."""
    found = await looked(channel, groq_api_key=None)
    assert found["language model"][:2] == ("missing", "no key is set: works are ranked without its vote")
    assert "GROQ_API_KEY" in found["language model"][2]
    assert await calls(channel, "groq.models") == 0
