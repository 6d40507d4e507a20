"""`hfmap topics`: the map's regions as a tree, and renaming one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from engine import queries
from engine.cli._options import correcting, db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._text import plain
from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.queries.topic_tree import TopicNode

PHRASES = 8
"""Key phrases shown of each topic; --json has all."""
EXEMPLARS = 3
LONGEST_NAME = 80
"""Characters of a name: what the page has room for, as for names by models."""


@click.command()
@click.option("--layer", type=int, metavar="N", help="Only this layer; 0 is the coarsest.")
@click.option("--rename", nargs=2, metavar="ID NAME", help="Give a topic a name that stays while the topic lives.")
@db_option
@json_option
def topics(*, layer: int | None, rename: tuple[str, str] | None, db: str | None, as_json: bool) -> None:
    """List the map's topics as a tree, with sizes, key phrases and typical datasets.

    A topic's id lives on while the topic does: refreshes and new layouts keep it, and its name.

    \b
    hfmap topics --layer 0
    hfmap topics --rename 17 "Speech of Children"
    """
    output = Output("json" if as_json else "human")
    if rename is not None:
        if layer is not None:
            raise UsageError("--rename takes a topic's id and a name alone: leave out --layer.")
        _rename(output, db, *rename)
        return
    with reading(db) as conn:
        tree = queries.topics(conn, layer)
    if as_json:
        output.json(None if tree is None else asdict(tree), indent=2)
    if tree is None:
        output.say("There are no topics yet. They are found by: hfmap sync")
    elif not as_json:
        for line in _lines(tree.topics):
            output.data(line)


def _lines(topics: Sequence[TopicNode]) -> Iterator[str]:
    """Each topic under the one it is part of; those without one (in this list) at the edge."""
    shown = {topic.id for topic in topics}
    parts: dict[int | None, list[TopicNode]] = defaultdict(list)
    for topic in topics:
        parts[topic.parent if topic.parent in shown else None].append(topic)
    width = max((len(str(i)) for i in shown), default=1)
    yield f"{'id':>{width}}  topic (datasets)"

    def walk(parent: int | None, depth: int) -> Iterator[str]:
        for topic in parts[parent]:
            mark = " *" if topic.named_by == "person" else ""
            edge = " " * (width + 2) + "  " * depth
            yield f"{topic.id:>{width}}  {'  ' * depth}{plain(topic.name)} ({topic.size:,}){mark}"
            if topic.key_phrases:
                yield f"{edge}  · {plain(', '.join(topic.key_phrases[:PHRASES]))}"
            if topic.exemplars:
                yield f"{edge}  · like {plain(', '.join(topic.exemplars[:EXEMPLARS]))}"
            yield from walk(topic.id, depth + 1)

    yield from walk(None, 0)
    if any(topic.named_by == "person" for topic in topics):
        yield "* named by a person"


def _rename(output: Output, db: str | None, wanted: str, name: str) -> None:
    if not (wanted.isascii() and wanted.isdigit()):
        raise UsageError(f"'{wanted}' is no topic's id.", hint="`hfmap topics` lists the topics with ids.")
    name = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    if len(name) > LONGEST_NAME:
        raise UsageError(f"A topic's name has at most {LONGEST_NAME} characters; this one has {len(name)}.")
    from engine.store.topics import rename_topic

    with correcting(db) as conn:
        rename_topic(conn, int(wanted), name)
    output.say(f"Topic {wanted} is now called {name!r}. The page shows it after: hfmap map")
