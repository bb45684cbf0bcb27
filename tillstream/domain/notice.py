"""A notice: what a job asks to be told to a person or ordered from another system, once.

Jobs write notices to Kafka at least once; the notifier sends each id at most once. So the id must be
made from business ids alone: a replay makes the same id again, and it is not sent again.
"""

from __future__ import annotations

import msgspec


class Notice(msgspec.Struct, frozen=True, gc=False):
    """One notice, JSON on the topic ``notices``, keyed by ``notice_id``.

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


def notice(
    kind: str,
    recipient: str,
    template: str,
    cause: str,
    event_time_ms: int,
    params: dict[str, str | int],
) -> Notice:
    """A notice whose id follows from what it is about: ``<template>:<recipient>:<cause>``."""
    notice_id = f"{template}:{recipient}:{cause}"
    return Notice(notice_id, kind, recipient, template, params, cause, event_time_ms)
