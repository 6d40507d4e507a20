"""The double of Cohere: POST /v2/embed."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.services.board import Board
from tests.services.faults import Fault
from tests.services.messages import Request, Response
from tests.services.service import Route, Service
from tests.services.vectors import embed, to_json

MOST_TEXTS = 96
DIMENSIONS = (256, 512, 1024, 1536)
INPUT_TYPES = ("search_document", "search_query", "classification", "clustering", "image")
MODELS = ("embed-v4.0",)


class CohereDouble(Service):
    """Cohere. A batch's log record has the SHA-256 of all texts as its key and the texts' keys as its items.

    `texts_embedded` and `tokens_billed` count what sound answers carried.
    """

    name = "cohere"

    def __init__(self, board: Board, key: str | None = None) -> None:
        super().__init__(board, key)
        self.texts_embedded = 0
        self.tokens_billed = 0

    def route(self, request: Request) -> Route:
        if request.path == "/v1/models":
            models = {"models": [{"name": name, "endpoints": ["embed"]} for name in MODELS]}
            return Route("other", request.path, lambda _f: Response.of_json(models))
        if (request.method, request.path) != ("POST", "/v2/embed"):
            return Route("other", request.path, lambda _f: self.error(404, "page not found", request))
        asked = request.json()
        if problem := _problem(asked):
            return Route("embed", "invalid", lambda _f: self.error(400, problem, request))
        texts: list[str] = asked["texts"]
        key = sha256("\0".join(texts).encode()).hexdigest()
        items = tuple(self.name_text(text)[0] for text in texts)
        return Route("embed", key, lambda fault: self._embed(asked, key, fault), items, key, asked["model"])

    def error(self, status: int, message: str, request: Request) -> Response:
        return Response.of_json({"id": sha256(request.body).hexdigest()[:32], "message": message}, status)

    def no_credit(self, request: Request) -> Response:
        return self.error(402, "Please add or update your payment method to continue", request)

    def _embed(self, asked: dict[str, Any], key: str, fault: Fault | None) -> Response:
        texts: list[str] = asked["texts"]
        dimensions: int = asked.get("output_dimension") or DIMENSIONS[-1]
        tokens = sum(max(1, len(text) // 4) for text in texts)
        kind = fault.kind if fault else None
        if kind is None:
            self.texts_embedded += len(texts)
            self.tokens_billed += tokens
        width = dimensions // 2 if kind == "wrong_dimensions" else dimensions
        vectors = [embed(text, width) for text in texts]
        if kind == "wrong_count":
            vectors.pop()
        if kind == "nan" and vectors:
            vectors[-1] = np.full(width, np.nan, np.float32)
        formats = {"float": to_json, "base64": _to_base64}
        told = {name: ",".join(map(formats[name], vectors)) for name in asked.get("embedding_types") or ["float"]}
        shape: dict[str, Any] = {
            "id": key[:36],
            "texts": texts,
            "response_type": "embeddings_by_type",
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
        }
        embeddings = ",".join(f'"{name}": [{rows}]' for name, rows in told.items())
        body = f'{json.dumps(shape)[:-1]}, "embeddings": {{{embeddings}}}}}'
        return Response(200, body.encode(), {"content-type": "application/json"})


def _to_base64(vector: NDArray[np.float32]) -> str:
    """The vector's bytes, the lowest of each number first, as a JSON string."""
    return f'"{b64encode(vector.astype("<f4").tobytes()).decode()}"'


def _problem(asked: dict[str, Any]) -> str | None:
    """What is wrong with an embed request, if anything."""
    texts = asked.get("texts")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        return "invalid request: texts must be a list with at least one string"
    if len(texts) > MOST_TEXTS:
        return f"invalid request: total number of texts must be at most {MOST_TEXTS} - received {len(texts)}"
    if asked.get("model") not in MODELS:
        return f"model {asked.get('model')!r} not found"
    if asked.get("input_type") not in INPUT_TYPES:
        return "invalid request: valid input_type must be provided with the provided model"
    if asked.get("output_dimension") not in (None, *DIMENSIONS):
        return f"invalid request: output_dimension must be one of {DIMENSIONS}"
    if not set(asked.get("embedding_types") or ["float"]) <= {"float", "base64"}:
        return "invalid request: only the float and base64 embedding types are served here"
    return None
