"""`hfmap status`: what is fresh, stale and failed, what was spent, and the last runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from engine import queries
from engine.cli._options import database_path, db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._text import dollars, duration, plain, size

if TYPE_CHECKING:
    from engine.queries.overview import Status

_WAYS = {
    "fit": "all laid out together",
    "refit": "all laid out again, from where they were",
    "placed": "changed ones placed among their neighbours",
}
_NAMERS = {"key-phrases": "key phrases", "person": "a person"}


@click.command()
@db_option
@json_option
def status(db: str | None, as_json: bool) -> None:
    """Show what is fresh, stale, failed and spent, and the last runs."""
    output = Output("json" if as_json else "human")
    with reading(db) as conn:
        from engine.queries.overview import runs_to_give_up

        facts, most_runs = queries.status(conn, database_path(db)), runs_to_give_up(conn)
    if as_json:
        output.json(asdict(facts), indent=2)
        return
    _datasets(output, facts)
    output.data("")
    _stages(output, facts, most_runs)
    output.data("")
    _map(output, facts)
    _money(output, facts)
    _runs(output, facts)


def _datasets(output: Output, facts: Status) -> None:
    line = output.data
    wal = f" ({size(facts.wal_bytes)} of it not yet merged from the -wal file)" if facts.wal_bytes else ""
    line(f"{facts.database}  {size(facts.bytes)}{wal}")
    line(f"{facts.datasets:,} datasets known, {facts.listed:,} in the newest listing, {facts.on_map:,} on the map")
    if facts.cards:
        line("cards: " + ", ".join(f"{count:,} {name}" for name, count in facts.cards.items()))


def _stages(output: Output, facts: Status, most_runs: int) -> None:
    line = output.data
    line(f"{'stage':<10}{'fresh':>9}{'stale':>9}{'failed':>9}  made by")
    for stage in facts.stages:
        numbers = "".join(f"{count:>9,}" for count in (stage.fresh, stage.stale, stage.failed))
        line(f"{stage.stage:<10}{numbers}  {plain(stage.provider)} {plain(stage.model)}")
    if not facts.stages:
        line("nothing enriched yet")
    for failure in facts.failures:
        kept = failure.items - failure.parked
        again = "" if failure.kind == "permanent" or not kept else ", will be tried again"
        again += f", {failure.parked:,} given up" if failure.parked else ""
        line(f"failed: {failure.stage}: {failure.items:,} × {plain(failure.reason)}{again}")
    if parked := sum(stage.parked for stage in facts.stages):
        line(f"{parked:,} given up after failing in {most_runs} runs; try again with: hfmap sync --retry-failed")
    if facts.quotes:
        shares = (f"{q.field} {_percent(q.verified, q.quoted)}" for q in facts.quotes)
        line("quotes that are in the card: " + ", ".join(shares))


def _map(output: Output, facts: Status) -> None:
    line = output.data
    if layout := facts.layout:
        parts = [f"{layout.points:,} points, {layout.created_at}, {_WAYS.get(layout.made_by, '')}"]
        if layout.changed:
            parts.append(f"{_percent(layout.changed, layout.points)} changed since all were laid out together")
        if layout.missing:
            parts.append(f"{layout.missing:,} on the map are not in it as they are now")
        if layout.gone:
            parts.append(f"{layout.gone:,} in it have left the map")
        if layout.other_vectors:
            parts.append("its vectors are of another embedder than the one in force")
        line(f"layout: {', '.join(parts)}")
        topics = facts.topics
        if layout.missing or layout.gone or layout.other_vectors or (topics and topics.of_older_layout):
            how = ", which will lay all of it out again" if layout.refit_due else ""
            line(f"bring the map up to date with: hfmap map{how}")
    if topics := facts.topics:
        parts = [f"{topics.topics:,} in {topics.layers} layers", topics.created_at]
        if topics.changed:
            parts.append(f"{topics.changed:,} datasets changed since they were found")
        if topics.of_older_layout:
            parts.append("found in an older layout")
        named = (f"{count:,} by {plain(_NAMERS.get(who, who))}" for who, count in topics.named_by.items())
        line(f"topics: {', '.join(parts)}; named: {', '.join(named)}")
    for page in facts.pages:
        line(f"page: {plain(page.path)}, {page.created_at}")


def _money(output: Output, facts: Status) -> None:
    line = output.data
    line(f"spent: {dollars(facts.usd)}" + (" in all" if facts.spent else ""))
    for spent in facts.spent:
        read = spent.input_tokens + spent.cache_write_tokens + spent.cache_read_tokens
        tokens = f"{read:,} tokens in, {spent.output_tokens:,} out"
        if spent.cache_read_tokens:
            saved = f", which saved {dollars(spent.cache_saved_usd)}" if spent.cache_saved_usd is not None else ""
            tokens += f"; {spent.cache_read_tokens:,} read from the cache{saved}"
        line(f"  {plain(spent.model)}: {dollars(spent.usd)} for {spent.calls:,} calls, {tokens}")


def _runs(output: Output, facts: Status) -> None:
    line = output.data
    if facts.runs:
        line("last runs:")
    for place, run in enumerate(facts.runs):
        took = duration(run.seconds) if run.seconds is not None else "not finished"
        source = f" {plain(run.source)}" if run.source else ""
        line(f"  {run.run_id}  {run.started_at}  {run.command}{source}: {run.outcome}, {took}, {dollars(run.usd)}")
        if run.counts:
            line("     " + ", ".join(f"{plain(name)} {count}" for name, count in run.counts.items()))
        seconds = {name: value for name, value in run.stage_seconds.items() if isinstance(value, int | float)}
        if seconds and place == 0:
            line("     took: " + ", ".join(f"{plain(name)} {duration(value)}" for name, value in seconds.items()))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"
