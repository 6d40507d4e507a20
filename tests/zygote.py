"""hfmap in processes that start at once: forked from one that has imported all that a sync needs.

A process of its own takes two seconds for imports alone, and one that draws a map twenty for imports and compilation.
Tests start it here: a forked run is a whole process, with connections, threads and a database of its own, and `kill -9`
ends it as it ends any other. What a command imports, and how soon it starts, is tested in processes from nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.conftest import ROOT, Run, clean_environment

LONGEST = 280.0
"""Seconds after which a run that does not end is killed."""

FOR_FORKS = {"OPENBLAS_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue", "TOKENIZERS_PARALLELISM": "false"}
"""A pool of threads does not survive a fork: OpenBLAS and tokenizers do without one, Numba takes the one that does."""


class Forked:
    """A running or ended process of hfmap."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self.pid = pid
        self._zygote = zygote
        self._code: int | None = None

    def kill(self) -> int:
        """End it with SIGKILL; return how it ended: -9, or its exit code if it was over before."""
        if self._code is None:
            os.kill(self.pid, 9)
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended; return its exit code, or the signal's number, negative."""
        if self._code is None:
            self._code = int(self._zygote.ask({"wait": self.pid}))
        return self._code


class Zygote:
    """Use as a context manager; `start` runs hfmap in a folder, where `hfmap.out` and `hfmap.log` take what it says."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=clean_environment(HF_HUB_DISABLE_TELEMETRY="1", **FOR_FORKS),
        )  # fmt: skip
        self._warm = False
        assert self.ask({}) == "ready"
        return self

    def warm(self) -> None:
        """Draw a map, so that runs started from now on find the passes' libraries imported and compiled."""
        if not self._warm:
            with tempfile.TemporaryDirectory() as folder:
                assert self.ask({"warm": folder}) == 0
            self._warm = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=30)

    def start(self, folder: Path, env: dict[str, str], *arguments: str) -> Forked:
        """Run `hfmap ARGUMENTS` in a folder."""
        return self._start(folder, folder, env, arguments)

    def _start(self, folder: Path, words: Path, env: dict[str, str], arguments: Sequence[str]) -> Forked:
        return Forked(self, int(self.ask({"start": [str(folder), str(words), env, list(arguments)]})))

    def runner(self, folder: Path) -> Run:
        """What the fixture `run_hfmap` is, at a fraction of the time: run hfmap, check how it ended, return its words."""

        def run(
            *arguments: object, env: dict[str, str] | None = None, code: int | None = 0, cwd: Path = folder
        ) -> subprocess.CompletedProcess[str]:
            words = [str(word) for word in arguments]
            with tempfile.TemporaryDirectory() as said:
                # Not into the folder itself: what a command leaves there is the test's business.
                run = self._start(cwd, Path(said), clean_environment(**(env or {})), words)
                killer = threading.Timer(LONGEST, os.kill, (run.pid, signal.SIGKILL))
                killer.start()
                ended = run.wait()
                killer.cancel()
                out, log = ((Path(said) / name).read_text(encoding="utf-8") for name in ("hfmap.out", "hfmap.log"))
            assert "Traceback" not in log, log
            if code is not None:
                assert ended == code, f"exit code {ended}\n{log}\n{out[-2000:]}"
            return subprocess.CompletedProcess(words, ended, out, log)

        return run

    def ask(self, question: dict[str, Any]) -> Any:
        """Send a command to the process and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _draw(folder: str) -> int:
    """Draw the map of a few cards in this very process."""
    from engine.cli.app import hfmap

    command = ["sync", "--source", "sample", "--quiet", "--db", f"{folder}/hfmap.sqlite", "--out", f"{folder}/site"]
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        return int(hfmap.main(command, standalone_mode=False) or 0)


def _run(folder: str, said: str, env: dict[str, str], arguments: list[str]) -> None:
    for stream, name in ((1, "hfmap.out"), (2, "hfmap.log")):
        os.dup2(os.open(Path(said) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env, **FOR_FORKS)
    sys.argv = ["hfmap", *arguments]
    from engine.cli import main

    main()


def _serve() -> None:
    import anthropic
    import cohere
    import huggingface_hub

    anthropic.AsyncAnthropic, cohere.AsyncClientV2, huggingface_hub.HfApi  # noqa: B018 - imported when first used
    for line in sys.stdin:
        question = json.loads(line)
        answer: Any = "ready"
        if "start" in question:
            answer = os.fork()
            if answer == 0:
                sys.stdin.close()
                _run(*question["start"])
                os._exit(0)
        elif "warm" in question:
            answer = _draw(question["warm"])
        elif "wait" in question:
            answer = os.waitstatus_to_exitcode(os.waitpid(question["wait"], 0)[1])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
