"""Card numbers (PANs): found in free text where they must not be, masked where text has to be kept.

What counts as one: a whole run of digits of a card number's length that passes the Luhn check,
written together or grouped as cards print it (4-4-4-4 and so on, 4-6-5). A run longer than 19
digits is no card number, and neither is one that begins with 0, or with 1 and is as long as a time
since the epoch: 13, 16 or 19 digits (ms, µs, ns; 1... until 2033). Cards begin with 2 to 6, UATP's of
15 digits with 1 (ISO/IEC 7812).

A tenth of all digits pass the Luhn check, GTINs too. So a field whose contract says what it holds, an
id, a product, a token, a time, is never searched if it is of that form: only free text is.
"""

from __future__ import annotations

import re

_GROUPED = (
    r"[0-9]{4}(?:[ -][0-9]{4}){2}[ -][0-9]{1,4}(?:[ -][0-9]{3})?"
    r"|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}"
)
_find = re.compile(rf"(?<![0-9])(?:[0-9]{{13,19}}|{_GROUPED})(?![0-9])").finditer
STORES = r"[0-9]{1,4}(?:[ ,;]+[0-9]{1,4})*"  # a list of them as text
# Fields of the contracts by name, each in its declared form. A customer's id is C and ten digits: of
# another form it is searched, for people type cards there.
_TYPED = (
    r'"(?!customer_id")(?:(?:[a-z_]+_)?id|refers_to|reference|cause|origin|shelf|area|[a-z_]*key)"'
    r'\s*:\s*"[0-9A-Za-z][0-9A-Za-z:._/#~@-]*"'
    r'|"product"\s*:\s*"[0-9]{8,14}"'
    r'|"products"\s*:\s*\[\s*"[0-9]{8,14}"(?:\s*,\s*"[0-9]{8,14}")*\s*\]'
    rf'|"stores?"\s*:\s*"{STORES}"'
    r'|"card_token"\s*:\s*"tok_[0-9a-z]{16,32}"'
    r'|"[a-z_]+_ms"\s*:\s*(?:1[4-9]|2[0-9]|3[0-9]|40|41)[0-9]{11}(?![0-9])'
)
_find_bytes = re.compile(
    f"({_TYPED})|(?<![0-9])(?:[0-9]{{13,19}}|{_GROUPED})(?![0-9])".encode()
).sub
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_TIMES = (13, 16, 19)


def passes_luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812)."""
    total = sum(map(int, digits[-1::-2])) + sum(_DOUBLED[int(d)] for d in digits[-2::-2])
    return total % 10 == 0


def contains_card_number(text: str) -> bool:
    """Whether the free ``text`` holds 13 to 19 digits that look like a card number."""
    return any(_is_card_number(found.group()) for found in _find(text))


def mask_card_numbers(raw: bytes) -> bytes:
    """``raw`` with every card number's digits but the last four as ``*``; the length stays.

    For dead letters, whose bytes need not be JSON. Typed fields are left alone wherever they stand,
    for a dead letter without them could not be repaired.
    """
    return _find_bytes(_mask, raw)


def _is_card_number(found: str) -> bool:
    digits = found.replace("-", "").replace(" ", "")
    if digits[0] == "0" or (digits[0] == "1" and len(digits) in _TIMES):
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
