"""How a receipt is paid: one tender or two, change, cash given out, declined cards, money given back."""

from __future__ import annotations

from random import Random
from typing import Any

from tillstream.sim.receipts.ways import Shares, Ways

Record = dict[str, Any]
CASH_OUT = (5_000, 10_000, 20_000, 50_000)  # rand cents


def rounding(due: int, ways: Ways) -> int:
    """What cash rounds off or on, towards the customer where it is their way."""
    over = abs(due) % ways.cash
    if ways.down or over * 2 < ways.cash:
        return -over if due >= 0 else over
    more = ways.cash - over
    return more if due >= 0 else -more


def paid(
    due: int, kind: str, token: str, first: list[Record], ways: Ways, shares: Shares, rng: Random
) -> tuple[int, list[Record]]:
    """(rounding, tenders) of ``due``, after those that come ``first``. kind: of the last one; ``token``: of
    the customer's card."""
    random, tenders = rng.random, list(first)
    rest = due - sum(one["amount"] for one in first)
    if rest == 0 and first:
        return 0, tenders
    if kind == "card" and random() < shares.declined:
        tenders.append({"kind": "card", "card_token": token, "amount": rest, "declined": True})
        if random() < 0.6:
            kind = "cash"
    if kind == "cash":
        off = rounding(rest, ways)
        return off, [*tenders, *_cash(rest + off, ways, shares, rng)]
    last: Record = {"kind": kind, "amount": rest}
    if kind == "card":
        last["card_token"] = token
    tenders.append(last)
    if kind in ("card", "social_grant") and rest > 0 and random() < shares.cashback:
        out = int(CASH_OUT[int(random() * len(CASH_OUT))] * ways.price)
        last |= {"amount": rest + out, "cashback": out}
        tenders.append({"kind": "change", "amount": -out})
    return 0, tenders


def _cash(due: int, ways: Ways, shares: Shares, rng: Random) -> list[Record]:
    cash: Record = {"kind": "cash", "amount": due}
    if due <= 0 or rng.random() < 0.15:  # to the cent
        return [cash]
    given = -(-due // ways.note) * ways.note
    cash["amount"] = given
    if ways.rand and rng.random() < shares.rand:
        cash |= {"foreign_currency": "ZAR", "foreign_amount": given}
    return [cash, {"kind": "change", "amount": due - given}] if given > due else [cash]


def given_back(due: int, kind: str, token: str, ways: Ways) -> tuple[int, list[Record]]:
    """(rounding, tenders) of money that goes to the customer: ``due`` is negative."""
    if kind == "card":
        return 0, [{"kind": "card", "amount": due, "card_token": token}]
    off = rounding(due, ways)
    return off, [{"kind": "cash", "amount": due + off}]
