"""Tables `layout`, `position` and `neighbor`: where the datasets stand on the map."""

from __future__ import annotations

# Placing new datasets among kept ones costs .01 of trustworthiness at this share (real summaries, 2,440 rows); a fit
# from the old coordinates gets it back.
REFIT_SHARE = 0.20


def refit_at(points: int) -> int:
    """The datasets that have to come, change or go since the last full fit for a new one; at least 1."""
    return max(1, round(REFIT_SHARE * points))
