"""Typed identifiers and how the derived ones are made.

Derived ids are UUID version 5 (RFC 9562, section 5.5): the same input always gives the same id, so work
that is done again after a crash lands on the rows it made the first time.
"""

from __future__ import annotations

import uuid
from typing import NewType

EventId = NewType("EventId", str)
"""Names one event for ever; also its `Nats-Msg-Id` and its inbox key."""
CorrelationId = NewType("CorrelationId", str)
"""Shared by every event that follows from one first event."""
ItemId = NewType("ItemId", str)
"""One work on its way through the loop: `platform:platform_id`, or `import:sha256`."""
PlanId = NewType("PlanId", str)
"""SHA-256 of a plan's canonical bytes, hex."""
PostId = NewType("PostId", str)
"""Derived from item, platform and account: one item is posted once to one account."""
AccountId = NewType("AccountId", str)
"""`platform:id_on_the_platform`."""
ObjectKey = NewType("ObjectKey", str)
"""Where a stored object lies below MEDIA_URL, with forward slashes."""

NAMESPACE = uuid.UUID("6e2b9f3c-54a1-5f0e-9d37-1d6c0f6f8a21")


def derived(*parts: str) -> str:
    """Return the UUID5 of `parts`; no two different tuples of parts share one."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))


def post_id(item: ItemId, platform: str, account: AccountId | None = None) -> PostId:
    """Return the id of the one post of an item to an account; None: to the one that is or will be connected."""
    return PostId(derived("post", item, platform) if account is None else derived("post", item, platform, account))


def item_id(platform: str, platform_id: str) -> ItemId:
    return ItemId(f"{platform}:{platform_id}")
