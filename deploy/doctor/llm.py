"""The language model: whether the key is taken, and whether the configured models still exist."""

from __future__ import annotations

from typing import Final

from actors.runtime.clock import Clock
from actors.runtime.llm import SET_ONE, Llm
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry
from deploy.doctor.check import Check, missing, ok, wrong

__all__ = ["check_llm"]

NAME: Final = "language model"
SPEECH: Final = "transcript model"
DEADLINE_S: Final = 4.0
"""Below the doctor's own, so that it is said who did not answer."""
WITHOUT: Final = "works are ranked without its vote"


async def check_llm(settings: Settings, *, clock: Clock | None = None) -> tuple[Check, ...]:
    """Ask the provider for its models. Nothing stops work without one."""
    llm = Llm.of(settings, clock or Clock())
    if llm is None:
        return (missing(NAME, f"no key is set: {WITHOUT}", SET_ONE),)
    try:
        models = await llm.models(deadline_s=DEADLINE_S)
    except Reject as error:
        return (wrong(NAME, f"{error.reason}: {WITHOUT}", error.mend or f"see whether {_address(llm)} is right"),)
    except RateLimited as error:
        return (wrong(NAME, f"{error}: {WITHOUT}", f"wait until {error.until:%Y-%m-%d %H:%M} UTC"),)
    except Retry as error:
        return (wrong(NAME, f"{error}: {WITHOUT}", f"see whether {llm.base_url} can be reached, or {_address(llm)}"),)
    wanted = [(NAME, llm.model, llm.model_name, WITHOUT)]
    if llm.provider == "groq":
        lost = "videos without subtitles or a script have no captions"
        wanted.append((SPEECH, settings.groq_transcript_model, "GROQ_TRANSCRIPT_MODEL", lost))
    return tuple(
        ok(name, f"{model}, at {llm.title}")
        if model in models
        else wrong(
            name,
            f"{llm.title} has no model {model} (it is misspelt or was shut down): {lost}",
            f"set {setting} to one of: {', '.join(models) or '(it lists none)'}",
        )
        for name, model, setting, lost in wanted
    )


def _address(llm: Llm) -> str:
    return f"set {llm.provider.upper()}_API_URL"
