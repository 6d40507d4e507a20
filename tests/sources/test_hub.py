"""The Hub's listing and cards against its double: what arrives, what is an error, and where the token goes."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import urlsplit

import pytest

from engine.errors import HfmapError, KeyRefusedError, SourceError, TransientError
from engine.events import Bus, CallRetried, Event
from engine.hub.address import dataset_url
from engine.hub.cards import HubCards
from engine.hub.entries import Entry
from engine.hub.listing import HubListing
from engine.hub.session import MOST_BYTES
from engine.text import retry_after
from taxonomy.card import MAX_CARD_BYTES
from tests.services import DatasetState, FaultKind, Services, generated_cards

pytestmark = pytest.mark.anyio
TOKEN = "hf_secret_71c0de"


@pytest.fixture
def services() -> Iterator[Services]:
    with Services(generated_cards(5), token=TOKEN, redirect="cdn") as running:
        yield running


@pytest.fixture
async def cards(services: Services) -> AsyncIterator[HubCards]:
    made = HubCards(services.env["HF_ENDPOINT"], TOKEN, connections=2, timeout=0.5)
    yield made
    await made.aclose()


def first(services: Services) -> Entry:
    return Entry(next(iter(services.hub.datasets)))


async def listed(
    services: Services, limit: int = 100, *, token: str = TOKEN, at: str | None = None, bus: Bus | None = None
) -> list[Entry]:
    listing = HubListing(at or services.env["HF_ENDPOINT"], token, "likes", timeout=0.5, bus=bus)
    try:
        return [entry async for chunk in listing.chunks(limit) for entry in chunk]
    except* HfmapError as errors:
        found: BaseException = errors
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
    raise found


@contextmanager
def spoilt(services: Services, answer: Iterable[bytes]) -> Iterator[str]:
    """The Hub's double behind a server that answers its first request itself, a part every 50 ms, and forwards the rest."""
    port = urlsplit(services.env["HF_ENDPOINT"]).port
    closed = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            first, _ = server.accept()
            with first:
                first.recv(65_536)
                for part in answer:
                    first.sendall(part)
                    closed.wait(0.05)
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client, socket.create_connection(("127.0.0.1", port)) as hub:
                    head = client.recv(65_536).replace(b"keep-alive", b"close")
                    hub.sendall(head)
                    while part := hub.recv(65_536):
                        client.sendall(part)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            closed.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


async def test_a_card_and_its_etag(cards: HubCards, services: Services) -> None:
    entry = first(services)
    state = services.hub.datasets[entry.repo_id]
    fetched = await cards.fetch(entry, None)
    assert (fetched.status, fetched.raw, fetched.etag) == ("ok", state.card, state.etag)
    again = await cards.fetch(entry, fetched.etag)
    assert (again.status, again.raw) == ("unchanged", None)


async def test_the_token_stays_with_the_hub(cards: HubCards, services: Services) -> None:
    await listed(services)
    await cards.fetch(first(services), None)
    hub, cdn = (url.removeprefix("http://") for url in (services.hub.server.url, services.hub.cdn.url))
    asked = {(record.kind, record.host, record.authorization) for record in services.requests}
    assert asked == {
        ("list", hub, f"Bearer {TOKEN}"), ("redirect", hub, f"Bearer {TOKEN}"), ("card", cdn, None),
    }  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    ["429", "500", "503", "529", "html", "html_502", "garbage", "reset", "reset_early", "cut", "hang", "hang_silent", "endless"],
)  # fmt: skip
async def test_a_fault_is_worth_another_try(cards: HubCards, services: Services, fault: FaultKind) -> None:
    services.hub.faults.next(fault, of="card")
    started = time.monotonic()
    with pytest.raises(TransientError) as caught:
        await cards.fetch(first(services), None)
    assert time.monotonic() - started < 2
    assert caught.value.limited == (fault == "429")
    assert TOKEN not in str(caught.value)
    assert (await cards.fetch(first(services), None)).status == "ok"


@pytest.mark.parametrize("status", [408, 304])
async def test_an_answer_that_is_none_is_worth_another_try(services: Services, status: int) -> None:
    """The Hub was not asked whether the card has changed: nothing is known to be unchanged."""
    head = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with spoilt(services, [head.encode()]) as at:
        cards = HubCards(at, None, connections=1, timeout=2)
        with pytest.raises(TransientError, match=str(status)):
            await cards.fetch(first(services), None)
        await cards.aclose()


async def test_a_slow_card_is_a_card(cards: HubCards, services: Services) -> None:
    services.hub.add(DatasetState("one/slow", card=b"Slow words. " * 40))
    services.hub.faults.next("drip", of="card")
    assert (await cards.fetch(Entry("one/slow"), None)).raw == b"Slow words. " * 40


async def test_a_card_that_is_far_too_long_is_cut(cards: HubCards, services: Services) -> None:
    services.hub.add(DatasetState("one/huge", card=b"x" * (3 * MAX_CARD_BYTES)))
    raw = (await cards.fetch(Entry("one/huge"), None)).raw
    assert raw is not None
    assert MAX_CARD_BYTES < len(raw) < 1.2 * MAX_CARD_BYTES


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ({"Retry-After": "7"}, 7), ({"retry-after": "0"}, 0), ({"Retry-After": "-5"}, 0), ({"Retry-After": "2.5"}, 2.5),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5), ({}, None), ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None), ({"Retry-After": "inf"}, None), ({"Retry-After": ""}, None),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0), ({"Retry-After": "Fri, 99 Dec 1999 23:59:59 GMT"}, None),
        ({"Retry-After": "1e400"}, None),
    ],
)  # fmt: skip
def test_how_long_a_service_asks_to_be_left_alone(header: dict[str, str], wait: float | None) -> None:
    assert retry_after(header) == wait


@pytest.mark.parametrize("zone", [" GMT", " -0000", ""])
def test_a_date_to_wait_for(zone: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True).removesuffix(" GMT") + zone
    assert 98 <= (retry_after({"Retry-After": later}) or 0) <= 100


async def test_the_hub_s_own_header_names_the_wait(cards: HubCards, services: Services) -> None:
    services.hub.ratelimit_reset = 42
    services.hub.faults.next("429", of="redirect")
    with pytest.raises(TransientError) as caught:
        await cards.fetch(first(services), None)
    assert caught.value.retry_after == 42


async def test_a_retry_after_of_nothing_does_not_hide_the_hub_s_own_header(cards: HubCards, services: Services) -> None:
    services.hub.ratelimit_reset = 42
    services.hub.faults.next("429", of="redirect", retry_after=0)
    with pytest.raises(TransientError) as caught:
        await cards.fetch(first(services), None)
    assert caught.value.retry_after == 42


async def test_a_refusal_by_another_host_is_not_the_hub_s(cards: HubCards, services: Services) -> None:
    """A store refuses an address that has run out: the card is neither gated nor gone."""
    services.hub.faults.next("403", of="card")
    with pytest.raises(TransientError, match="where the Hub keeps the card"):
        await cards.fetch(first(services), None)
    assert (await cards.fetch(first(services), None)).status == "ok"


async def test_a_token_that_is_refused_says_nothing_of_the_card(cards: HubCards, services: Services) -> None:
    services.hub.key = "hf_another"
    with pytest.raises(KeyRefusedError, match="HF_TOKEN"):
        await cards.fetch(first(services), None)


@pytest.mark.parametrize("fault", ["503", "html", "garbage", "reset", "hang", "endless", "529"])
async def test_a_page_of_the_listing_is_tried_again(services: Services, fault: FaultKind) -> None:
    services.hub.page_size = 2
    services.hub.faults.next(fault, of="list", matches=lambda _kind, key: "cursor" in key)
    assert [entry.repo_id for entry in await listed(services)] == list(services.hub.datasets)
    assert services.count("list") == 4


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([OK, *(b"X-%d: y\r\n" % number for number in range(14))], "did not arrive within 0.5 s"),
        ([OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"[" * 2 * MOST_BYTES, 1)], "does not end"),
        ([OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot zipped"], "decompressing"),
        ([b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"], "HTTP 408"),
    ],
    ids=["headers that drip", "a gzip bomb", "no gzip", "408"],
)
async def test_a_page_that_is_none_is_asked_for_again(
    services: Services, monkeypatch: pytest.MonkeyPatch, answer: list[bytes], reason: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)  # the library's back-off
    events: list[Event] = []
    with spoilt(services, answer) as at:
        found = await listed(services, at=at, bus=Bus(events.append))
    assert [entry.repo_id for entry in found] == list(services.hub.datasets)
    [retried] = events
    assert isinstance(retried, CallRetried)
    assert (retried.stage, retried.limited) == ("list", False)
    assert reason in retried.reason


@pytest.mark.parametrize("header", ["Retry-After", "RateLimit"])
async def test_a_listing_that_is_to_wait_for_hours_is_given_up(services: Services, header: str) -> None:
    services.hub.ratelimit_reset = 7200 if header == "RateLimit" else None
    services.hub.faults.set(down="429", retry_after=7200 if header == "Retry-After" else None)
    started = time.monotonic()
    with pytest.raises(SourceError, match="120 minutes"):
        await listed(services)
    assert time.monotonic() - started < 5
    assert services.count("list") == 1


async def test_a_refused_token_is_a_sentence_without_it(services: Services) -> None:
    with pytest.raises(KeyRefusedError) as caught:
        await listed(services, token="hf_other_token")
    assert "HF_TOKEN" in str(caught.value)
    assert "hf_other_token" not in str(caught.value)


def test_a_password_in_the_address_is_not_stored() -> None:
    assert dataset_url("https://me:pass-word@hub.test/x", "a/b") == "https://hub.test/x/datasets/a/b"
    assert dataset_url("https://hub.test", "a/b") == "https://hub.test/datasets/a/b"


async def test_nothing_else_is_asked_of_the_hub(services: Services) -> None:
    await listed(services)
    assert {record.kind for record in services.requests} == {"list"}
