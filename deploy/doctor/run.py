"""Run every check at once, each within its deadline, and show the findings."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from actors import platforms
from actors.runtime.settings import SECRETS, Settings, SettingsInvalid
from deploy.doctor import credentials, discovery, gpu, llm, machine, services
from deploy.doctor.check import Check, Group, missing, wrong

__all__ = ["DEADLINE_S", "diagnose", "exit_code", "render"]

DEADLINE_S: Final = 5.0
"""For each check; all run at the same time."""
DEADLINES_S: Final = {"gpu": gpu.DEADLINE_S}
"""Of checks that do more than ask."""

LEAST_SECRET_CHARS: Final = 12
"""Values of settings that no platform declares are hidden from this length on; shorter ones are words."""

GROUPS: Final[dict[Group, tuple[str, str]]] = {
    "accounts": (
        "no OAuth client is set for {}: no account can be connected there",
        "set those that you want, see docs/accounts.md; `ettametta doctor --all` names each setting and redirect URI",
    ),
    "watching": (
        "no key or token is set for {}: they are not asked for works",
        "set those that you want, see docs/platforms.md; `ettametta doctor --all` says where each is had",
    ),
    "closed": ("{} have no public way to look for works", ""),
}
"""How findings that are merely not set are told in one line: what is lacking, by name, and what mends it."""

T = TypeVar("T")
Found = Check | tuple[Check, ...]


async def diagnose(settings: Settings | SettingsInvalid, *, deadline_s: float = DEADLINE_S) -> tuple[Check, ...]:
    """Look at everything. Never raises, and ends within about the deadline.

    With invalid settings their faults are reported, and what can be looked at without settings.
    """
    steps = _steps(Settings() if isinstance(settings, SettingsInvalid) else settings)
    if isinstance(settings, SettingsInvalid):
        first = credentials.fault_checks(settings)
        steps = {name: step for name, step in steps.items() if name in NEED_NO_SETTINGS}
        hidden: tuple[str, ...] = ()
    else:
        first = ()
        hidden = _secret_texts(settings)
    found = await asyncio.gather(
        *(_bounded(name, step, DEADLINES_S.get(name, deadline_s)) for name, step in steps.items())
    )
    return tuple(_without(check, hidden) for check in (*first, *(check for group in found for check in group)))


def _steps(settings: Settings) -> dict[str, Callable[[], Awaitable[Found]]]:
    """Return every check by name, in the order in which they are shown."""
    blocking: dict[str, Callable[[], Found]] = {
        "python": machine.check_python,
        "DATA_DIR": lambda: machine.check_data_dir(settings),
        "secret key": lambda: machine.check_secret_key(settings),
        "PUBLIC_URL": lambda: credentials.check_public_url(settings),
        "DESTINATION": lambda: credentials.check_destination(settings),
        "credentials": lambda: credentials.check_credentials(settings),
        "discovery": lambda: discovery.check_discovery(settings),
        ".env": discovery.check_names,
        "base addresses": lambda: credentials.check_overrides(settings),
        "codecs": machine.check_codecs,
        "font": lambda: machine.check_font(settings),
        "fonts": lambda: machine.check_fonts(settings),
        "speech": machine.check_speech,
        "yt-dlp": machine.check_ytdlp,
        "time zones": machine.check_time_zones,
        "telemetry": lambda: machine.check_telemetry(settings),
    }
    return {
        "NATS": lambda: services.check_nats(settings),
        "PostgreSQL": lambda: services.check_postgres(settings),
        "MEDIA_URL": lambda: services.check_media(settings),
        **{name: _apart(check) for name, check in blocking.items()},
        "language model": lambda: llm.check_llm(settings),
        "gpu": gpu.check_gpu,
        "stack": lambda: services.check_stack(settings),
    }


NEED_NO_SETTINGS: Final = frozenset({"python", "codecs", "gpu", "speech", "yt-dlp", "time zones"})
ALWAYS_NEEDED: Final = frozenset({"NATS", "PostgreSQL", "MEDIA_URL", "DATA_DIR"})
"""Nothing works while one of these does not answer."""


async def _bounded(name: str, step: Callable[[], Awaitable[Found]], deadline_s: float) -> tuple[Check, ...]:
    try:
        async with asyncio.timeout(deadline_s):
            found = await step()
    except TimeoutError:
        mend = "see whether the disk or the server hangs"
        return (wrong(name, f"no answer within {deadline_s:g} s", mend, stops_work=name in ALWAYS_NEEDED),)
    except Exception as error:  # noqa: BLE001 - a check that breaks is a finding; the others still count
        return (wrong(name, f"could not be checked ({type(error).__name__}: {error})", "please report this"),)
    return found if isinstance(found, tuple) else (found,)


def _apart(work: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    """Run blocking work in a daemon thread: a hanging disk then holds up neither the loop nor the exit."""

    async def run() -> T:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]  # None only where T is

        def body() -> None:
            try:
                outcome: tuple[T | None, BaseException | None] = (work(), None)
            except Exception as error:  # noqa: BLE001 - carried to the awaiting side
                outcome = (None, error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, *outcome)

        threading.Thread(target=body, daemon=True).start()
        return await done

    return run


def _secret_texts(settings: Settings) -> tuple[str, ...]:
    """Return what must not be shown: secrets, and the passwords within addresses."""
    values = [str(value) for name, value in msgspec.structs.asdict(settings).items() if name in SECRETS and value]
    secret = {need.setting for name in platforms.names() for need in platforms.needs_of(name) if need.secret}
    values += [value for name, value in settings.options.items() if name in secret or len(value) >= LEAST_SECRET_CHARS]
    passwords = [urlsplit(value).password for value in values if "://" in value]
    return tuple(sorted({text for text in (*values, *passwords) if text}, key=len, reverse=True))


def _without(check: Check, hidden: Iterable[str]) -> Check:
    detail, mend = check.detail, check.mend
    for text in hidden:
        detail, mend = detail.replace(text, "[hidden]"), mend.replace(text, "[hidden]")
    return msgspec.structs.replace(check, detail=" ".join(detail.split()), mend=mend)


def render(checks: tuple[Check, ...], *, every: bool = False) -> str:
    """Return the findings for people: a line each, the mend below it, and a last line that sums up.

    Args: every: one by one also what nobody asked for, which is told in a line for each group otherwise.
    """
    shown = checks if every else _gathered(checks)
    width = max((len(check.name) for check in shown), default=0)
    lines = []
    for check in shown:
        lines.append(
            f"{check.state:<8} {check.name:<{width}}  {check.detail}{' [stops work]' if check.stops_work else ''}"
        )
        if check.mend:
            lines.append(f"{'':<8} {'':<{width}}  -> {check.mend}")
    counts = ", ".join(
        f"{sum(check.state == state for check in shown)} {state}" for state in ("ok", "missing", "wrong")
    )
    stops = [check.name for check in checks if check.stops_work]
    last = f"These stop work: {', '.join(stops)}." if stops else "Nothing stops work."
    return "\n".join([*lines, "", f"{counts}. {last}"])


def _gathered(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Return the findings with those of a group as one, where the first of them stands."""
    members: dict[Group, list[Check]] = {}
    for check in checks:
        if check.group is not None:
            members.setdefault(check.group, []).append(check)
    return tuple(
        check if check.group is None else _together(check.group, members[check.group])
        for check in checks
        if check.group is None or members[check.group][0] is check
    )


def _together(group: Group, found: list[Check]) -> Check:
    detail, mend = GROUPS[group]
    names = ", ".join(check.name.rpartition(" ")[2] for check in found)
    return missing(group, detail.format(names), mend)


def exit_code(checks: tuple[Check, ...]) -> int:
    """Return 1 if something stops work, else 0."""
    return int(any(check.stops_work for check in checks))
