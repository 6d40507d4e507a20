"""The doubles in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[2]


class ServicesProcess:
    """`python -m tests.services` for a `with` block; arguments are its options: `cards=2000, jitter=0.2`."""

    def __init__(self, **options: object) -> None:
        self._options = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self._process: subprocess.Popen[str] | None = None
        self.env: dict[str, str] = {}
        self.control_url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.services", *self._options]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("the services did not start")
        ready = json.loads(line)
        self.env, self.control_url = ready["env"], ready["control"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; it stops when its standard input closes."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self._process = None

    def stats(self) -> dict[str, Any]:
        """Counters, peaks, and what the process itself used (`cpu_seconds`, `peak_rss_mib`)."""
        found: dict[str, Any] = self._ask("/__stats")
        return found

    def log(self, *kinds: str) -> list[dict[str, Any]]:
        """The log's records of these kinds or services as mappings, with `ok`."""
        found: list[dict[str, Any]] = self._ask("/__log?" + urlencode([("kind", kind) for kind in kinds]))
        return found

    def control(self, **changes: Any) -> None:
        """Change latency, faults or datasets; see `Control.apply`."""
        self._ask("/__control", json.dumps(changes).encode())

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        request = Request(self.control_url + path, data=body, headers={"content-type": "application/json"})
        with urlopen(request, timeout=60) as response:
            return json.load(response)
