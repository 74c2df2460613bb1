"""The configuration of NATS: one user for each party, who may use its own subjects and nothing else.

Made from contracts/flow.py. `python -m deploy.natsconf` prints the file that lies at the top of the project.
Passwords are not in it: NATS reads them from its environment ($NATS_RENDERER_PASSWORD and so on).

What a pull consumer needs of JetStream (nats-py 2.16: js/client.py, pull_subscribe and PullSubscription;
"JetStream wire API", docs.nats.io, read 2026-11-22): to look itself up, to ask for messages, to answer
them, and an inbox of its own. Nobody but `admin` may list, make, change or delete streams and consumers.
"""

from __future__ import annotations

import json
import sys
from typing import Final

from msgspec import Struct

from contracts.codec import SUBJECT_PREFIX, subject_of
from contracts.flow import GATEWAY, OUTSIDE, PARTIES, STREAM, Actor, consumers_of

__all__ = ["ADMIN", "USERS", "Permissions", "password_variable", "permissions_of", "render"]

ADMIN: Final = "admin"
"""May do everything in the account; sets up streams and consumers."""

USERS: Final = (*PARTIES, ADMIN)

MAX_PAYLOAD_BYTES: Final = 1024 * 1024
SYNC_INTERVAL: Final = "1s"
"""How much the loss of power can cost; NATS waits two minutes otherwise. A killed process loses nothing."""

EVERY_EVENT: Final = f"{SUBJECT_PREFIX}>"


class Permissions(Struct, frozen=True):
    """Subjects that a user may send to and listen on."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def password_variable(user: str) -> str:
    """Return the name of the environment variable that holds the user's password."""
    return f"NATS_{user.upper()}_PASSWORD"


def permissions_of(party: Actor) -> Permissions:
    """Return what a party may send and hear."""
    publish = [subject_of(kind) for kind in party.gives]
    subscribe = [f"{party.inbox_prefix}.>"]
    for consumer in consumers_of(party):
        name = f"{STREAM.name}.{consumer.name}"
        publish += [f"$JS.API.CONSUMER.INFO.{name}", f"$JS.API.CONSUMER.MSG.NEXT.{name}", f"$JS.ACK.{name}.>"]
    if party in {GATEWAY, OUTSIDE}:
        subscribe.append(EVERY_EVENT)
    if party == GATEWAY:
        publish += [f"$JS.API.STREAM.INFO.{STREAM.name}", f"$JS.API.CONSUMER.INFO.{STREAM.name}.*"]
    return Permissions(publish=tuple(publish), subscribe=tuple(subscribe))


def render(*, listen: str = "0.0.0.0:4222", store_dir: str = "/data/nats") -> str:
    """Return the configuration as text."""
    users = "".join(_user(name, permissions_of(party)) for name, party in PARTIES.items())
    return f"""\
# Made by `python -m deploy.natsconf` from contracts/flow.py; do not edit.
# Passwords come from the environment of the server. Begin each with a letter: NATS reads digits as a number.

listen: {json.dumps(listen)}
server_name: "ettametta"
max_payload: {MAX_PAYLOAD_BYTES}

jetstream {{
  store_dir: {json.dumps(store_dir, ensure_ascii=False)}
  max_memory_store: 64MB
  max_file_store: 8GB
  sync_interval: "{SYNC_INTERVAL}"
}}

accounts {{
  ettametta {{
    jetstream: enabled
    users: [
{users}      {{
        user: {ADMIN}, password: ${password_variable(ADMIN)}
      }}
    ]
  }}
}}
"""


def _user(name: str, may: Permissions) -> str:
    return f"""\
      {{
        user: {name}, password: ${password_variable(name)}
        permissions {{
          publish: [{_list(may.publish)}]
          subscribe: [{_list(may.subscribe)}]
        }}
      }}
"""


def _list(subjects: tuple[str, ...]) -> str:
    lines = ",".join(f"\n            {json.dumps(subject)}" for subject in subjects)
    return f"{lines}\n          "


if __name__ == "__main__":
    sys.stdout.write(render())
