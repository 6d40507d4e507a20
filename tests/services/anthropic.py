"""The double of Anthropic: POST /v1/messages, and what belongs to it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.services import answers
from tests.services.answers import Question
from tests.services.batches import Batches
from tests.services.board import ENRICH, Board
from tests.services.faults import chance
from tests.services.malformed import MALFORMATIONS, Malformation, malform
from tests.services.messages import Request, Response
from tests.services.service import Route, Service

CACHE_MINIMUM = 4096
"""Tokens that a prefix needs to be cached on Haiku 4.5."""
CACHE_MINIMUMS = {"claude-haiku-5-5": 512, "claude-sonnet-5-5": 512}
CACHE_SECONDS = 300.0
LIVE_MODELS = (
    "claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-haiku-5-5",
    "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "claude-sonnet-4-6", "claude-sonnet-5",
    "claude-sonnet-5-5", "claude-opus-4-5", "claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8",
    "claude-opus-5", "claude-opus-5-5",
)  # fmt: skip
"""Names that the client library lists and that are not retired."""
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip
_BATCHES = re.compile(r"/v1/messages/batches(?:/(?P<id>[\w-]+)(?:/(?P<verb>results|cancel))?)?")


@dataclass(slots=True)
class Spent:
    """Tokens of the messages answered so far."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0


class RefusedRequestError(Exception):
    """A request that the API refuses, with the status it refuses it with."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class AnthropicDouble(Service):
    """Anthropic.

    Attributes:
        answer: scripts the text of an answer from the request's body; None leaves it to `answers.answer`.
        rate_malformed: share of sound answers that go wrong in one of `malformations`, by seed, key and
            attempt (with `faults.sticky`, by seed and key). `malform_next` queues malformations for the very
            next messages.
        usage_of: scripts `usage` from (request body, usage); the changed mapping is what the client is told.
        thinking: whether models of the 5.5 family put a thinking block before the text.
        spent: tokens by model.
        batches: the Message Batches API.
    """

    name = "anthropic"

    def __init__(self, board: Board, key: str | None = None) -> None:
        super().__init__(board, key)
        self.answer: Callable[[dict[str, Any]], str | None] | None = None
        self.usage_of: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]] | None = None
        self.rate_malformed = 0.0
        self.malformations: tuple[Malformation, ...] = MALFORMATIONS
        self.malform_queue: list[tuple[Malformation, str | None]] = []
        self.models: tuple[str, ...] = LIVE_MODELS
        self.thinking = True
        self.spent: dict[str, Spent] = {}
        self.batches = Batches(self)
        self._cached: dict[str, tuple[float, float]] = {}
        self._told: Counter[str] = Counter()

    def malform_next(self, *kinds: Malformation, of: str | None = None) -> None:
        """The very next messages (of kind `of`) get these malformations, one each."""
        with self.board.lock:
            self.malform_queue += [(kind, of) for kind in kinds]

    # Requests

    def route(self, request: Request) -> Route:
        path, method = request.path, request.method
        if path == "/v1/messages" and method == "POST":
            return self._message_route(request)
        if path == "/v1/messages/count_tokens" and method == "POST":
            tokens = sum(len(text) for text, _ in _blocks(request.json())) // 4
            return Route("other", path, lambda _f: Response.of_json({"input_tokens": tokens}))
        if match := _BATCHES.fullmatch(path):
            return self.batches.route(request, match["id"], match["verb"])
        if path == "/v1/models":
            rows = [_model_row(name) for name in self.models]
            page = {"data": rows, "has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]}
            return Route("other", path, lambda _f: Response.of_json(page))
        return Route("other", path, lambda _f: self.error(404, "Not Found", request))

    def error(self, status: int, message: str, request: Request) -> Response:
        return Response.of_json(error_body(status, message), status, request_id=_id("req", request.body))

    def no_credit(self, request: Request) -> Response:
        return self.error(400, "Your credit balance is too low to access the Anthropic API.", request)

    def _message_route(self, request: Request) -> Route:
        asked = request.json()
        question = question_of(asked)
        key, sha = self.key_of(question)

        def reply(_fault: object) -> Response:
            try:
                message, how = self.message(asked)
            except RefusedRequestError as problem:
                return self.error(problem.status, str(problem), request)
            response = Response.of_json(message, request_id=_id("req", request.body))
            response.note = f"malformed:{how}" if how is not None else None
            return response

        return Route(question.kind, key, reply, (), sha, asked.get("model"), question.turn)

    # Messages

    def message(self, asked: dict[str, Any], *, tier: str = "standard") -> tuple[dict[str, Any], Malformation | None]:
        """The message that answers a request's body, and in which way it is malformed.

        Raises:
            RefusedRequestError: the API would refuse it.
        """
        self._check(asked)
        question = question_of(asked)
        key, sha = self.key_of(question)
        told = f"{question.kind} {sha}"
        attempt = 0 if self.faults.sticky else self._told[told]
        self._told[told] += 1
        text, how = self._text(asked, question, key, attempt)
        stop = "end_turn"
        if how is not None:
            text, stop = malform(text, how, key)
        output = max(1, len(text) // 4)
        if output > asked["max_tokens"]:
            text, stop, output = text[: 4 * asked["max_tokens"]], "max_tokens", asked["max_tokens"]
        content: list[dict[str, Any]] = [{"type": "text", "text": text, "citations": None}] if text else []
        if self.thinking and "-5-5" in asked["model"] and (asked.get("thinking") or {}).get("type") != "disabled":
            content.insert(0, {"type": "thinking", "thinking": "", "signature": "c2lnbmVk"})
        usage = self._usage(asked, output, tier)
        self._count(asked["model"], usage)
        return {
            "id": _id("msg", json.dumps(asked).encode() + str(attempt).encode()),
            "type": "message",
            "role": "assistant",
            "model": asked["model"],
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": usage,
        }, how

    def key_of(self, question: Question) -> tuple[str, str]:
        """(key, sha) for the log: whose card a question is about; topics are about many."""
        key, sha = self.name_text(question.user)
        return (key if question.kind in ENRICH else sha), sha

    def _text(
        self, asked: dict[str, Any], question: Question, key: str, attempt: int
    ) -> tuple[str, Malformation | None]:
        scripted = self.answer(asked) if self.answer is not None else None
        text = scripted if scripted is not None else answers.answer(question)
        for queued in self.malform_queue:
            if queued[1] in (None, question.kind):
                self.malform_queue.remove(queued)
                return text, queued[0]
        salt = (self.faults.seed, question.kind, key, attempt)
        if self.rate_malformed and chance("malformed", *salt) < self.rate_malformed:
            return text, self.malformations[int(chance("how", *salt) * len(self.malformations))]
        return text, None

    def _check(self, asked: dict[str, Any]) -> None:
        model = asked.get("model")
        if not isinstance(model, str) or model not in self.models:
            raise RefusedRequestError(f"model: {model}", 404)
        if not isinstance(asked.get("max_tokens"), int) or asked["max_tokens"] < 1:
            raise RefusedRequestError("max_tokens: Field required")
        messages = asked.get("messages")
        if not messages or messages[0].get("role") != "user":
            raise RefusedRequestError("messages: first message must use the user role")
        if asked.get("stream"):
            raise RefusedRequestError("stream: not served by this double")
        if not all(text.strip() for text, _ in _blocks(asked)):
            raise RefusedRequestError("messages: text content blocks must be non-empty")
        if "-5-5" in model:
            for name in ("temperature", "top_p", "top_k"):
                if asked.get(name) is not None:
                    raise RefusedRequestError(f"{name}: not supported on this model")
            if messages[-1]["role"] == "assistant":
                raise RefusedRequestError("messages: prefill is not supported on this model")
            if (asked.get("tool_choice") or {}).get("type") in ("any", "tool"):
                raise RefusedRequestError("tool_choice: forced tool use is not supported on this model")
        wanted = (asked.get("output_config") or {}).get("format")
        if wanted is not None and (wanted.get("type") != "json_schema" or not isinstance(wanted.get("schema"), dict)):
            raise RefusedRequestError("output_config.format: a json_schema with a schema is required")

    def _usage(self, asked: dict[str, Any], output: int, tier: str) -> dict[str, Any]:
        """A quarter of the characters. The prefix to the last cache_control is written, then read."""
        blocks = _blocks(asked)
        total = sum(len(text) for text, _ in blocks) // 4
        marks = [at for at, (_, marked) in enumerate(blocks) if marked]
        written = read = 0
        if marks:
            prefix = "\0".join(text for text, _ in blocks[: marks[-1] + 1])
            tokens = sum(len(text) for text, _ in blocks[: marks[-1] + 1]) // 4
            if tokens >= CACHE_MINIMUMS.get(asked["model"], CACHE_MINIMUM):
                name = hashlib.sha256(f"{asked['model']}\0{prefix}".encode()).hexdigest()
                now = time.monotonic()
                if self._cached.get(name, (0.0, 0.0))[0] > now:
                    read = tokens
                else:
                    written = tokens
                self._cached[name] = (now + CACHE_SECONDS, now)
        usage: dict[str, Any] = {
            "input_tokens": max(0, total - written - read),
            "output_tokens": output,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "service_tier": tier,
        }
        return self.usage_of(asked, usage) if self.usage_of is not None else usage

    def _count(self, model: str, usage: dict[str, Any]) -> None:
        spent = self.spent.setdefault(model, Spent())
        spent.calls += 1
        spent.input += usage["input_tokens"]
        spent.output += usage["output_tokens"]
        spent.cache_write += usage["cache_creation_input_tokens"]
        spent.cache_read += usage["cache_read_input_tokens"]


def question_of(asked: dict[str, Any]) -> Question:
    """A request's body taken apart."""
    users = [message for message in asked.get("messages", ()) if message.get("role") == "user"]
    user = "\n\n".join(text for text, _ in _texts(users[0]["content"])) if users else ""
    system = "\n\n".join(text for text, _ in _texts(asked.get("system") or []))
    wanted = (asked.get("output_config") or {}).get("format") or asked.get("output_format") or {}
    return Question(system, user, wanted.get("schema"), len(users))


def error_body(status: int, message: str) -> dict[str, Any]:
    """An error as the API writes it."""
    return {"type": "error", "error": {"type": _TYPES.get(status, "api_error"), "message": message}}


def _texts(content: str | list[dict[str, Any]]) -> list[tuple[str, bool]]:
    """(text, whether a cache_control stands at it) of each text block."""
    if isinstance(content, str):
        return [(content, False)]
    return [(block["text"], bool(block.get("cache_control"))) for block in content if block.get("type") == "text"]


def _blocks(asked: dict[str, Any]) -> list[tuple[str, bool]]:
    """The texts of a request in the order in which they are cached: system, then messages."""
    blocks = _texts(asked.get("system") or [])
    for message in asked.get("messages", ()):
        blocks += _texts(message["content"])
    if asked.get("cache_control") and blocks:  # the automatic mark stands at the last block
        blocks[-1] = (blocks[-1][0], True)
    return blocks


def _model_row(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}


def _id(prefix: str, content: bytes) -> str:
    return f"{prefix}_{hashlib.blake2b(content, digest_size=12).hexdigest()}"
