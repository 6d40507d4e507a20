"""hfmap in processes that start at once: forked from one that has imported and rehearsed all that a sync needs.

A process of its own takes two seconds for imports, two more for the types that clients make when they are first used,
and one that draws a map twenty for compilation. Tests start it here: a forked run is a whole process, with connections,
threads and a database of its own, and `kill -9` ends it as it ends any other. What a command imports, and how soon it
starts, is tested in processes from nothing.

All workers of a session share one such process, and a second one for runs that draw: whoever needs it first starts it,
and it ends when the last of them has hung up.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from filelock import FileLock

from tests.conftest import ROOT, Run, clean_environment

LONGEST = 280.0
"""Seconds after which a run that does not end is killed."""

FOR_FORKS = {"OPENBLAS_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue", "TOKENIZERS_PARALLELISM": "false"}
"""A pool of threads does not survive a fork: OpenBLAS and tokenizers do without one, Numba takes the one that does."""

SPEED = 10.0
"""How fast hfmap's own waits pass in a forked run (see `engine.calls.clock`)."""


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
    """Use as a context manager; `start` runs hfmap in a folder, where `hfmap.out` and `hfmap.log` take what it says.

    Args:
        shared: a folder of this session, the same for all of its workers.
        draws: whether what the passes import and compile is there already when a run starts.
    """

    def __init__(self, shared: Path, *, draws: bool = False) -> None:
        self._port = shared / ("drawing.port" if draws else "zygote.port")
        self._flags = ["draws"] if draws else []

    def __enter__(self) -> Self:
        with FileLock(self._port.with_suffix(".lock")):
            try:
                self._socket = socket.create_connection(("127.0.0.1", int(self._port.read_text())))
            except (OSError, ValueError):
                port = subprocess.run(
                    [sys.executable, "-m", "tests.zygote", *self._flags], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                    env=clean_environment(HF_HUB_DISABLE_TELEMETRY="1", **FOR_FORKS), check=True,
                )  # fmt: skip
                self._port.write_text(port.stdout)
                self._socket = socket.create_connection(("127.0.0.1", int(port.stdout)))
        self._lines = self._socket.makefile("rw", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._socket.close()

    def start(self, folder: Path, env: dict[str, str], *arguments: str, speed: float = SPEED) -> Forked:
        """Run `hfmap ARGUMENTS` in a folder; its own waits pass at `speed`."""
        return self._start(folder, folder, env, arguments, speed)

    def _start(self, folder: Path, words: Path, env: dict[str, str], arguments: Sequence[str], speed: float) -> Forked:
        return Forked(self, int(self.ask({"start": [str(folder), str(words), env, list(arguments), speed]})))

    def runner(self, folder: Path) -> Run:
        """What the fixture `run_hfmap` is: run hfmap, check how it ended, return its words."""

        def run(
            *arguments: object,
            env: dict[str, str] | None = None,
            code: int | None = 0,
            cwd: Path = folder,
            speed: float = SPEED,
        ) -> subprocess.CompletedProcess[str]:
            words = [str(word) for word in arguments]
            with tempfile.TemporaryDirectory() as said:
                # Not into the folder itself: what a command leaves there is the test's business.
                run = self._start(cwd, Path(said), clean_environment(**(env or {})), words, speed)
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
        self._lines.write(json.dumps(question) + "\n")
        self._lines.flush()
        return json.loads(self._lines.readline())


class _Server:
    """The process that forks. It has one thread: a fork takes no other along, and none of their locks."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._clients: dict[socket.socket, bytes] = {}
        self._runs: dict[int, int] = {}
        """By process id, what tells of its end."""
        self._ended: dict[int, int] = {}
        self._asked: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer until the last client has hung up; then end what still runs."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    client, _ = self._listener.accept()
                    self._clients[client] = b""
                    self._selector.register(client, selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)
                else:
                    self._reap(key.data)
            if not self._clients:
                break
        for pid in self._runs:
            os.kill(pid, signal.SIGKILL)

    def _read(self, client: socket.socket) -> None:
        try:
            received = client.recv(1 << 20)
        except ConnectionError:
            received = b""
        if not received:
            self._selector.unregister(client)
            del self._clients[client]
            client.close()
            return
        *lines, self._clients[client] = (self._clients[client] + received).split(b"\n")
        for line in lines:
            question = json.loads(line)
            if "start" in question:
                self._tell(client, self._fork(*question["start"]))
            else:
                self._asked[question["wait"]] = client
                self._tell_end(question["wait"])

    def _fork(self, folder: str, said: str, env: dict[str, str], arguments: list[str], speed: float) -> int:
        pid = os.fork()
        if pid == 0:
            for stream in (self._listener, *self._clients):
                stream.close()
            self._selector.close()
            for watch in self._runs.values():
                os.close(watch)
            _run(folder, said, env, arguments, speed)
        self._runs[pid] = os.pidfd_open(pid)
        self._selector.register(self._runs[pid], selectors.EVENT_READ, pid)
        return pid

    def _reap(self, pid: int) -> None:
        watch = self._runs.pop(pid)
        self._selector.unregister(watch)
        os.close(watch)
        self._ended[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._tell_end(pid)

    def _tell_end(self, pid: int) -> None:
        if pid in self._ended and pid in self._asked:
            self._tell(self._asked.pop(pid), self._ended.pop(pid))

    def _tell(self, client: socket.socket, answer: int) -> None:
        with contextlib.suppress(OSError):
            client.sendall(f"{answer}\n".encode())


def _run(folder: str, said: str, env: dict[str, str], arguments: list[str], speed: float) -> NoReturn:
    from engine.calls import clock
    from engine.cli import main

    for stream, name in ((1, "hfmap.out"), (2, "hfmap.log")):
        os.dup2(os.open(Path(said) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env, **FOR_FORKS)
    sys.argv = ["hfmap", *arguments]
    clock.turn(speed)
    main()
    sys.exit(0)


def _rehearse(*, draws: bool) -> None:
    """Use in this process what every run uses, so that its imports, types and compiled functions are there."""
    import engine.run
    from engine.calls.clock import turned
    from engine.config import Settings
    from engine.providers import load_secrets
    from tests.services import Services, generated_cards

    with (
        tempfile.TemporaryDirectory() as folder,
        Services(generated_cards(60 if draws else 2)) as services,
        turned(SPEED),
    ):
        db, out, secrets = Path(folder, "hfmap.sqlite"), Path(folder, "site"), load_secrets(services.env)
        assert engine.run.sync(Settings(db=db, out=out, no_map=not draws), secrets).exit_code == 0
        if not draws:
            assert (
                engine.run.sync(Settings(db=Path(folder, "batch.sqlite"), no_map=True, batch=True), secrets).exit_code
                == 0
            )


def _main() -> None:
    # Where a shell runs it in the background, Ctrl-C is ignored; what is forked is to obey it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _rehearse(draws="draws" in sys.argv)
    while any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        time.sleep(0.01)  # threads of the rehearsal that are about to end
    # What is never looked at by the collector is not copied by it into every fork.
    gc.collect()
    gc.freeze()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(str(listener.getsockname()[1]))
        sys.stdout.flush()
        if os.fork():
            os._exit(0)  # who has started this waits for the port, and not for the end
        os.setsid()
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 1)
        _Server(listener).serve()


if __name__ == "__main__":
    _main()
