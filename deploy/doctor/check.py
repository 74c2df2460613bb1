"""One finding of the doctor."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = ["Check", "Group", "State", "missing", "ok", "wrong"]

State = Literal["ok", "missing", "wrong"]
Group = Literal["accounts", "watching", "closed"]


class Check(Struct, frozen=True, kw_only=True):
    """What was looked at and what was found."""

    name: Annotated[str, Meta(description="What was looked at; of a setting, its name.")]
    state: Annotated[State, Meta(description="`missing` is not there, `wrong` is there and does not work.")]
    detail: Annotated[str, Meta(description="What was found, and what is not possible because of it.")]
    mend: Annotated[str, Meta(description="What to do about it; empty: nothing needs to be done.")] = ""
    group: Annotated[
        Group | None, Meta(description="With which others it is told in one line: nobody asked for it. null: alone.")
    ] = None
    stops_work: Annotated[bool, Meta(description="Whether ettametta cannot work before it is mended.")] = False


def ok(name: str, detail: str) -> Check:
    return Check(name=name, state="ok", detail=detail)


def missing(name: str, detail: str, mend: str = "", *, stops_work: bool = False, group: Group | None = None) -> Check:
    return Check(name=name, state="missing", detail=detail, mend=mend, stops_work=stops_work, group=group)


def wrong(name: str, detail: str, mend: str, *, stops_work: bool = False) -> Check:
    return Check(name=name, state="wrong", detail=detail, mend=mend, stops_work=stops_work)
