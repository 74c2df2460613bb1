"""The configuration of NATS as text; tests/integration/test_permissions.py asks a real server."""

from __future__ import annotations

from pathlib import Path

from contracts.flow import ACTORS, PARTIES
from deploy import natsconf
from deploy.natsconf import Permissions, permissions_of

ROOT = Path(__file__).parents[2]


def test_the_file_at_the_top_is_the_generated_one() -> None:
    """A studio that starts NATS from nats.conf would run with the permissions of an older flow."""
    assert (ROOT / "nats.conf").read_text(encoding="utf-8") == natsconf.render()


def test_no_password_is_in_the_file() -> None:
    """A password in the project would be everybody's."""
    lines = [line for line in natsconf.render().splitlines() if "password:" in line]
    assert len(lines) == len(PARTIES) + 1
    assert all(f"password: ${natsconf.password_variable(user)}" in line for line in lines for user in [_user(line)])


def test_the_renderer_may_do_exactly_this() -> None:
    """A renderer that a malformed video takes over could post, or read other actors' work."""
    consumers = [f"ETT.renderer-{kind}-requested" for kind in ("render", "chunk", "join")]
    assert permissions_of(ACTORS["renderer"]) == Permissions(
        publish=(
            "ett.chunk.requested",
            "ett.join.requested",
            "ett.render.progressed",
            "ett.render.completed",
            "ett.work.rejected",
            *(
                subject
                for name in consumers
                for subject in (
                    f"$JS.API.CONSUMER.INFO.{name}",
                    f"$JS.API.CONSUMER.MSG.NEXT.{name}",
                    f"$JS.ACK.{name}.>",
                )
            ),
        ),
        subscribe=("_INBOX_renderer.>",),
    )


def test_folders_with_odd_names_stay_one_string() -> None:
    """A data folder with a quote or a space in its name would break the file, or add settings to it."""
    text = natsconf.render(store_dir='/srv/ä b/a"b', listen="127.0.0.1:4000")
    assert 'store_dir: "/srv/ä b/a\\"b"' in text
    assert 'listen: "127.0.0.1:4000"' in text


def _user(line: str) -> str:
    return line.split("user: ")[1].split(",", maxsplit=1)[0]
