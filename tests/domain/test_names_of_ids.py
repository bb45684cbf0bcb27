"""Names that jobs make of ids from outside: two that are about different things are never one name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.loyalty.account import ACCOUNT, RECEIVED
from tillstream.domain.loyalty.adjustments import Adjustment, parse_adjustment
from tillstream.domain.loyalty.held import KINDS
from tillstream.domain.loyalty.households import OwnId
from tillstream.domain.loyalty.ledger import ELSEWHERE
from tillstream.domain.notice import notice
from tillstream.domain.receipt.contract import CustomerId, TransactionId
from tillstream.domain.transaction import InvalidTransaction

PIECES = ["A", "B", "7", "household:", "in:", "M:", "P:", "R:", ":owner", ELSEWHERE, ":settled", "/card",
          "/1", "/2", ":held:5", ":fraud", ":", "-", "out", "from:", "of:", "12345678"]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)


def ids(kind: object) -> st.SearchStrategy[str]:
    """Texts that the contract takes."""

    def taken(text: str) -> bool:
        try:
            msgspec.convert(text, kind)
        except msgspec.ValidationError:
            return False
        return True

    return TEXTS.filter(taken)


def _adjustment(text: str) -> bool:
    one = Adjustment(schema=1, adjustment_id=text, kind="goodwill", customer_id="A", reason="a", by="a",
                     event_time_ms=1_764_000_000_000, points=1)  # fmt: skip
    try:
        parse_adjustment(msgspec.json.encode(one).replace(b',"to":null', b""))
    except InvalidTransaction:
        return False
    return True


RECEIPT, CUSTOMER, EVENT = ids(TransactionId), ids(CustomerId), ids(OwnId)
ADJUSTMENT = TEXTS.filter(_adjustment)
DOCUMENT = st.from_regex(r"[0-9A-Z][0-9A-Za-z-]{7,12}", fullmatch=True)  # movement, promotion
Named = tuple[str, tuple[object, ...]]


def in_an_account(draw: Callable[[st.SearchStrategy[str]], str], n: int) -> Iterator[Named]:
    """Postings and entries of the loyalty ledger, as docs/jobs/loyalty.md calls them."""
    receipt = draw(RECEIPT)
    for part in (receipt, f"{receipt}#{n}"):
        about = (receipt, part == receipt or n)
        yield part, ("part", *about)
        yield f"{part}:owner", ("claim", *about)
    yield receipt + ELSEWHERE, ("elsewhere", receipt)
    yield f"{receipt}:settled", ("settled", receipt)
    yield f"{receipt}:settled#{n}", ("settled", receipt, n)
    for kind in KINDS.values():
        yield f"{receipt}:{kind}:{n}", ("word", receipt, kind, n)
    for moved in (draw(ADJUSTMENT), ACCOUNT + draw(EVENT)):
        yield f"#{moved}", ("adjusted", moved)
        yield f"#{moved}#out", ("given", moved)
        yield f"#{moved}{RECEIVED}", ("received", moved)
        who = draw(CUSTOMER)
        yield f"#{moved}#from:{who}{RECEIVED}", ("received", moved, who)
        yield f"#{moved}#of:{who}", ("adjusted", moved, who)


def on_a_shelf(draw: Callable[[st.SearchStrategy[str]], str], n: int) -> Iterator[Named]:
    receipt = draw(RECEIPT)
    yield f"{receipt}/{n}", ("line", receipt, n)
    for product in ("2000000000015", "plu-4011"):
        yield f"{receipt}/{n}/{product}", ("part of a bundle", receipt, n, product)
    yield f"M:{draw(DOCUMENT)}/{n}", ("document", n)
    yield f"R:{n}-2000000000015-000001@9001", ("request", n)
    yield f"P:{draw(DOCUMENT)}/{n}", ("promotion", n)


def of_staff(draw: Callable[[st.SearchStrategy[str]], str], n: int) -> Iterator[Named]:
    receipt = draw(RECEIPT)
    yield receipt, ("act", receipt)
    yield f"{receipt}/card", ("to a card", receipt)


def of_notices(draw: Callable[[st.SearchStrategy[str]], str], n: int) -> Iterator[Named]:
    customer, cause = draw(CUSTOMER), draw(RECEIPT)
    made = notice("sms", f"customer:{customer}", "redeemed", cause, n, {})
    yield made.notice_id, (customer, cause)


@pytest.mark.parametrize("made", [in_an_account, on_a_shelf, of_staff, of_notices])
@given(data=st.data())
def test_no_id_from_outside_makes_the_name_of_another(made, data):
    known: dict[str, tuple[object, ...]] = {}
    for n in (2, 3, 2):
        for name, about in made(data.draw, n):
            said = about if about[0] not in ("document", "promotion") else (*about, name)
            assert known.setdefault(name, said) == said


@pytest.mark.parametrize("name", ["A:owner", "A:elsewhere", "A:settled", "A:held:5", "A:fraud:17", "A/card",
                                  "M:A", "P:promo/1", "R:a"])  # fmt: skip
def test_a_receipt_cannot_be_called_like_what_jobs_make_of_one(name):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, TransactionId)


@pytest.mark.parametrize("name", ["45:3:20251124:17", "A/cards", "owner", "A:held", "M-A", "T:M:A"])
def test_other_ids_are_taken_as_ever(name):
    assert msgspec.convert(name, TransactionId) == name
