"""What each version can hold, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.promotions.overlaps import Offer, Offers

WEEK = (1_764_072_000_000, 1_764_676_800_000)

SAMPLES = {
    1: {
        "none": Offers(),
        "in-two-stores-and-everywhere": Offers(
            [
                Offer("milk-week-48", 2, *WEEK, 1399, "ZAR", (45, 46)),
                Offer("black-friday-2025", 1, *WEEK, 1299),
            ]
        ),
    },
}
