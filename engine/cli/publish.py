"""`hfmap publish`: the finished page as a folder for GitHub Pages, or as a static Space."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli._options import json_option, read_settings
from engine.cli._output import Output
from engine.cli._text import plain
from engine.errors import UsageError
from engine.providers import load_secrets


@click.command()
@click.option("--pages", metavar="DIR", help="Make DIR a folder that GitHub Pages can serve.")
@click.option("--space", metavar="OWNER/NAME", help="Show what a static Space would get; with --send, send it.")
@click.option("--send", is_flag=True, help="Really send it to the Space. Needs HF_TOKEN.")
@click.option("--out", metavar="DIR", help="Where the page is. [default: site]")
@json_option
def publish(pages: str | None, space: str | None, send: bool, out: str | None, as_json: bool) -> int:
    """Publish the page: as a folder for GitHub Pages, or as a static Space on the Hub.

    DIR is replaced whole, and only if it is new, empty, or was made by this command. Nothing is sent to the Hub
    without --send. Only the page's own files are published.
    """
    secrets = load_secrets()
    output = Output("json" if as_json else "human", redact=secrets.redact)
    if (pages is None) == (space is None):
        raise UsageError("hfmap publish takes --pages DIR or --space OWNER/NAME.", hint="Each by itself.")
    if send and space is None:
        raise UsageError("--send goes with --space: --pages sends nothing.")
    where = read_settings({"out": out}).out
    from render import publish as site

    items: list[site.SiteFile] = []
    said, address = "", None
    if pages is not None:
        target = Path(pages).expanduser()
        items = site.write_pages(where, target)
        address = str(target)
        said = f"Written to {target}: commit it, and let GitHub Pages serve it."
    elif space is not None:
        site.check_space_id(space)
        items = site.space_items(where)
        said = f"Nothing was sent. With --send this goes to the Space {space}."
        if send:
            address = site.send_to_space(items, space, endpoint=secrets.hub_address, token=secrets.hub)
            said = f"Sent to {address}"
        elif not secrets.hub:
            said += " It needs a token that may write, in HF_TOKEN."
    total = sum(item.size for item in items)
    if as_json:
        output.json(
            {
                "files": [{"name": item.name, "bytes": item.size} for item in items],
                "bytes": total,
                "sent": send,
                "address": address,
            }
        )
        return 0
    for item in items:
        output.data(f"{item.size:>12,}  {plain(item.name)}")
    output.data(f"{total:>12,}  bytes in {len(items):,} files")
    output.say(said)
    if not any(item.name == "preview.png" for item in items):
        output.say("It has no picture for previews of links: `hfmap map --png FILE` draws one.")
    return 0
