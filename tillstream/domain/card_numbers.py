"""Card numbers (PANs): found where they must not be, and masked where they have to be kept.

What counts as one: a whole run of digits of a card number's length that passes the Luhn check,
written together or grouped as cards print it (4-4-4-4 and so on, 4-6-5). A run longer than 19
digits is no card number, and neither are 13 digits that begin with 1: cards of 13 digits begin with 4
to 6 (ISO/IEC 7812: Visa, Maestro), while ids often hold the ms since epoch, 1... until 2033.
"""

from __future__ import annotations

import re

_GROUPED = (
    r"[0-9]{4}(?:[ -][0-9]{4}){2}[ -][0-9]{1,4}(?:[ -][0-9]{3})?"
    r"|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}"
)
_find = re.compile(rf"(?<![0-9])(?:[0-9]{{13,19}}|{_GROUPED})(?![0-9])").finditer
# A cheap first look, for nearly all texts have nothing of the kind; digits first, so that the search
# skips to them.
_maybe = re.compile(
    r"[0-9]{4}(?:[0-9]{9}|[ -](?:[0-9]{4}[ -][0-9]{4}[ -]|[0-9]{6}[ -])[0-9])"
).search

_find_bytes = re.compile(
    # the two 13-digit values that are no card number: a GTIN-13, an event time from 2015 to 2100
    rb'("product"\s*:\s*"[0-9]{13}"'
    rb'|"event_time_ms"\s*:\s*(?:1[4-9]|2[0-9]|3[0-9]|40|41)[0-9]{11}(?![0-9]))'
    rb"|(?<![0-9])(?:[0-9]{13,19}|" + _GROUPED.encode() + rb")(?![0-9])"
).sub
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def passes_luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812)."""
    total = sum(map(int, digits[-1::-2])) + sum(_DOUBLED[int(d)] for d in digits[-2::-2])
    return total % 10 == 0


def contains_card_number(text: str) -> bool:
    """Whether ``text`` holds 13 to 19 digits that look like a card number."""
    if not _maybe(text):
        return False
    return any(_is_card_number(found.group()) for found in _find(text))


def mask_card_numbers(raw: bytes) -> bytes:
    """``raw`` with every card number's digits but the last four as ``*``; the length stays.

    For dead letters, whose bytes need not be JSON. Left alone: 13 digits as a ``product`` (a tenth
    of all GTIN-13 pass the Luhn check) and 13 digits as an ``event_time_ms`` from 2015 to 2100, for
    a dead letter without them could not be repaired.
    """
    return _find_bytes(_mask, raw)


def _is_card_number(found: str) -> bool:
    digits = found.replace("-", "").replace(" ", "")
    if len(digits) == 13 and digits[0] == "1":
        return False
    return 13 <= len(digits) <= 19 and passes_luhn(digits)


def _mask(found: re.Match[bytes]) -> bytes:
    text = found.group()
    if found.group(1) is not None or not _is_card_number(text.decode("ascii")):
        return text
    head, tail = text[:-4], text[-4:]
    if b"-" in tail or b" " in tail:  # a grouped number that ends in fewer than four digits
        keep = len(text) - 5
        head, tail = text[:keep], text[keep:]
    return re.sub(rb"[0-9]", b"*", head) + tail
