"""Loopback doubles of the three services that hfmap talks to, for the real clients over real sockets.

with Services(generated_cards(40)) as services:
    services.anthropic.faults.rate_429 = 0.2
    run_hfmap(env=services.env)
    assert services.count("embed") == 1
"""

from __future__ import annotations

from tests.services.anthropic import AnthropicDouble
from tests.services.board import LATENCIES, Board, Record
from tests.services.cohere import CohereDouble
from tests.services.faults import FAULT_KINDS, Fault, FaultKind, Faults
from tests.services.generate import generated_cards
from tests.services.hub import HubDouble
from tests.services.hub_state import DatasetState
from tests.services.malformed import MALFORMATIONS, Malformation
from tests.services.openai import OpenAIDouble
from tests.services.process import ServicesProcess
from tests.services.services import Services

__all__ = [
    "FAULT_KINDS",
    "LATENCIES",
    "MALFORMATIONS",
    "AnthropicDouble",
    "Board",
    "CohereDouble",
    "DatasetState",
    "Fault",
    "FaultKind",
    "Faults",
    "HubDouble",
    "Malformation",
    "OpenAIDouble",
    "Record",
    "Services",
    "ServicesProcess",
    "generated_cards",
]
