"""A notice: what a job asks to be told to a person or ordered from another system, once.

Jobs write notices to Kafka at least once; the notifier sends each id at most once. So the id must be
made from business ids alone: a replay makes the same id again, and it is not sent again.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from tillstream.domain.card_numbers import IDS, STORES
from tillstream.domain.personal.personal_data import contains_personal_data, mask_of_our_texts

KINDS = ("sms", "alert", "order")
PERSONAL_DATA = "personal_data"  # the reason
MASKED = "*" * 8
MAX_ID_BYTES = 1024
MAX_BYTES = 250_000  # SNS takes 256 KiB, an item of DynamoDB 400 KB
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z:._/~-]*")
_RECIPIENT = re.compile(r"[a-z][a-z_-]{1,30}:[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
_PHONE = re.compile(r"customer:[0-9]{9,15}")
_LISTED = r"(?:[0-9]{8,14}|plu-[0-9]{1,5})"
# Params that hold an id or a product: what has the form of one is not searched for card numbers.
_TYPED = [
    (re.compile(IDS), _ID),
    (re.compile("product"), re.compile(r"[0-9]{8,14}|(?:plu|sku)-[0-9A-Za-z._/-]{1,64}")),
    (re.compile("stores"), re.compile(STORES)),
    (re.compile("products"), re.compile(rf"(?:{_LISTED}(?:, {_LISTED})*)?")),
]

T = TypeVar("T", str, str | int)


class Notice(msgspec.Struct, frozen=True, gc=False):
    """One notice, JSON on the topics ``notices`` and ``stock-notices``, keyed by ``recipient``: those of
    one are in one partition, in order.

    kind: ``sms``, ``alert`` or ``order``, which decides how it is sent.
    recipient: a business id, e.g. ``customer:C0000000001``, ``store:45``, ``team:fraud``; never a
    telephone number or an address.
    template: name of the text; params: what fills it, texts and whole numbers only.
    cause: business id of what led to it, e.g. a transaction id. event_time_ms: when that was (UTC).
    """

    notice_id: str
    kind: str
    recipient: str
    template: str
    params: dict[str, str | int]
    cause: str
    event_time_ms: int


class InvalidNotice(ValueError):
    """These bytes are no notice; ``reason`` is a code, ``message`` names the field, never a value."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


def notice(
    kind: str,
    recipient: str,
    template: str,
    cause: str,
    event_time_ms: int,
    params: dict[str, str | int],
) -> Notice:
    """A notice whose id follows from what it is about: ``<template>:<recipient>:<cause>``. Both of these may
    hold colons: within a recipient's own id they become ``~``, which no id from outside has."""
    role, _, own = recipient.partition(":")
    notice_id = f"{template}:{role}:{own.replace(':', '~')}:{cause}"
    return Notice(notice_id, kind, recipient, template, params, cause, event_time_ms)


_decode = msgspec.json.Decoder(Notice).decode


def parse(raw: bytes) -> Notice:
    """The notice in ``raw``, seen to be fit to be sent.

    Raises InvalidNotice, also for what looks like an address, a telephone or a card number:
    personal data does not go through here. Ids, products and lists of products or stores are not searched.
    """
    if len(raw) > MAX_BYTES:
        raise InvalidNotice("too_large", f"a notice has {MAX_BYTES:,} bytes at most")
    try:
        found = _decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidNotice("not_a_notice", str(error)) from None
    except RecursionError:
        raise InvalidNotice("not_a_notice", "nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidNotice("not_json", str(error)) from None
    if not (_ID.fullmatch(found.notice_id) and len(found.notice_id) <= MAX_ID_BYTES):
        raise InvalidNotice("bad_id", f"notice_id must be 1 to {MAX_ID_BYTES} of {_ID.pattern}")
    if not (_ID.fullmatch(found.cause) and len(found.cause) <= MAX_ID_BYTES):
        raise InvalidNotice("bad_id", f"cause must be 1 to {MAX_ID_BYTES} of {_ID.pattern}")
    if found.kind not in KINDS:
        raise InvalidNotice("unknown_kind", f"kind must be one of {', '.join(KINDS)}")
    if not _RECIPIENT.fullmatch(found.recipient):
        raise InvalidNotice("bad_recipient", "recipient must be a business id, like store:45")
    if _PHONE.fullmatch(found.recipient):
        raise InvalidNotice("bad_recipient", "a customer's id must not be like a telephone number")
    if any(map(contains_personal_data, (found.template, *found.params, *_free(found)))):
        raise InvalidNotice(PERSONAL_DATA, "looks like an address, a telephone or a card number")
    return found


def without_personal_data(raw: bytes) -> bytes:
    """What was refused as a notice, for whatever reason, without personal data, for its dead letter: as it
    was sent, if it has none. More is refused than can be found to be masked, so a whole text goes; and what
    is like a telephone number in a recipient goes from the ids too."""
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return mask_of_our_texts(raw)
    made = {str(_masked(name)): _cleaned(name, value) for name, value in found.items()}
    numbers = re.findall(r"[0-9][0-9 ()./-]{7,}[0-9]", str(found.get("recipient", "")))
    for name in ("notice_id", "cause") if made.get("recipient") == MASKED else ():
        for number in numbers:
            if isinstance(made.get(name), str):
                made[name] = made[name].replace(number, MASKED)
    if made == found and mask_of_our_texts(raw) == raw:
        return raw
    return msgspec.json.encode(made)


def _cleaned(name: str, value: Any) -> Any:
    """A field of a notice: ids of the right form are not searched, times are none."""
    if name == "params" and isinstance(value, dict):
        return {
            str(_masked(one)): said if _typed(one, str(said)) else _masked(said)
            for one, said in value.items()
        }
    if not isinstance(value, str):
        text = msgspec.json.encode(value).decode()
        return value if name == "event_time_ms" or _masked(text) == text else MASKED
    form = {"notice_id": _ID, "cause": _ID, "recipient": _RECIPIENT}.get(name)
    if form is not None and form.fullmatch(value) and not _PHONE.fullmatch(value):
        return value
    like_a_phone = mask_of_our_texts(value.encode()) != value.encode()
    return MASKED if like_a_phone else _masked(value)


def _masked(said: T) -> T | str:
    return MASKED if contains_personal_data(str(said)) else said


def _free(found: Notice) -> list[str]:
    return [str(value) for name, value in found.params.items() if not _typed(name, str(value))]


def _typed(name: str, value: str) -> bool:
    """Whether a param's name says that it holds an id, a product or stores, and so it does."""
    return any(names.fullmatch(name) and form.fullmatch(value) for names, form in _TYPED)
