"""GET /__stats, GET /__log and POST /__control, for doubles that run in another process."""

from __future__ import annotations

import resource
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tests.services.hub_state import DatasetState
from tests.services.messages import Request, Response

if TYPE_CHECKING:
    from tests.services.services import Services


class Control:
    """Answers requests under /__ at any of the services' ports. They are not in the log."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __call__(self, request: Request) -> Response | None:
        services = self._services
        if request.path == "/__stats":
            usage = resource.getrusage(resource.RUSAGE_SELF)
            process = {"cpu_seconds": time.process_time(), "peak_rss_mib": usage.ru_maxrss / 1024}
            return Response.of_json(services.stats() | process)
        if request.path == "/__log":
            kinds = request.query.get("kind", [])
            rows = [asdict(record) | {"body": None, "ok": record.ok} for record in services.of(*kinds)]
            return Response.of_json(rows)
        if request.path == "/__control" and request.method == "POST":
            try:
                with services.board.lock:
                    self.apply(request.json())
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                return Response.of_json({"error": repr(error)}, 400)
            return Response.of_json({"ok": True})
        return None

    def apply(self, changes: dict[str, Any]) -> None:
        """Apply changes, in the order in which they are written.

        latency_scale: number. latency: {kind: seconds}. jitter: number. reset_log: true. clear_faults: true.
        faults: {service: settings of `Faults`}. next: [{service, kind, count, of, key, retry_after}].
        malformed: {rate, kinds}. malform_next: [kinds]. batch_seconds: number or null.
        quota: arguments of `HubDouble.set_quota`. ratelimit_reset: seconds or null. page_size, repeat_rows:
        numbers. hub: [[method, arguments]], method one of update, touch, rename, remove, add (with attributes
        of DatasetState).
        """
        for name, value in changes.items():
            getattr(self, f"_set_{name}")(value)

    def _set_latency_scale(self, scale: float) -> None:
        self._services.board.scale_latency(scale)

    def _set_latency(self, latency: dict[str, float]) -> None:
        self._services.latency.update(latency)

    def _set_jitter(self, jitter: float) -> None:
        self._services.board.jitter = jitter

    def _set_reset_log(self, wanted: bool) -> None:
        if wanted:
            self._services.reset_log()

    def _set_clear_faults(self, wanted: bool) -> None:
        if wanted:
            self._services.clear_faults()

    def _set_faults(self, by_service: dict[str, dict[str, Any]]) -> None:
        for name, settings in by_service.items():
            self._services.service(name).faults.set(**settings)

    def _set_next(self, scripted: list[dict[str, Any]]) -> None:
        for one in scripted:
            service = self._services.service(one["service"])
            service.faults.next(**{name: value for name, value in one.items() if name != "service"})

    def _set_malformed(self, settings: dict[str, Any]) -> None:
        self._services.anthropic.rate_malformed = settings["rate"]
        if "kinds" in settings:
            self._services.anthropic.malformations = tuple(settings["kinds"])

    def _set_malform_next(self, kinds: list[Any]) -> None:
        self._services.anthropic.malform_next(*kinds)

    def _set_batch_seconds(self, seconds: float | None) -> None:
        self._services.anthropic.batches.seconds = seconds

    def _set_quota(self, settings: dict[str, Any]) -> None:
        self._services.hub.set_quota(**settings)

    def _set_ratelimit_reset(self, seconds: float | None) -> None:
        self._services.hub.ratelimit_reset = seconds

    def _set_page_size(self, rows: int) -> None:
        self._services.hub.page_size = rows

    def _set_repeat_rows(self, rows: int) -> None:
        self._services.hub.repeat_rows = rows

    def _set_hub(self, calls: list[tuple[str, Any]]) -> None:
        hub = self._services.hub
        for method, arguments in calls:
            if method == "add":
                card = arguments.get("card")
                hub.add(DatasetState(**{**arguments, "card": card.encode() if card is not None else None}))
            elif method == "update":
                hub.update(arguments["id"], **{name: value for name, value in arguments.items() if name != "id"})
            elif method == "rename":
                hub.rename(*arguments)
            elif method in ("touch", "remove"):
                getattr(hub, method)(*arguments)
            else:
                raise ValueError(method)
