"""Which datasets are on the map: the first `places` of the ranking whose card says enough.

An entry listed within the first `places` is in as soon as its card turns out long enough. Each one that turns out
short, missing or gated frees a place, and the next entry in rank order is tried for it; no other is ever asked for.
Whenever an entry is started, at most places - 1 entries before it can be eligible, so one that proves eligible is in
for good: the outcome is the first `places` eligible entries, whatever the order in which answers arrive.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

E = TypeVar("E")


class Membership(Generic[E]):
    """Decides which entries to ask for a card. Call `offer` in rank order."""

    def __init__(self, places: int) -> None:
        self._unseen = places
        self._free = 0
        self._reserve: deque[E] = deque()

    def offer(self, entry: E) -> bool:
        """Take the next entry of the ranking; tell whether it is to be tried now."""
        if self._unseen:
            self._unseen -= 1
            return True
        if self._free:
            self._free -= 1
            return True
        self._reserve.append(entry)
        return False

    def free_place(self) -> E | None:
        """Give up the place of an entry that is not eligible; return the entry to be tried for it, if there is one."""
        if self._reserve:
            return self._reserve.popleft()
        self._free += 1
        return None
