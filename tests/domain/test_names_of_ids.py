"""Names that jobs make of ids from outside: two that are about different things are never one name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, product

import msgspec
import pytest

from tillstream.domain.loyalty.account import ACCOUNT, RECEIVED
from tillstream.domain.loyalty.adjustments import parse_adjustment
from tillstream.domain.loyalty.held import KINDS
from tillstream.domain.loyalty.households import OwnId
from tillstream.domain.loyalty.ledger import ELSEWHERE
from tillstream.domain.notice import notice
from tillstream.domain.receipt.contract import CustomerId, TransactionId
from tillstream.domain.transaction import InvalidTransaction

PIECES = ["A", "B", "7", "household:", "in:", "M:", "P:", "R:", ":owner", ELSEWHERE, ":settled", "/card",
          "/1", "/2", ":held:5", ":fraud", ":", "-", "out", "from:", "of:", "12345678"]  # fmt: skip


def texts(most: int) -> Iterator[str]:
    """Up to so many pieces in any order, the same text once."""
    some = (product(PIECES, repeat=n) for n in range(1, most + 1))
    return iter(dict.fromkeys("".join(one) for one in chain.from_iterable(some)))


def ids(kind: object, most: int) -> list[str]:
    """Those that the contract takes."""
    return [text for text in texts(most) if _takes(partial(msgspec.convert, text, kind))]


def _takes(read: Callable[[], object]) -> bool:
    try:
        read()
    except (msgspec.ValidationError, InvalidTransaction):
        return False
    return True


def _adjustment(text: str) -> bytes:
    return msgspec.json.encode(
        {"schema": 1, "adjustment_id": text, "kind": "goodwill", "customer_id": "A", "reason": "a",
         "by": "a", "event_time_ms": 1_764_000_000_000, "points": 1}
    )  # fmt: skip


RECEIPTS = ids(TransactionId, 3)
CUSTOMERS = [*ids(CustomerId, 2), "A:out"]
MOVES = [one for one in texts(2) if _takes(partial(parse_adjustment, _adjustment(one)))]
MOVES += [ACCOUNT + one for one in ids(OwnId, 2)]
DOCUMENTS = [
    "MV-00000001",
    "12345678",
]  # movements and promotions: their ids hold no colon and no slash
Named = Iterator[tuple[str, tuple[object, ...]]]


def in_an_account() -> Named:
    """Postings and entries of the loyalty ledger, as docs/jobs/loyalty.md calls them."""
    for receipt in RECEIPTS:
        for part in (receipt, f"{receipt}#2"):
            yield part, ("part", part)
            yield f"{part}:owner", ("claim", part)
        yield receipt + ELSEWHERE, ("elsewhere", receipt)
        yield f"{receipt}:settled", ("settled", receipt)
        yield f"{receipt}:settled#2", ("settled", receipt, 2)
        for kind in KINDS.values():
            yield f"{receipt}:{kind}:5", ("word", receipt, kind)
    for moved in MOVES:
        yield f"#{moved}", ("adjusted", moved)
        yield f"#{moved}#out", ("given", moved)
        yield f"#{moved}{RECEIVED}", ("received", moved)
        for who in CUSTOMERS[:40]:
            yield f"#{moved}#from:{who}{RECEIVED}", ("received", moved, who)
            yield f"#{moved}#of:{who}", ("adjusted", moved, who)


def on_a_shelf() -> Named:
    for receipt in RECEIPTS:
        for n in (1, 2):
            yield f"{receipt}/{n}", ("line", receipt, n)
            for part in ("2000000000015", "plu-4011"):
                yield f"{receipt}/{n}/{part}", ("part of a bundle", receipt, n, part)
    for document in DOCUMENTS:
        for n in (1, 2):
            yield f"M:{document}/{n}", ("line of a document", document, n)
            yield f"P:{document}/{n}", ("revision", document, n)
    yield "R:45-2000000000015-000001@9001", ("request",)


def of_staff() -> Named:
    for receipt in RECEIPTS:
        yield receipt, ("act", receipt)
        yield f"{receipt}/card", ("to a card", receipt)


def of_notices() -> Named:
    causes = [one for one in RECEIPTS if one.startswith("out:")] + RECEIPTS[:50]
    for customer in CUSTOMERS:
        for cause in causes:
            made = notice("sms", f"customer:{customer}", "redeemed", cause, 1, {})
            yield made.notice_id, (customer, cause)


@pytest.mark.parametrize("named", [in_an_account, on_a_shelf, of_staff, of_notices])
def test_no_id_from_outside_makes_the_name_of_another(named):
    known: dict[str, tuple[object, ...]] = {}
    for name, about in named():
        assert known.setdefault(name, about) == about, name


@pytest.mark.parametrize("name", ["A:owner", "A:elsewhere", "A:settled", "A:held:5", "A:fraud:17", "A/card",
                                  "M:A", "P:promo/1", "R:a"])  # fmt: skip
def test_a_receipt_cannot_be_called_like_what_jobs_make_of_one(name):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, TransactionId)


@pytest.mark.parametrize("name", ["45:3:20251124:17", "A/cards", "owner", "A:held", "M-A", "T:M:A"])
def test_other_ids_are_taken_as_ever(name):
    assert msgspec.convert(name, TransactionId) == name
