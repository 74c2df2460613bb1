"""What tests of the language model share: settings that point at the sandbox, and works to judge."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from actors.runtime.settings import Settings, load_settings
from contracts.ids import ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord
from deploy.sandbox.groq import CHAT_MODELS, SPEECH_MODELS
from tests.channel import Channel

__all__ = ["AT", "CHAT", "KEY", "MODELS", "settings_at", "work"]

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEY = "sandbox-groq"
CHAT = "groq.chat"
MODELS = tuple(sorted((*CHAT_MODELS, *SPEECH_MODELS)))


def settings_at(channel: Channel, **changes: Any) -> Settings:
    """Return the settings of a channel whose language models are the sandbox's."""
    address = str(channel.sandbox).rstrip("/")
    return with_options(
        msgspec.structs.replace(
            channel.services.settings,
            **{
                "groq_api_key": KEY,
                "api_urls": {"groq": address, "openai": f"{address}/openai/v1"},
                **changes,
            },
        ),
        openai_model="openai/gpt-oss-120b",
    )


def with_options(settings: Settings, **options: str) -> Settings:
    """Set settings by name, as texts, whether they are fields or declared by platforms."""
    read = load_settings({name.upper(): value for name, value in options.items()}, settings.data_dir)
    fields = {name: getattr(read, name) for name in options if name in Settings.__struct_fields__}
    return msgspec.structs.replace(settings, **fields, options={**settings.options, **read.options})


def work(name: str, title: str = "Creatures of the deep sea", **given: Any) -> Candidate:
    """Return a work as a scan sees it."""
    fields: dict[str, Any] = {
        "item_id": ItemId(f"archive:{name}"),
        "platform": "archive",
        "platform_id": name,
        "url": f"https://example.org/{name}",
        "title": title,
        "published_at": AT,
        "media_url": f"https://example.org/{name}.mp4",
        "metrics": Metrics(views=1000, likes=10),
        "observed_at": AT,
        "rights": RightsRecord(licence="CC0-1.0"),
    }
    return Candidate(**(fields | given))
