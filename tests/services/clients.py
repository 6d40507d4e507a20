"""The real clients, pointed at the doubles."""

from __future__ import annotations

from typing import Any

import anthropic
import cohere

from tests.services import Services


def cohere_client(services: Services) -> cohere.AsyncClientV2:
    return cohere.AsyncClientV2(services.env["CO_API_KEY"], base_url=services.env["CO_API_URL"])


def claude(services: Services, **settings: Any) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        api_key=services.env["ANTHROPIC_API_KEY"], base_url=services.env["ANTHROPIC_BASE_URL"], **settings
    )


def ask(card: str, **changes: Any) -> dict[str, Any]:
    return {
        "model": "claude-haiku-4-5-20251001",
        "max_tokens": 500,
        "system": "Read the card.",
        "messages": [{"role": "user", "content": f"<card>\n{card}\n</card>"}],
    } | changes


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")
