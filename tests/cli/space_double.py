"""The Hub's endpoints that writing a Space takes, on this machine."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_abcdefghijklmnop"
SHA = "0" * 40


class Hub(ThreadingHTTPServer):
    """`files`: what is in each Space. Tokens other than TOKEN are refused; `fail_commits` answers commits with 500."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.created: list[dict[str, Any]] = []
        self.commits = 0
        self.fail_commits = False
        self.seen: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.server.seen.append(f"{self.command} {path}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid username or password."})
        if path == "/api/repos/create":
            return self.create(json.loads(raw))
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if not path.startswith("/api/spaces/"):
            return self.answer(404, {"error": path})
        owner, name, *rest = path.removeprefix("/api/spaces/").split("/")
        repo_id = f"{owner}/{name}"
        files = self.server.files.get(repo_id)
        if files is None:
            return self.answer(404, {"error": "no such Space"})
        if rest[:1] == ["tree"]:
            tree = [{"type": "file", "path": p, "size": len(c), "oid": SHA} for p, c in files.items()]
            return self.answer(200, tree)
        if rest[:1] == ["preupload"]:
            modes = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for f in json.loads(raw)["files"]
            ]
            return self.answer(200, {"files": modes})
        if rest[:1] == ["commit"]:
            return self.commit(repo_id, raw)
        info = {"id": repo_id, "sha": SHA, "private": False, "tags": [], "siblings": [{"rfilename": p} for p in files]}
        return self.answer(200, info)

    do_GET = do_POST = handle_one  # noqa: N815 - the names that http.server calls

    def create(self, wanted: dict[str, Any]) -> None:
        self.server.created.append(wanted)
        repo_id = f"{wanted.get('organization', 'ada')}/{wanted['name']}"
        address = f"{self.server.address}/spaces/{repo_id}"
        if repo_id in self.server.files:
            return self.answer(409, {"error": "You already created this space repo", "url": address})
        self.server.files[repo_id] = {".gitattributes": b"", "README.md": b"---\nsdk: static\n---\n"}
        return self.answer(200, {"url": address, "name": repo_id})

    def commit(self, repo_id: str, raw: bytes) -> None:
        if self.server.fail_commits:
            return self.answer(400, {"error": "not now"})
        files = dict(self.server.files[repo_id])
        for line in raw.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "deletedFile":
                del files[entry["value"]["path"]]
        self.server.files[repo_id] = files
        self.server.commits += 1
        url = f"{self.server.address}/spaces/{repo_id}/commit/{SHA}"
        return self.answer(200, {"success": True, "commitOid": SHA, "commitUrl": url})


@contextmanager
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
