"""The Hub's listing and cards against its double: what arrives, what is an error, and where the token goes."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from engine.calls import clock
from engine.calls.caller import Caller
from engine.errors import KeyRefusedError, SourceError, TransientError
from engine.events import Bus, CallRetried, Event
from engine.hub.address import dataset_url, listing_url
from engine.hub.client import HubClient, Page, Quota, at_endpoint
from engine.hub.entries import EXPAND, Entry, entry_of
from engine.sources.hub import ATTEMPTS, HubSource
from engine.text import retry_after
from taxonomy.card import MAX_CARD_BYTES
from tests.conftest import PATIENCE
from tests.services import DatasetState, FaultKind, Services, generated_cards

pytestmark = pytest.mark.anyio
TOKEN = "hf_secret_71c0de"


@pytest.fixture
def services() -> Iterator[Services]:
    with Services(generated_cards(5), token=TOKEN, redirect="cdn") as running:
        yield running


@pytest.fixture
async def client(services: Services, seconds: float) -> AsyncIterator[HubClient]:
    made = HubClient(services.env["HF_ENDPOINT"], TOKEN, connections=2, timeout=seconds)
    yield made
    await made.aclose()


def first(services: Services) -> str:
    return next(iter(services.hub.datasets))


async def listed(
    services: Services, limit: int = 100, *, token: str = TOKEN, at: str | None = None, bus: Bus | None = None,
    seconds: float = PATIENCE,
) -> list[Entry]:  # fmt: skip
    """List as a sync does, on a clock that lets back-off pass at once."""
    one_page = anyio.CapacityLimiter(1)
    caller = Caller("The Hub", at_once=one_page, bus=bus or Bus(), stage="list", attempts=ATTEMPTS)
    with clock.turned(1_000):
        async with aclosing(
            HubClient(at or services.env["HF_ENDPOINT"], token, connections=1, timeout=seconds)
        ) as client:
            source = HubSource(client, "likes", caller)
            entries = [entry async for chunk in source.chunks(limit) for entry in chunk]
            assert source.unreadable == []
            return entries


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


async def test_a_card_and_its_etag(client: HubClient, services: Services) -> None:
    repo_id = first(services)
    state = services.hub.datasets[repo_id]
    fetched = await client.card(repo_id, None)
    assert (fetched.status, fetched.raw, fetched.etag) == ("ok", state.card, state.etag)
    again = await client.card(repo_id, fetched.etag)
    assert (again.status, again.raw) == ("unchanged", None)


async def test_the_token_stays_with_the_hub(client: HubClient, services: Services) -> None:
    await listed(services)
    await client.card(first(services), None)
    hub, cdn = (url.removeprefix("http://") for url in (services.hub.server.url, services.hub.cdn.url))
    asked = {(record.kind, record.host, record.authorization) for record in services.requests}
    assert asked == {
        ("list", hub, f"Bearer {TOKEN}"), ("redirect", hub, f"Bearer {TOKEN}"), ("card", cdn, None),
    }  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    ["429", "500", "503", "529", "html", "html_502", "garbage", "reset", "reset_early", "cut", "hang", "hang_silent", "endless"],
)  # fmt: skip
async def test_a_fault_is_worth_another_try(client: HubClient, services: Services, fault: FaultKind) -> None:
    services.hub.faults.next(fault, of="card")
    with pytest.raises(TransientError) as caught:
        await client.card(first(services), None)
    assert caught.value.limited == (fault == "429")
    assert TOKEN not in str(caught.value)
    assert (await client.card(first(services), None)).status == "ok"


@pytest.mark.parametrize("status", [408, 304])
async def test_an_answer_that_is_none_is_worth_another_try(services: Services, status: int) -> None:
    """The Hub was not asked whether the card has changed: nothing is known to be unchanged."""
    head = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with spoilt(services, [head.encode()]) as at:
        async with aclosing(HubClient(at, None, connections=1, timeout=PATIENCE)) as client:
            with pytest.raises(TransientError, match=str(status)):
                await client.card(first(services), None)


async def test_a_slow_card_is_a_card(client: HubClient, services: Services) -> None:
    services.hub.add(DatasetState("one/slow", card=b"Slow words. " * 40))
    services.hub.faults.next("drip", of="card")
    assert (await client.card("one/slow", None)).raw == b"Slow words. " * 40


async def test_a_card_that_is_far_too_long_is_cut(client: HubClient, services: Services) -> None:
    services.hub.add(DatasetState("one/huge", card=b"x" * (3 * MAX_CARD_BYTES)))
    raw = (await client.card("one/huge", None)).raw
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


async def test_the_hub_s_own_header_names_the_wait(client: HubClient, services: Services) -> None:
    services.hub.ratelimit_reset = 42
    services.hub.faults.next("429", of="redirect")
    with pytest.raises(TransientError) as caught:
        await client.card(first(services), None)
    assert caught.value.retry_after == 42


async def test_a_retry_after_of_nothing_does_not_hide_the_hub_s_own_header(
    client: HubClient, services: Services
) -> None:
    services.hub.ratelimit_reset = 42
    services.hub.faults.next("429", of="redirect", retry_after=0)
    with pytest.raises(TransientError) as caught:
        await client.card(first(services), None)
    assert caught.value.retry_after == 42


async def test_a_refusal_by_another_host_is_not_the_hub_s(client: HubClient, services: Services) -> None:
    """A store refuses an address that has run out: the card is neither gated nor gone."""
    services.hub.faults.next("403", of="card")
    with pytest.raises(TransientError, match="where the Hub keeps the card"):
        await client.card(first(services), None)
    assert (await client.card(first(services), None)).status == "ok"


async def test_a_token_that_is_refused_says_nothing_of_the_card(client: HubClient, services: Services) -> None:
    services.hub.key = "hf_another"
    with pytest.raises(KeyRefusedError, match="HF_TOKEN"):
        await client.card(first(services), None)


@pytest.mark.parametrize("fault", ["503", "html", "garbage", "reset", "hang", "endless", "529"])
async def test_a_page_of_the_listing_is_tried_again(services: Services, fault: FaultKind, seconds: float) -> None:
    services.hub.page_size = 2
    services.hub.faults.next(fault, of="list", matches=lambda _kind, key: "cursor" in key)
    assert [entry.repo_id for entry in await listed(services, seconds=seconds)] == list(services.hub.datasets)
    assert services.count("list") == 4


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


BOMB = b"[" * 3_000_000


@pytest.mark.parametrize(
    ("answer", "reason", "seconds"),
    [
        ([OK, *(b"X-%d: y\r\n" % number for number in range(100))], "did not arrive within 1.5 s", 1.5),
        ([OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(BOMB, 1)], "does not end", 60),
        ([OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot zipped"], "decompressing", 60),
        ([OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"[]")[:-9]], "breaks off", 60),
        ([OK + b"Content-Encoding: br\r\n\r\n", b"[]"], "encoded as br", 60),
        ([OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"], "not a page of a listing", 60),
        ([OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n[}"], "not a page of a listing", 60),
        ([b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"], "HTTP 408", 60),
    ],
    ids=["headers that drip", "a gzip bomb", "no gzip", "half of it", "brotli", "no list", "no JSON", "408"],
)
async def test_a_page_that_is_none_is_asked_for_again(
    services: Services, monkeypatch: pytest.MonkeyPatch, answer: list[bytes], reason: str, seconds: float
) -> None:
    monkeypatch.setattr("engine.hub.client.MOST_BYTES", 1_000_000)
    events: list[Event] = []
    with spoilt(services, answer) as at:
        found = await listed(services, at=at, bus=Bus(events.append), seconds=seconds)
    assert [entry.repo_id for entry in found] == list(services.hub.datasets)
    [retried] = events
    assert isinstance(retried, CallRetried)
    assert (retried.stage, retried.limited) == ("list", False)
    assert reason in retried.reason


async def test_a_bomb_is_decompressed_no_further_than_a_page_may_be_long(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.hub.client.MOST_BYTES", 1_000_000)
    monkeypatch.setattr("engine.hub.client.PART_BYTES", 10_000)
    made = 0

    class Counting:
        def __init__(self, bits: int) -> None:
            self._unzip = real(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal made
            part: bytes = self._unzip.decompress(data, most)
            made += len(part)
            return part

        def __getattr__(self, name: str) -> Any:
            return getattr(self._unzip, name)

    real = zlib.decompressobj
    monkeypatch.setattr("engine.hub.client.zlib.decompressobj", Counting)
    body = gzip.compress(BOMB, 1)
    with spoilt(services, [OK + b"Content-Encoding: gzip\r\n\r\n", body]) as at:
        async with aclosing(HubClient(at, None, connections=1, timeout=60)) as client:
            with pytest.raises(TransientError, match="does not end"):
                await client.page(listing_url(at, "datasets", sort="likes", limit=10, expand=()))
    assert 1_000_000 < made <= 1_010_000


async def test_a_page_that_does_not_come_in_six_tries_ends_in_a_sentence(services: Services) -> None:
    events: list[Event] = []
    services.hub.faults.set(down="503")
    with pytest.raises(SourceError, match=r"answered the listing with HTTP 503\.") as caught:
        await listed(services, bus=Bus(events.append))
    assert services.count("list") == ATTEMPTS
    assert len(events) == ATTEMPTS - 1
    assert "later" in (caught.value.hint or "")
    services.hub.faults.set(down="garbage")
    with pytest.raises(SourceError, match="cannot be read: the answer is not a page") as caught:
        await listed(services)
    assert "--source sample" in (caught.value.hint or "")


async def test_a_page_is_a_value_with_its_cursor_and_quota(services: Services, client: HubClient) -> None:
    services.hub.page_size = 2
    services.hub.set_quota(api=500, window=300)
    address = listing_url(client.endpoint, "datasets", sort="likes", limit=5, expand=("likes",))
    pages: list[Page] = [await client.page(address)]
    while (onward := pages[-1].next) is not None:
        pages.append(await client.page(onward))
    assert [len(page.rows) for page in pages] == [2, 2, 1]
    assert [row["id"] for page in pages for row in page.rows] == list(services.hub.datasets)
    assert [page.quota.remaining for page in pages if page.quota] == [499, 498, 497]
    assert all(page.quota and 290 <= page.quota.renewed_in <= 300 for page in pages)


async def test_one_object_as_the_api_describes_it(services: Services, client: HubClient) -> None:
    found = await client.object("datasets", first(services))
    assert found is not None
    assert found["id"] == first(services)
    assert await client.object("datasets", "no/where") is None


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5_000])
def test_a_quota_of_too_many_digits_is_none_or_long(number: str) -> None:
    quota = Quota.of({"RateLimit": f'"api";r=0;t={number}'})
    assert quota is None or quota.renewed_in >= 3600


async def test_the_listing_does_not_follow_a_link_to_another_host(services: Services) -> None:
    """Its token would go there. The second server stands for that host: nobody may ask it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        elsewhere = f"http://127.0.0.1:{other.getsockname()[1]}/api/datasets?cursor=x"
        body = b'[{"id": "a/b"}]'
        head = OK + b'Content-Length: %d\r\nLink: <%s>; rel="next"\r\n\r\n' % (len(body), elsewhere.encode())
        other.settimeout(0.3)
        with spoilt(services, [head + body]) as at, pytest.raises(SourceError, match="another host") as caught:
            await listed(services, at=at)
        assert TOKEN not in f"{caught.value}{caught.value.hint}"
        with pytest.raises(TimeoutError):
            other.accept()


async def test_a_page_that_is_redirected_to_another_host_is_asked_for_without_the_token(services: Services) -> None:
    home = services.env["HF_ENDPOINT"]
    services.hub.key = None  # it lists for strangers, too
    head = f"HTTP/1.1 307 Temporary\r\nLocation: {home}/api/datasets?limit=5\r\nContent-Length: 0\r\n\r\n"
    with spoilt(services, [head.encode()]) as at:
        async with aclosing(HubClient(at, TOKEN, connections=1, timeout=PATIENCE)) as client:
            page = await client.page(listing_url(at, "datasets", sort="likes", limit=5, expand=()))
    assert len(page.rows) == 5
    assert [record.authorization for record in services.requests] == [None]


@pytest.mark.parametrize(
    ("endpoint", "address", "asked"),
    [
        ("https://hub.test", "https://hub.test/api/x?cursor=a%3D", "https://hub.test/api/x?cursor=a%3D"),
        ("https://hub.test", "/api/x?cursor=1", "https://hub.test/api/x?cursor=1"),
        ("https://hub.test", "http://hub.test/api/x", "https://hub.test/api/x"),
        ("https://me:pw@hub.test/mirror", "https://hub.test/api/x", "https://me:pw@hub.test/api/x"),
        ("https://hub.test", "https://HUB.test/api/x", "https://hub.test/api/x"),
        ("https://hub.test", "https://hub.test.evil/api/x", None),
        ("https://hub.test", "https://hub.test:444/api/x", None),
        ("https://hub.test", "https://hub.test@evil/api/x", None),
        ("https://hub.test", "//evil/api/x", None),
        ("https://hub.test", "https://[bad/api/x", None),
    ],
)
def test_an_address_that_an_answer_names_is_asked_for_at_the_endpoint_or_not_at_all(
    endpoint: str, address: str, asked: str | None
) -> None:
    assert at_endpoint(endpoint, address) == asked


async def test_what_is_asked_of_a_listing(services: Services) -> None:
    """As the API has it, and as huggingface_hub asks: each property by itself, and the limit of all pages together."""
    services.hub.page_size = 2
    await listed(services, limit=3)
    asked = [parse_qs(urlsplit(record.key).query) for record in services.requests]
    assert asked[0] == {"sort": ["likes"], "limit": ["3"], "expand": list(EXPAND)}
    assert [sorted(query) for query in asked] == [["expand", "limit", "sort"], ["cursor", "expand", "limit", "sort"]]


async def test_nothing_is_listed_offline(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE"):
        await listed(services)
    assert services.count("list") == 0


ROW = {"id": "a/b", "createdAt": "2024-01-02T03:04:05.000Z", "cardData": {"license": "mit"}, "likes": 3}


@pytest.mark.parametrize(
    "odd",
    [
        {"createdAt": "yesterday"}, {"createdAt": 7}, {"createdAt": ["x"]}, {"lastModified": "2024-13-01T00:00:00Z"},
        {"lastModified": {}}, {"cardData": {"self": 1}}, {"cardData": {"ignore_metadata_errors": 1}}, {"cardData": [1]},
        {"cardData": "text"}, {"likes": "many"}, {"likes": 10**30}, {"tags": 5}, {"tags": [1, None]}, {"sha": 5},
        {"trendingScore": 10**400}, {"author": []}, {"siblings": 3}, {"self": 1}, {"unheard": "of"}, {"gated": 1},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_odd_about_a_row_is_left_out_and_the_rest_kept(odd: dict[str, Any]) -> None:
    entry = entry_of({**ROW, **odd}, "https://hub.test")
    assert entry.repo_id == "a/b"
    assert entry.likes == (None if "likes" in odd else 3)
    assert entry.created_at == (None if "createdAt" in odd else "2024-01-02T03:04:05Z")
    assert entry.card_data == ({} if "cardData" in odd else {"license": "mit"})


@pytest.mark.parametrize("row", [None, [], "a/b", {}, {"id": None}, {"id": 5}, {"id": " "}], ids=str)
def test_a_row_that_names_no_dataset(row: object) -> None:
    with pytest.raises(ValueError, match=r"id|object"):
        entry_of(row, "https://hub.test")


async def test_a_row_that_cannot_be_read_does_not_stop_the_page(services: Services) -> None:
    body = b'[{"id": "a/b"}, null, {"likes": 1}, {"id": "c/d"}]'
    caller = Caller("The Hub", at_once=anyio.CapacityLimiter(1), bus=Bus(), stage="list")
    with spoilt(services, [OK + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)]) as at:
        async with aclosing(HubClient(at, None, connections=1, timeout=PATIENCE)) as client:
            source = HubSource(client, "likes", caller)
            found = [entry.repo_id async for chunk in source.chunks(10) for entry in chunk]
    assert found == ["a/b", "c/d"]
    assert [(row.place, row.reason) for row in source.unreadable] == [
        ("row 2 of the listing", "it is not a JSON object"), ("row 3 of the listing", "it has no id"),
    ]  # fmt: skip


@pytest.mark.parametrize("header", ["Retry-After", "RateLimit"])
async def test_a_listing_that_is_to_wait_for_hours_is_given_up(services: Services, header: str) -> None:
    services.hub.ratelimit_reset = 7200 if header == "RateLimit" else None
    services.hub.faults.set(down="429", retry_after=7200 if header == "Retry-After" else None)
    with pytest.raises(SourceError, match="120 minutes"):
        await listed(services)
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
