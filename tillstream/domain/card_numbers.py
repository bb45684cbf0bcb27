"""Card numbers (PANs): found in free text where they must not be, masked where text has to be kept.

What counts as one: 13 to 19 digits that pass the Luhn check, written together or grouped as cards print
them (4-4-4-4 and so on, 4-6-5), wherever they stand among other groups: after a till's number, before
a security code. A run of more than 19 digits is no card number, and neither is one that begins with 0, or
with 1 and is as long as a time since the epoch: 13, 16 or 19 digits (ms, µs, ns; 1... until 2033).
Cards begin with 2 to 6, UATP's of 15 digits with 1 (ISO/IEC 7812).

A tenth of all digits pass the Luhn check, GTINs too. So a field whose contract says what it holds, an
id, a product, a token, a time, is never searched if it is of that form: only free text is. The form may
be DynamoDB's, ``{"S": "..."}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Between two groups, in UTF-8, in Latin-1 or escaped in JSON: blanks of all widths, dashes, dots, slashes.
_SEPARATOR = (
    r"(?:[ \t._/-]|\xc2?\xa0|\xe2\x80[\x80-\xaf]|\\t|\\u00[aA]0|\\u20[0-2][0-9a-fA-F]){1,3}"
)
STORES = r"[0-9]{1,4}(?:[ ,;]+[0-9]{1,4})*"  # a list of them as text
_TEXT, _NUMBER = r'\s*:\s*(?:\{\s*"S"\s*:\s*)?', r'\s*:\s*(?:\{\s*"N"\s*:\s*")?'
# Fields of the contracts by name, each in its declared form. A customer's id is C and ten digits: of
# another form it is searched, for people type cards there.
_TYPED = (
    r'"(?!customer_id")(?:(?:[a-z_]+_)?id|refers_to|reference|cause|origin|shelf|area|[a-z_]*key)"'
    rf'{_TEXT}"[0-9A-Za-z][0-9A-Za-z:._/#~@-]*"'
    rf'|"product"{_TEXT}"[0-9]{{8,14}}"'
    r'|"products"\s*:\s*\[\s*"[0-9]{8,14}"(?:\s*,\s*"[0-9]{8,14}")*\s*\]'
    rf'|"stores"\s*:\s*"{STORES}"'
    rf'|"card_token"{_TEXT}"tok_[0-9a-z]{{16,32}}"'
    rf'|"[a-z_]+_ms"{_NUMBER}(?:1[4-9]|2[0-9]|3[0-9]|40|41)[0-9]{{11}}(?![0-9])'
)
_find = re.compile(f"{_TYPED}|([0-9]+(?:{_SEPARATOR}[0-9]+)*)".encode("latin-1")).finditer
_groups = re.compile(f"{_SEPARATOR}|([0-9]+)".encode("latin-1")).finditer
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_TIMES = (13, 16, 19)
# How many digits the groups of a card number have.
_GROUPED: set[tuple[int, ...]] = {(n,) for n in range(13, 20)} | {(4, 6, 4), (4, 6, 5)}
_GROUPED |= {(4, 4, 4, n) for n in range(1, 5)} | {(4, 4, 4, 4, n) for n in range(1, 4)}
_MOST_GROUPS = 5


def passes_luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812)."""
    total = sum(map(int, digits[-1::-2])) + sum(_DOUBLED[int(d)] for d in digits[-2::-2])
    return total % 10 == 0


def contains_card_number(text: str) -> bool:
    """Whether the free ``text`` holds 13 to 19 digits that look like a card number."""
    raw = text.encode("utf-8", "surrogatepass")
    return any(True for run in _find(raw) if run.group(1) for _ in _card_numbers(run))


def mask_card_numbers(raw: bytes) -> bytes:
    """``raw`` with every card number's digits but the last four as ``*``; the length stays.

    For dead letters, whose bytes need not be JSON, nor UTF-8: UTF-16 and UTF-32 have zeros around each
    digit. Typed fields are left alone wherever they stand, for a dead letter without them could not be
    repaired.
    """
    masked = bytearray(raw)
    places: range | list[int] = range(len(raw))
    if 0 in raw:
        places = [place for place in places if raw[place]]
        raw = raw.replace(b"\0", b"")
    for run in _find(raw):
        if run.group(1):
            for groups in _card_numbers(run):
                digits = [place for one in groups for place in range(*one.span())]
                for place in digits[:-4]:
                    masked[places[run.start() + place]] = ord("*")
    return bytes(masked)


def _card_numbers(run: re.Match[bytes]) -> Iterator[list[re.Match[bytes]]]:
    """The groups of each card number in a run of groups, as places in the run."""
    groups = [one for one in _groups(run.group()) if one.group(1)]
    for first in range(len(groups)):
        for end in range(first + 1, min(first + _MOST_GROUPS, len(groups)) + 1):
            found = groups[first:end]
            if tuple(len(one.group()) for one in found) in _GROUPED and _passes(found):
                yield found


def _passes(groups: list[re.Match[bytes]]) -> bool:
    digits = b"".join(one.group() for one in groups).decode("ascii")
    if digits[0] == "0" or (digits[0] == "1" and len(digits) in _TIMES):
        return False
    return passes_luhn(digits)
