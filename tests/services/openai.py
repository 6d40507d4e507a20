"""The double of a server that speaks OpenAI's protocol: POST /v1/chat/completions and /v1/embeddings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any, Literal

from taxonomy.model import load
from taxonomy.prompt import extraction_schema
from tests.services import answers
from tests.services.answers import Question
from tests.services.board import ENRICH, Board
from tests.services.faults import Fault
from tests.services.messages import Request, Response
from tests.services.service import Route, Service
from tests.services.vectors import embed, to_json

DIMENSIONS = 384
_TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class OpenAIDouble(Service):
    """A server with one model for chat and one for embeddings.

    Attributes:
        chat_model, embed_model: their names; others are answered 404.
        schemas: whether a JSON schema is followed, refused as a bad request, or makes the server stumble (500).
        thinking: put the model's thoughts into the answer, before the JSON.
        most_characters: texts longer than this are refused, as beyond the embedding model's context.
        shuffle: send vectors in another order than the texts; each has its index.
        numbered: whether vectors have an index at all.
        dimensions: of the vectors.
        answer: scripts the text of an answer from the request's body; None leaves it to `answers.answer`.
        texts_embedded: how many texts sound answers carried.
    """

    name = "openai"

    def __init__(self, board: Board, key: str | None = None) -> None:
        super().__init__(board, key)
        self.chat_model = "qwen3:8b"
        self.embed_model = "nomic-embed-text"
        self.schemas: Literal["followed", "refused", "stumbles"] = "followed"
        self.thinking = False
        self.most_characters: int | None = None
        self.shuffle = False
        self.numbered = True
        self.dimensions = DIMENSIONS
        self.answer: Callable[[dict[str, Any]], str | None] | None = None
        self.texts_embedded = 0

    @property
    def url(self) -> str:
        """What stands after openai: on the command line."""
        return f"{self.server.url}/v1"

    def route(self, request: Request) -> Route:
        if request.method == "POST" and request.path == "/v1/chat/completions":
            return self._chat_route(request)
        if request.method == "POST" and request.path == "/v1/embeddings":
            return self._embed_route(request)
        if request.path == "/v1/models":
            rows = [{"id": name, "object": "model"} for name in (self.chat_model, self.embed_model)]
            return Route("other", request.path, lambda _f: Response.of_json({"object": "list", "data": rows}))
        return Route("other", request.path, lambda _f: self.error(404, "404 page not found", request))

    def error(self, status: int, message: str, request: Request) -> Response:
        kind = _TYPES.get(status, "api_error")
        return Response.of_json({"error": {"message": message, "type": kind, "param": None, "code": None}}, status)

    # Chat

    def _chat_route(self, request: Request) -> Route:
        asked = request.json()
        question = _question(asked)
        key, sha = self.name_text(question.user)
        key = key if question.kind in ENRICH else sha
        return Route(
            question.kind, key, lambda _f: self._chat(asked, question, request), (), sha, asked["model"], question.turn
        )

    def _chat(self, asked: dict[str, Any], question: Question, request: Request) -> Response:
        if asked["model"] != self.chat_model:
            return self.error(404, f'model "{asked["model"]}" not found, try pulling it first', request)
        if question.schema is not None and self.schemas == "refused":
            return self.error(400, "json_schema is not supported by this model", request)
        if question.schema is not None and self.schemas == "stumbles":
            return self.error(500, "failed to parse grammar", request)
        scripted = self.answer(asked) if self.answer is not None else None
        if question.schema is None and question.kind == "extract":
            # The instructions name all fields and slugs; a model that reads them needs no schema.
            question = replace(question, schema=extraction_schema(load()))
        text = scripted if scripted is not None else answers.answer(question)
        if self.thinking:
            text = f"<think>\nIs it {{a}} or {{b}}?\n</think>\n\n{text}"
        sent, stop = len(text) // 4, "stop"
        if sent > asked["max_tokens"]:
            text, sent, stop = text[: 4 * asked["max_tokens"]], asked["max_tokens"], "length"
        tokens = sum(len(message["content"]) for message in asked["messages"]) // 4
        message = {"role": "assistant", "content": text}
        return Response.of_json({
            "id": f"chatcmpl-{sha256(request.body).hexdigest()[:12]}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": asked["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": stop}],
            "usage": {"prompt_tokens": tokens, "completion_tokens": sent, "total_tokens": tokens + sent},
        })  # fmt: skip

    # Embeddings

    def _embed_route(self, request: Request) -> Route:
        asked = request.json()
        texts: list[str] = asked["input"]
        key = sha256("\0".join(texts).encode()).hexdigest()
        items = tuple(self.name_text(text)[0] for text in texts)
        return Route("embed", key, lambda fault: self._embed(asked, request, fault), items, key, asked["model"])

    def _embed(self, asked: dict[str, Any], request: Request, fault: Fault | None) -> Response:
        texts: list[str] = asked["input"]
        if asked["model"] != self.embed_model:
            return self.error(404, f'model "{asked["model"]}" not found, try pulling it first', request)
        if asked.get("encoding_format") not in (None, "float"):
            return self.error(400, "encoding_format: only float is known here", request)
        if self.most_characters is not None and any(len(text) > self.most_characters for text in texts):
            return self.error(400, "the input length exceeds the context length", request)
        kind = fault.kind if fault else None
        width = self.dimensions // 2 if kind == "wrong_dimensions" else self.dimensions
        vectors = [to_json(embed(text, width)) for text in texts]
        if kind is None:
            self.texts_embedded += len(texts)
        elif kind == "wrong_count":
            vectors.pop()
        elif kind == "nan":
            vectors[-1] = f"[{','.join(['NaN'] * width)}]"
        number = '"index":{},' if self.numbered else "{:.0s}"
        rows = [
            f'{{"object":"embedding",{number.format(str(place))}"embedding":{vector}}}'
            for place, vector in enumerate(vectors)
        ]
        if self.shuffle:
            rows.reverse()
        tokens = sum(map(len, texts)) // 4
        body = (
            f'{{"object":"list","model":{json.dumps(asked["model"])},"data":[{",".join(rows)}],'
            f'"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}'
        )
        return Response(200, body.encode(), {"content-type": "application/json"})


def _question(asked: dict[str, Any]) -> Question:
    """A chat request's body taken apart."""
    users = [message["content"] for message in asked["messages"] if message["role"] == "user"]
    system = "\n\n".join(message["content"] for message in asked["messages"] if message["role"] == "system")
    wanted = asked.get("response_format") or {}
    schema = wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None
    return Question(system, users[0], schema, len(users))
