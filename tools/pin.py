"""Write the versions that uv resolved into pyproject.toml, as constraints that name no registry.

    uv run python tools/pin.py [--upgrade]

`uv.lock` names the host of every file, so it stays out of version control. `[tool.uv] constraint-dependencies` holds
what matters of it: with these constraints `uv run` resolves the same versions everywhere.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "pyproject.toml"
START, END = "# Written by tools/pin.py; do not edit.", "# End of what tools/pin.py writes."


def resolved() -> list[str]:
    """Return every package that uv resolves for the project, its extras and groups, as `name==version`."""
    command = ["uv", "export", "--all-extras", "--all-groups", "--no-hashes", "--no-emit-project", "--no-annotate"]
    listing = subprocess.run([*command, "--no-header", "--quiet"], cwd=ROOT, check=True, capture_output=True, text=True)
    pins = {line.strip() for line in listing.stdout.splitlines() if line.strip()}
    return sorted(pin for pin in pins if re.match(r"[A-Za-z0-9._-]+==", pin))


def write(pins: list[str]) -> None:
    """Replace the constraints in pyproject.toml."""
    text = PROJECT.read_text(encoding="utf-8")
    lines = "".join(f'  "{pin}",\n' for pin in (pin.replace('"', "'") for pin in pins))
    block = f"{START}\nconstraint-dependencies = [\n{lines}]\n{END}"
    pattern = re.compile(re.escape(START) + r".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(text):
        text = text.replace("[tool.uv]\n", f"[tool.uv]\n{START}\n{END}\n", 1)
    PROJECT.write_text(pattern.sub(lambda _: block, text), encoding="utf-8")


def main() -> None:
    """Pin what is resolved, or with --upgrade what the newest allowed versions are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that the project allows")
    if parser.parse_args().upgrade:
        write([])
        subprocess.run(["uv", "lock", "--upgrade", "--quiet"], cwd=ROOT, check=True)
    write(resolved())
    subprocess.run(["uv", "lock", "--quiet"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
