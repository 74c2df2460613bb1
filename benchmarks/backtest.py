"""Judge the order that `ettametta rank` gives against simple rules, on tables of videos observed on several days.

Each day ranks what was seen that day and was seen again later, with nothing but the observations up to that day.

    python -m benchmarks.backtest [FILE.csv ...] [--write docs/ranking.md]

Without files: every table in ../shared/data/D_trending.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.ranker.examples import Examples, days_of, examples_of, only
from actors.ranker.features import inputs_of
from actors.ranker.model import Model
from actors.ranker.signals import (
    OBJECTIVES,
    SHIPPED,
    Coefficients,
    Column,
    Columns,
    Objective,
    parts_of,
    scores_of,
    values_of,
)
from actors.ranker.train import fitted
from actors.ranker.yardstick import Interval, interval, judged, ranks_of
from benchmarks.coefficients import fit_coefficients
from benchmarks.trending import Table, read_table

SHARED: Final = Path(__file__).parents[1].parent / "shared" / "data" / "D_trending"
BEGIN, END = "<!-- backtest: begin; made by `just backtest` -->", "<!-- backtest: end -->"
Label = Literal["growth", "further"]
LABELS: Final[tuple[Label, Label]] = ("growth", "further")
WORDS: Final[dict[Label, str]] = {
    "growth": "Growth: log views per day to the next sighting",
    "further": "Further views per day to the next sighting",
}
HEADS: Final[dict[Label, Objective]] = {"growth": "growth", "further": "views"}
TIES: Final = 5
"""Works that a rule holds for equal are put in random order, so many times."""
SPLIT: Final = 0.6
"""Part of the days that is fitted where a table is split by time."""
LEAST_FIT: Final = 500
"""Examples without which nothing is fitted."""
FITTED: Final = "*coefficients fitted as said*"
LEARNED: Final = "*the same with a model learned as said*"
YOUNGEST_IN_ORDER: Final = "youngest first, ties in the table's order"


class Judged(NamedTuple):
    """One order on one label: means over days with 95 % intervals."""

    ndcg: Interval
    ndcg_by_rank: Interval
    spearman: Interval
    precision: Interval


def rules(examples: Examples) -> dict[str, Column]:
    """The simple rules. Age without a time of publication is that since the first sighting, an hour at least."""
    columns = examples.columns
    likes, comments = np.nan_to_num(columns.likes), np.nan_to_num(columns.comments)
    age = np.where(np.isnan(columns.age_days), columns.seen_days, columns.age_days)
    hours = np.maximum(age * 24.0, 1.0)
    views = np.maximum(columns.views, 1.0)
    velocity = (columns.views - columns.before_views) / columns.before_gap_days
    by_age = views / np.maximum(age, 1.0)
    engaged = 1.0 + 10.0 * (likes + comments) / views
    return {
        "random": np.random.default_rng(0).random(len(views)),
        "view count": views,
        "like ratio": likes / views,
        "the predecessor's score": np.clip(views / hours / 100.0 * engaged, 1.0, 99.0),
        "views per hour of age": views / hours,
        "measured velocity": np.where(np.isnan(velocity), by_age, velocity),
        "youngest first": -age,
    }


def ranker(columns: Columns, objective: Objective, by: Coefficients = SHIPPED, model: Model | None = None) -> Column:
    """The order of `ettametta rank`."""
    parts = parts_of(columns, objective, by)
    if model is not None:
        columns = columns._replace(learned=model.residuals(inputs_of(columns, parts)))
        parts = parts_of(columns, objective, by)
    return scores_of(values_of(columns, parts, objective), objective)


def judge(examples: Examples, scores: Column, label: Label, *, ties: bool = True) -> Judged:
    """Judge an order day by day. ties: in random order; else in that of the rows."""
    gains: Column = getattr(examples, label)
    rng, daily = np.random.default_rng(1), []
    for rows in days_of(examples.day):
        ordered = ranks_of(scores[rows])
        draws = [judged(ordered + (rng.random(len(rows)) * 0.4 if ties else 0.0), gains[rows]) for _ in range(TIES)]
        found = np.mean(draws, axis=0)
        found[2] = judged(ordered, gains[rows])[2]
        daily.append(found)
    table = np.array(daily)
    return Judged(*(interval(table[:, column]) for column in range(4)))


def left_out(tables: Sequence[tuple[Table, Examples]], at: int) -> list[Examples]:
    """Return what may be fitted to judge table `at`: the others, without the days that it shows too, and its videos."""
    mine, theirs = tables[at][0], []
    names = {work.id for work in mine.works}
    for number, (table, examples) in enumerate(tables):
        if number == at:
            continue
        fresh = np.array([table.works[work].id not in names for work in examples.work.tolist()], dtype=bool)
        if fresh.mean() < 0.5:
            continue  # mostly the same videos: the same table in another form
        theirs.append(only(examples, fresh))
    return theirs


def by_time(examples: Examples) -> tuple[Examples, Examples]:
    """Split at a day: fit before it, judge from it on; no video is on both sides."""
    days = np.unique(examples.day)
    split = days[int(len(days) * SPLIT)]
    late = examples.day >= split
    early = (examples.until < split) & ~np.isin(examples.work, examples.work[late])
    return only(examples, early), only(examples, late)


def orders(
    tables: Sequence[tuple[Table, Examples]], at: int
) -> Iterator[tuple[str, Examples, Mapping[str, tuple[Mapping[Label, Column], bool]]]]:
    """Give each way to judge a table: what it is called, the examples, and by name the orders on each label."""
    _, examples = tables[at]
    others = left_out(tables, at)
    early, late = by_time(examples)
    for name, judged_on, fit_on in (
        ("All days; fitted to the other tables", examples, others),
        ("Last 40 % of the days; fitted to the first 60 %", late, [early]),
    ):
        found: dict[str, tuple[Mapping[Label, Column], bool]] = {
            rule: (dict.fromkeys(LABELS, scores), True) for rule, scores in rules(judged_on).items()
        }
        found[YOUNGEST_IN_ORDER] = (dict.fromkeys(LABELS, rules(judged_on)["youngest first"]), False)
        for objective in OBJECTIVES:
            scores = ranker(judged_on.columns, objective)
            found[f"`--objective {objective}`"] = (dict.fromkeys(LABELS, scores), True)
        if fit_on and sum(len(one.day) for one in fit_on) > LEAST_FIT:
            by, model = fit_coefficients(fit_on), Model(fitted(_together(fit_on)), version="backtest")
            found[FITTED] = (_heads(judged_on.columns, by), True)
            found[LEARNED] = (_heads(judged_on.columns, by, model), True)
        yield name, judged_on, found


def _heads(columns: Columns, by: Coefficients = SHIPPED, model: Model | None = None) -> dict[Label, Column]:
    return {label: ranker(columns, head, by, model) for label, head in HEADS.items()}


def _together(tables: Sequence[Examples]) -> Examples:
    """Put tables together; works keep numbers of their own."""
    first = np.cumsum([0, *(int(table.work.max(initial=-1)) + 1 for table in tables)])
    work: NDArray[np.int64] = np.concatenate(
        [table.work + number for table, number in zip(tables, first[:-1], strict=True)]
    )
    columns = Columns(*(np.concatenate(each) for each in zip(*(table.columns for table in tables), strict=True)))
    rest = [np.concatenate(each) for each in zip(*(table[1:] for table in tables), strict=True)]
    return Examples(columns, rest[0], work, *rest[2:])


def report(paths: Sequence[Path]) -> Iterator[str]:
    """Give the lines of the report, in Markdown."""
    read = [read_table(path) for path in paths]
    tables = [(table, examples_of(table.works)) for table in read]
    leads: list[str] = []
    for at, (table, examples) in enumerate(tables):
        days = [len(rows) for rows in days_of(examples.day)]
        if not days:
            yield f"### {table.name}\n\nNo day has ten videos that were seen again: nothing can be judged.\n"
            continue
        lacks = f" No {', no '.join(table.lacks)}." if table.lacks else ""
        yield f"### {table.name}\n"
        yield f"{len(table.works):,} videos; {len(days)} days with {np.mean(days):.0f} candidates each.{lacks}\n"
        for name, judged_on, found in orders(tables, at):
            for label in LABELS:
                yield f"{name}. {WORDS[label]}.\n"
                yield "| order | NDCG@20 | NDCG@20, gain by rank | Spearman | precision@10 |\n|---|---|---|---|---|"
                results = {
                    order: judge(judged_on, scores[label], label, ties=ties) for order, (scores, ties) in found.items()
                }
                for order, result in results.items():
                    shown = f"**{order}**" if order == _shipped(label) else order
                    yield f"| {shown} | {' | '.join(_cell(one) for one in result)} |"
                yield ""
                leads.append(_lead(f"{table.name} | {name.split(';')[0]} | {label}", label, results))
    yield "### Leads over the best simple rule of each table\n"
    yield "As shipped / coefficients fitted as said / with a model learned as said (the best rule).\n"
    yield "| table | days | label | NDCG@20 | NDCG@20, gain by rank | Spearman | precision@10 |"
    yield "|---|---|---|---|---|---|---|"
    yield from leads


def _lead(name: str, label: Label, results: Mapping[str, Judged]) -> str:
    simple = [order for order in results if order[0] not in "`*" and order != YOUNGEST_IN_ORDER]
    ours = [results[order] for order in (_shipped(label), FITTED, LEARNED) if order in results]
    cells = []
    for column in ("ndcg", "ndcg_by_rank", "spearman", "precision"):
        best = max(simple, key=lambda order: getattr(results[order], column).mean)
        bar = getattr(results[best], column).mean
        told = " / ".join(f"{getattr(one, column).mean / bar - 1.0:+.1%}" for one in ours)
        cells.append(f"{told} ({best})")
    return f"| {name} | {' | '.join(cells)} |"


def _shipped(label: Label) -> str:
    return f"`--objective {HEADS[label]}`"


def _cell(found: Interval) -> str:
    return f"{found.mean:.3f} ({found.low:.3f}-{found.high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.csv")
    parser.add_argument("--write", type=Path, help="put the report between the marks of this page")
    given = parser.parse_args()
    paths = given.files or sorted(SHARED.glob("*.csv"))
    if not paths:
        sys.exit(f"no tables in {SHARED}: name files")
    began, lines = time.perf_counter(), []
    for line in report(paths):
        print(line, flush=True)
        lines.append(line)
    print(f"\n{time.perf_counter() - began:.0f} s, {datetime.now(UTC):%Y-%m-%d}", file=sys.stderr)
    if given.write:
        page = given.write.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN, 1)
        after = rest.split(END, 1)[1]
        given.write.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
