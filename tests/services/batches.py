"""The Message Batches API of Anthropic's double: create, retrieve, list, results, cancel, delete."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from tests.services.faults import chance
from tests.services.messages import Request, Response
from tests.services.service import Route

if TYPE_CHECKING:
    from tests.services.anthropic import AnthropicDouble

MOST_REQUESTS = 100_000
Outcome = Literal["succeeded", "errored", "canceled", "expired"]
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass
class Batch:
    """One batch; `lines` are its results, made when it ends, in an order of their own."""

    id: str
    requests: list[dict[str, Any]]
    host: str
    ends_at: float
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    canceled: datetime | None = None
    ended: datetime | None = None
    lines: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def status(self) -> str:
        """in_progress, canceling or ended."""
        if self.ended is not None:
            return "ended"
        return "canceling" if self.canceled is not None else "in_progress"

    def row(self) -> dict[str, Any]:
        """What the API says about it."""
        unfinished = 0 if self.ended else len(self.requests)
        outcomes = {name: self.counts[name] for name in ("succeeded", "errored", "canceled", "expired")}
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": self.status,
            "request_counts": {"processing": unfinished, **outcomes},
            "created_at": _time(self.created),
            "expires_at": _time(self.created + timedelta(hours=24)),
            "ended_at": _time(self.ended),
            "cancel_initiated_at": _time(self.canceled),
            "archived_at": None,
            "results_url": f"http://{self.host}/v1/messages/batches/{self.id}/results" if self.ended else None,
        }


class Batches:
    """All batches.

    Attributes:
        seconds: how long a batch takes. None: until `finish` is called.
        outcome: scripts the outcome of one request from (custom_id, params); None: succeeded, or errored
            where the API would refuse the request.
        calls: (kind, key) of every request that was answered in a batch.
    """

    def __init__(self, service: AnthropicDouble) -> None:
        self.seconds: float | None = 0.0
        self.outcome: Callable[[str, dict[str, Any]], Outcome | None] | None = None
        self.calls: Counter[tuple[str, str]] = Counter()
        self.by_id: dict[str, Batch] = {}
        self._service = service

    def finish(self, batch_id: str | None = None) -> None:
        """End one batch, or all."""
        with self._service.board.lock:
            for batch in self.by_id.values():
                if batch_id in (None, batch.id):
                    batch.ends_at = 0.0
                    self._settle(batch)

    def route(self, request: Request, batch_id: str | None, verb: str | None) -> Route:
        """Where a request under /v1/messages/batches leads."""
        if batch_id is None:
            if request.method != "POST":
                return Route("batch", "list", lambda _f: self._list())
            asked = request.json()
            ids = tuple(str(one.get("custom_id")) for one in asked.get("requests", ()))
            return Route("batch", "create", lambda _f: self._create(request, asked), ids)
        return Route("batch", batch_id, lambda _f: self._one(request, batch_id, verb))

    def _create(self, request: Request, asked: dict[str, Any]) -> Response:
        requests = asked.get("requests") or []
        ids = [one.get("custom_id") for one in requests]
        if not requests or len(requests) > MOST_REQUESTS:
            return self._service.error(400, f"requests: between 1 and {MOST_REQUESTS} are required", request)
        if len(set(ids)) < len(ids):
            return self._service.error(400, "requests: custom_id must be unique", request)
        if not all(isinstance(one, str) and _CUSTOM_ID.fullmatch(one) for one in ids):
            return self._service.error(400, "requests: custom_id must match ^[a-zA-Z0-9_-]{1,64}$", request)
        until = float("inf") if self.seconds is None else time.monotonic() + self.seconds
        name = f"msgbatch_{len(self.by_id) + 1:012d}"
        batch = Batch(name, requests, request.headers.get("host", ""), until)
        self.by_id[name] = batch
        return Response.of_json(batch.row())

    def _list(self) -> Response:
        for batch in self.by_id.values():
            self._settle(batch)
        rows = [batch.row() for batch in reversed(self.by_id.values())]
        ids = [row["id"] for row in rows] or [None]
        return Response.of_json({"data": rows, "has_more": False, "first_id": ids[0], "last_id": ids[-1]})

    def _one(self, request: Request, batch_id: str, verb: str | None) -> Response:
        batch = self.by_id.get(batch_id)
        if batch is None:
            return self._service.error(404, f"Message batch not found: {batch_id}", request)
        if verb == "cancel":
            if batch.status == "in_progress":
                self._settle(batch)
                batch.canceled = batch.canceled or datetime.now(UTC)
            return Response.of_json(batch.row())
        self._settle(batch)
        if verb == "results":
            if batch.ended is None:
                return self._service.error(400, "The batch has not ended.", request)
            return Response(200, b"".join(batch.lines), {"content-type": "application/x-jsonl"}, "chunked")
        if request.method == "DELETE":
            if batch.ended is None:
                return self._service.error(400, "The batch has not ended.", request)
            del self.by_id[batch_id]
            return Response.of_json({"id": batch_id, "type": "message_batch_deleted"})
        return Response.of_json(batch.row())

    def _settle(self, batch: Batch) -> None:
        """End a batch whose time has come, or which is being canceled."""
        if batch.ended is not None or (batch.canceled is None and time.monotonic() < batch.ends_at):
            return
        batch.ended = datetime.now(UTC)
        order = sorted(batch.requests, key=lambda one: chance("order", one["custom_id"]))
        for one in order:
            result = {"type": "canceled"} if batch.canceled else self._result(one["custom_id"], one["params"])
            batch.counts[result["type"]] += 1
            batch.lines.append(json.dumps({"custom_id": one["custom_id"], "result": result}).encode() + b"\n")

    def _result(self, custom_id: str, params: dict[str, Any]) -> dict[str, Any]:
        from tests.services.anthropic import RefusedRequestError, error_body, question_of

        outcome = self.outcome(custom_id, params) if self.outcome is not None else None
        if outcome in ("canceled", "expired"):
            return {"type": outcome}
        try:
            if outcome == "errored":
                raise RefusedRequestError("Internal server error", 500)
            message, _ = self._service.message(params, tier="batch")
        except RefusedRequestError as problem:
            return {"type": "errored", "error": error_body(problem.status, str(problem))}
        question = question_of(params)
        self.calls[question.kind, self._service.key_of(question)[0]] += 1
        return {"type": "succeeded", "message": message}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment is not None else None
