"""`hfmap sync --dry-run`, and the question before a run that costs more than a little. Both only look."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.cli._output import Output
from engine.cli._text import dollars, plain
from engine.config import Secrets, Settings
from engine.errors import StoreError
from engine.events import Bus
from engine.providers import embedder_in_use, llm_in_use
from engine.run.foresight import foresee

if TYPE_CHECKING:
    from engine.pipeline.estimate import Estimate

ASK_ABOVE = 1.0
"""US dollars that a run may cost without being asked about."""


def run_dry(settings: Settings, secrets: Secrets, output: Output, bus: Bus) -> int:  # noqa: ARG001
    """Show, stage by stage, what a sync would do and what that would cost; return the exit code.

    Raises:
        HfmapError: the source or the database cannot be read, or a key is missing.
    """
    if settings.source == "hub":
        output.say("Listing the Hub …")
    found = foresee(settings, secrets)
    if settings.json:
        output.json(as_json(found), indent=2)
    else:
        _print(output, settings, found)
    return 0


def confirm_cost(settings: Settings, secrets: Secrets, output: Output) -> bool:
    """Ask before a run that may cost over ASK_ABOVE; True where nothing is to be asked, or nobody is there to answer.

    Raises:
        HfmapError: as `run_dry`.
    """
    used = (embedder_in_use(settings, secrets), llm_in_use(settings, secrets))
    bounded = settings.budget is not None and settings.budget <= ASK_ABOVE
    if settings.yes or bounded or not output.interactive or not any(choice.row.paid for choice in used):
        return True
    output.say("Looking up what is due …")
    try:
        found = foresee(settings, secrets)
    except StoreError as error:
        # A database of an earlier version is brought up to date by the run; until then nothing can be counted in it.
        output.say(str(error))
        return output.confirm("What this run will cost cannot be foreseen. Go on?")
    if found.usd <= ASK_ABOVE:
        return True
    sum_ = dollars(found.usd) if settings.budget is None else dollars(min(found.usd, settings.budget))
    return output.confirm(
        f"This run may cost up to {sum_} (list prices of {found.prices_as_of}). It may be less: cards that turn out "
        "unchanged or too short cost nothing. Go on?"
    )


def as_json(found: Estimate) -> dict[str, Any]:
    """Return an estimate as JSON values."""
    return {**asdict(found), "usd": found.usd, "usd_due": found.usd_due}


def _print(output: Output, settings: Settings, found: Estimate) -> None:
    line, cards = output.data, found.cards
    line(f"{found.on_map:,} datasets will be on the map, from {cards.looked_at:,} looked at")
    line(f"cards: {cards.ask:,} to ask for, {cards.new:,} new, {cards.unchanged:,} unchanged")
    line("")
    heads = ("fresh", "due", "perhaps", "calls", "tokens in", "cached", "tokens out", "cost")
    widths = (9, 9, 9, 9, 13, 13, 12, 10)
    line(
        f"{'stage':<10}" + "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)) + "  made by"
    )
    for stage in found.stages:
        usage = stage.usage
        tokens_in = usage.input + usage.cache_write + usage.cache_read
        numbers = (stage.fresh, stage.due, stage.unread, stage.calls, tokens_in, usage.cache_read, usage.output)
        cells = [*(f"{number:,}" for number in numbers), dollars(stage.usd)]
        row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        line(f"{stage.stage:<10}{row}  {plain(stage.provider)} {plain(stage.model)}")
    line("")
    most = ""
    if any(stage.unread for stage in found.stages):
        most = " at most"
        line("perhaps: only if cards that are still to be read turn out new or changed, and long enough")
    known = ""
    if found.usd_due != found.usd:
        known = (
            f", of it {dollars(found.usd_due)} for what is known to be due" if found.usd_due else ", none of it sure"
        )
    if not found.usd:
        line("cost: nothing")
        return
    line(f"cost: about {dollars(found.usd)}{most}{known} (list prices of {found.prices_as_of})")
    for stage in found.stages:
        if not stage.priced:
            line(f"{plain(stage.model)} is not in the price table; the dearest known price is taken for it")
    if found.cheaper is not None:
        line(f"the same work with --model {found.cheaper.model}: {dollars(found.cheaper.usd)}")
    if settings.budget is not None and found.usd > settings.budget:
        line(f"the budget of {dollars(settings.budget)} may end it before all is done")
