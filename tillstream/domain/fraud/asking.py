"""What the customer of a held sale is asked, in their language, and what their answer does.

An answer does what a person at the team may do, and less: "yes" releases a hold of that customer's own, in
time and up to an amount; "no" tells the team, and declines nothing unless the grocer has said so. All else is
for a person.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from tillstream.domain.documents import Ms, decode, refuse
from tillstream.domain.fraud.counters import id_hash
from tillstream.domain.fraud.decision import Decision, Label
from tillstream.domain.fraud.places import Place, Places
from tillstream.domain.fraud.profile import MAX_WAITING, Lesson, Profile, Waiting, verdict_of
from tillstream.domain.fraud.sale import till_number
from tillstream.domain.local_time import clock
from tillstream.domain.notice import InvalidNotice, notice, parse
from tillstream.domain.rates import Rates
from tillstream.domain.receipt.amounts import DECIMALS, shown
from tillstream.domain.receipt.contract import Id

FIELDS = {"amount": "1.00 ZAR", "store": "Cape Town 1", "time": "14:05"}  # what a text may name
MINUTE_MS = 60_000


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A customer's answer, JSON on the topic of replies, keyed by customer_id. transaction_id: what the
    notice was about, its `cause`. answered_ms: by the gateway's clock."""

    transaction_id: Id
    customer_id: Id
    answer: Literal["yes", "no"]
    answered_ms: Ms


class Asking(msgspec.Struct, frozen=True):
    """texts: by language. languages: by region, else by country; the first text's where neither is there.
    release_cents: in the grocer's currency, up to which "yes" releases. minutes: how long after the sale.
    decline_on_no: whether "no" declines without a person."""

    texts: dict[str, str]
    languages: dict[str, str]
    release_cents: int
    minutes: int
    decline_on_no: bool


class Answered(NamedTuple):
    """label: the verdict that follows, None where a person decides. why: that, as a code: ``waits`` where the
    sale is not judged yet, "" where nothing follows, for it was so decided before."""

    label: Label | None
    why: str


def parse_reply(raw: bytes) -> Reply:
    """Raises InvalidTransaction, and nothing else."""
    found = decode(raw, Reply)
    if found.customer_id.startswith(
        "tok_"
    ):  # a card is somebody's profile too, and is asked nothing
        raise refuse("bad_field", "$.customer_id is a card's token")
    return found


def wrong_with(text: str) -> str | None:
    """What is wrong with a text, None if nothing."""
    try:
        filled = text.format(**FIELDS)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        return f"may name {', '.join(FIELDS)} alone: {error}"
    if not filled:
        return "is empty"
    try:
        # The id is of no customer; what matters is the text.
        sent = notice("sms", "customer:C1", "fraud-confirm-purchase", "1", 0, {"text": filled})
        parse(msgspec.json.encode(sent))
    except InvalidNotice as error:
        return f"could not be sent: {error}"
    return None


def question(
    decision: Decision, profile: Profile | None, places: Places, asking: Asking
) -> dict[str, str | int]:
    """What a notice of a hold says besides: ``text`` and ``language``. No name, no number of a card: of that
    nothing is known here but its token."""
    here = places.get(decision.store)
    language = language_of(_home(profile, places) or here, asking)
    amount = f"{decision.total_cents} {decision.currency}"
    if decision.currency in DECIMALS:
        amount = shown(decision.total_cents, decision.currency)
    text = asking.texts[language].format(
        amount=amount,
        store=(here.name if here else "") or f"store {decision.store}",
        time=clock(here.zone if here else "UTC", decision.event_time_ms),
    )
    return {"text": text, "language": language}


def language_of(home: Place | None, asking: Asking) -> str:
    """By the region where the customer shops most, else its country."""
    names = (home.region, home.country) if home else ()
    found = next((asking.languages[name] for name in names if name in asking.languages), "")
    return found if found in asking.texts else next(iter(asking.texts))


def _home(profile: Profile | None, places: Places) -> Place | None:
    if profile is None or not profile.stores:
        return None
    stores = profile.stores
    return places.get(stores[max(range(0, len(stores), 2), key=lambda at: stores[at + 1])])


def answered(
    profile: Profile | None, reply: Reply, arrived_ms: int, asking: Asking, rates: Rates
) -> Answered:
    """``arrived_ms``: when the broker took the reply; its own clock says nothing."""
    number = id_hash(reply.transaction_id)
    held = (
        next((one for one in profile.held if one.transaction == number), None) if profile else None
    )
    if held is None:
        if verdict := verdict_of(profile, number):
            agrees = (reply.answer == "yes") == (verdict == "released")
            return Answered(None, "" if agrees else f"{verdict}_before")
        judged = profile is not None and number in profile.recent
        return Answered(None, "not_held" if judged else "waits")
    if not held.till:
        return Answered(None, "denied_before" if held.currency else "held_by_an_earlier_release")
    if reply.answer == "no":
        decline = asking.decline_on_no
        return Answered(_label(reply, held, True, arrived_ms) if decline else None, "denied")
    if arrived_ms > held.event_ms + asking.minutes * MINUTE_MS:
        return Answered(None, "too_late")
    cents = rates.convert(held.cents, held.currency, rates.own, held.event_ms)
    if cents is None or cents > asking.release_cents:
        return Answered(None, "above_the_limit")
    return Answered(_label(reply, held, False, arrived_ms), "confirmed")


def deny(profile: Profile, reply: Reply) -> None:
    """Notes a "no" with the held sale: what is answered later is for a person."""
    number = id_hash(reply.transaction_id)
    for at, held in enumerate(profile.held):
        if held.transaction == number:
            profile.held[at] = msgspec.structs.replace(held, till="")


def wait(profile: Profile, reply: Reply, arrived_ms: int, until_ms: int) -> list[Waiting]:
    """Keeps an answer until its sale is judged, once, and at most until then by the machine's clock. Returns
    what gives way to it. A job that reads again after a crash may meet an answer first."""
    one = Waiting(reply.transaction_id, reply.answer == "yes", arrived_ms, until_ms)
    same = [(other.transaction_id, other.yes) for other in profile.waiting]
    if (one.transaction_id, one.yes) not in same:
        profile.waiting.append(one)
    gone = profile.waiting[:-MAX_WAITING]
    del profile.waiting[:-MAX_WAITING]
    return gone


def heard(profile: Profile, transaction_id: str, customer_id: str) -> list[tuple[Reply, int]]:
    """The answers that have waited for a sale, in their order, with their arrival. They wait no more."""
    found = [one for one in profile.waiting if one.transaction_id == transaction_id]
    for one in found:
        profile.waiting.remove(one)
    return [(reply_of(one, customer_id), one.arrived_ms) for one in found]


def reply_of(one: Waiting, customer_id: str) -> Reply:
    return Reply(one.transaction_id, customer_id, "yes" if one.yes else "no", one.arrived_ms)


def overdue(
    profile: Profile, due_ms: int, heard_ms: int, again_at_ms: int
) -> tuple[list[Waiting], int | None]:
    """Answers whose time ended at ``due_ms``, which are taken out; and when to ask again. ``heard_ms``: the
    newest arrival of a sale that was read. An answer of after that goes on waiting: its sale is not read yet,
    for the job catches up, or stood still."""
    gone, left = list[Waiting](), list[Waiting]()
    behind = False
    for one in profile.waiting:
        if one.until_ms > due_ms:
            left.append(one)
        elif one.arrived_ms > heard_ms:
            left.append(msgspec.structs.replace(one, until_ms=again_at_ms))
            behind = True
        else:
            gone.append(one)
    profile.waiting = left
    return gone, again_at_ms if behind else None


def _label(reply: Reply, held: Lesson, fraud: bool, arrived_ms: int) -> Label:
    return Label(
        reply.transaction_id,
        fraud,
        held.event_ms,
        arrived_ms,
        held.store,
        till_number(held.till),
        reply.customer_id,
        held.card_token or None,
        "customer",
    )
