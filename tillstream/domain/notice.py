"""A notice: what a job asks to be told to a person or ordered from another system, once.

Jobs write notices to Kafka at least once; the notifier sends each id at most once. So the id must be
made from business ids alone: a replay makes the same id again, and it is not sent again.
"""

from __future__ import annotations

import re
from typing import TypeVar

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
    """A notice that was refused, for whatever reason, without personal data, for its dead letter. More is
    refused than can be found to be masked, so the whole text goes; a recipient that is like a telephone
    number goes from the id too."""
    try:
        found = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return mask_of_our_texts(raw)
    params = {
        _masked(name): _masked(value) if not _typed(name, str(value)) else value
        for name, value in found.params.items()
    }
    role, _, own = found.recipient.rpartition(":")
    made = msgspec.structs.replace(found, template=_masked(found.template), params=params)
    is_id = _RECIPIENT.fullmatch(found.recipient) and not _PHONE.fullmatch(found.recipient)
    if own and not is_id and (_PHONE.fullmatch(found.recipient) or contains_personal_data(own)):
        made = msgspec.structs.replace(
            made,
            recipient=f"{role}:{MASKED}".lstrip(":"),
            notice_id=found.notice_id.replace(own, MASKED),
        )
    return raw if made == found else msgspec.json.encode(made)


def _masked(said: T) -> T | str:
    return MASKED if contains_personal_data(str(said)) else said


def _free(found: Notice) -> list[str]:
    return [str(value) for name, value in found.params.items() if not _typed(name, str(value))]


def _typed(name: str, value: str) -> bool:
    """Whether a param's name says that it holds an id, a product or stores, and so it does."""
    return any(names.fullmatch(name) and form.fullmatch(value) for names, form in _TYPED)
