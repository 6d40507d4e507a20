"""Serve the three doubles until standard input closes.

Prints one line of JSON when ready: `env` (the variables that send hfmap here), `control` (a base URL for
/__stats, /__log and /__control) and `pid`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from tests.services.generate import generated_cards
from tests.services.services import Services


def main() -> None:
    """Read the options, serve, wait."""
    parser = argparse.ArgumentParser(prog="python -m tests.services", description=__doc__)
    parser.add_argument("--cards", type=int, default=100, help="how many datasets to make up")
    parser.add_argument("--seed", type=int, default=0)
    for share in ("short", "missing", "gated", "private", "disabled", "bad-yaml"):
        parser.add_argument(f"--{share}", type=float, default=0.0, help="share of such datasets")
    parser.add_argument("--latency-scale", type=float, default=0.0)
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--page-size", type=int, default=1000)
    parser.add_argument("--repeat-rows", type=int, default=0)
    parser.add_argument("--redirect", choices=("path", "cdn", "none"), default="path")
    parser.add_argument("--token", help="the Hub token that is accepted")
    parser.add_argument("--control", default="{}", help="changes to begin with, as POST /__control takes them")
    chosen = parser.parse_args()
    cards = generated_cards(
        chosen.cards,
        chosen.seed,
        short=chosen.short,
        missing=chosen.missing,
        gated=chosen.gated,
        private=chosen.private,
        disabled=chosen.disabled,
        bad_yaml=chosen.bad_yaml,
    )
    services = Services(
        cards,
        token=chosen.token,
        latency_scale=chosen.latency_scale,
        jitter=chosen.jitter,
        page_size=chosen.page_size,
        repeat_rows=chosen.repeat_rows,
        redirect=chosen.redirect,
    )
    with services:
        services.control.apply(json.loads(chosen.control))
        ready = {"env": services.env, "control": services.hub.server.url, "pid": os.getpid()}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
