"""What was earned and spent, in lines for people."""

from __future__ import annotations

from actors.tracker.revenue.money import shown
from actors.tracker.revenue.profit import Line, Report

__all__ = ["render"]


def render(made: Report) -> str:
    """Say in lines what was earned and spent."""
    lines = []
    for one in (*made.lines, made.total):
        lines.append(f"{one.key}{f'  {one.title}' if one.title else ''}")
        lines += [f"    {text}" for text in _told(one, made.currency)]
    if not made.lines:
        lines = ["nothing was earned, spent or posted yet"]
    if made.rates is not None:
        first, last = made.rates
        of = f"of {first}" if first == last else f"from {first} to {last}"
        lines.append(f"converted with the imported exchange rates {of}")
    return "\n".join(lines)


def _told(one: Line, currency: str) -> list[str]:
    def said(name: str, minor: int | None) -> str:
        return shown(minor, currency) if minor is not None else f"not available, because {one.absent[name]}"

    told = [f"earned      {said('earned', one.earned_minor)}{' (estimated)' if one.estimated else ''}"]
    told.append(f"spent       {said('spent', one.spent_minor)}")
    told += [
        f"  {kind}: {shown(minor, currency) if minor is not None else 'not available'}"
        for kind, minor in one.spent.items()
    ]
    told.append(f"profit      {said('profit', one.profit_minor)}")
    views = f"{one.views:,}" if one.views is not None else f"not available, because {one.absent['views']}"
    told.append(f"views       {views}")
    told.append(f"per 1,000   {said('per_thousand', one.per_thousand_minor)}")
    return told
