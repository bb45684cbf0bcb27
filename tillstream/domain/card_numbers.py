"""Card numbers (PANs): found in free text where they must not be, masked where text has to be kept.

What counts as one: 13 to 19 digits that pass the Luhn check, written together or grouped as cards print
them, with the same blank, dash or other sign in each gap, wherever they stand among other digits' groups:
after a till's number, before a security code. A run of more than 19 digits is no card number, nor are
the decimals of a number, nor what begins with 0, or with 1 and is as long as a time since the epoch: 13,
16 or 19 digits (ms, µs, ns; 1... until 2033). Cards begin with 2 to 6, UATP's of 15 digits with 1
(ISO/IEC 7812). Digits of other scripts count as digits (`digits`). Nothing is found within compressed bytes.

A tenth of all digits pass the Luhn check, GTINs too. So a field whose contract says what it holds, an
id, a product, a token, a time, is never searched if it is of that form: only free text is. The form may
be DynamoDB's, ``{"S": "..."}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tillstream.domain.personal.digits import fold

# All in bytes, for dead letters need not be UTF-8; JSON's escapes of a digit or a sign count as these.
_D = r"(?:[0-9]|\\u003[0-9])"
# Between two groups: blanks and dashes of all widths in UTF-8, UTF-16 (without its zeros) and Latin-1.
_SEPARATOR = (
    r"(?:[\x01-\x09\x0b\x0c\x0e-\x20._/+-]|\xc2?[\xa0\xad]|\xe2[\x80\x81][\x80-\xbf]|\xe2\x88\x92"
    r"|\xe3\x80\x80|\xef\xbb\xbf|\xef\xbc\x8d|%20|&nbsp;|\\[t/]|\\u00(?:[2][0dDfF]|[aA][0dD])"
    r"|\\u20[0-6][0-9a-fA-F]|\\u2212|\\u3000|\\u[fF][eE][fF][fF]){1,6}"
)
# Four digits of which the first is none of another number; an escape may end in one.
_BEGINS = rf"(?=[1-9\\])(?:(?<![0-9])|(?<=\\u[0-9a-fA-F]{{4}}))(?={_D}{{4}})"
_ENDS = rf"(?!{_D})"
_FORMS = (
    rf"(?<![0-9]\.){_D}{{13,19}}",
    rf"{_D}{{4}}(?P<a>{_SEPARATOR}){_D}{{4}}(?P=a){_D}{{4}}(?P=a){_D}{{1,4}}",
    rf"{_D}{{4}}(?P<b>{_SEPARATOR}){_D}{{4}}(?P=b){_D}{{4}}(?P=b){_D}{{4}}(?P=b){_D}{{1,3}}",
    rf"{_D}{{4}}(?P<c>{_SEPARATOR})(?:{_D}{{6}}(?P=c){_D}{{4,5}}|{_D}{{5}}(?P=c){_D}{{6}}|{_D}{{4}}(?P=c){_D}{{5}})",
    rf"{_D}{{6}}{_SEPARATOR}{_D}{{13}}",
)
_NAMES = ("solid", "fours", "fives", "others", "long")
_CARD = _BEGINS + "".join(
    rf"(?=(?P<{name}>{form}{_ENDS})?)" for name, form in zip(_NAMES, _FORMS, strict=True)
)
STORES = r"[0-9]{1,4}(?:[ ,;]+[0-9]{1,4})*"  # a list of them as text
_TEXT, _NUMBER = r'\s*:\s*(?:\{\s*"[SN]"\s*:\s*)?', r'\s*:\s*(?:\{\s*"N"\s*:\s*")?'
_PRODUCT = (
    r'"?\s*[0-9]{8,14}\s*"?(?![0-9])'  # also as a number, or with blanks, which can be repaired
)
# Fields of the contracts by name, each in its declared form. A customer's id is C and ten digits: of
# another form it is searched, for people type cards there.
IDS = (
    r"(?:(?:last_)?transaction|document|promotion|request|order|offer|hold|route|update|line|count|entry"
    r"|shortage|notice|dead_letter|fiscal|answer|adjustment|assortment|household|event|record|case|overlap)_id|refers_to|voids|receipt|reference|cause|origin|shelf|area"
    r"|regional_alert|stock_key"
)
_TYPED = (
    rf'"(?:{IDS})"{_TEXT}"[0-9A-Za-z][0-9A-Za-z:._/#~@-]*"'
    rf'|"(?:product|code)"{_TEXT}{_PRODUCT}'
    rf'|"open_orders"{_TEXT}"[0-9:;,-]*"'
    rf'|"stores"\s*:\s*"{STORES}"'
    rf'|"card_token"{_TEXT}"tok_[0-9a-z]{{16,32}}"'
    rf'|"[a-z_]+_ms"{_NUMBER}(?:1[4-9]|2[0-9]|3[0-9]|40|41)[0-9]{{11}}(?![0-9])'
    r'|"products"\s*:\s*\[(?P<products>[^\]]*)'
)
_find = re.compile(_CARD.encode("latin-1")).finditer
_find_untyped = re.compile(f"{_TYPED}|{_CARD}".encode("latin-1")).finditer
_find_unlisted = re.compile(f"{_PRODUCT}|{_CARD}".encode("latin-1")).finditer
_digits = re.compile(f"{_SEPARATOR}|({_D})".encode("latin-1")).finditer
_escape = re.compile(rb"\\u(?:003([0-9])|....)|%20").sub
_SIGNS = bytes(set(range(256)) - set(b"0123456789"))
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_TIMES = (13, 16, 19)


def passes_luhn(digits: str | bytes) -> bool:
    """The check digit of card numbers (ISO/IEC 7812)."""
    raw = digits.encode("ascii") if isinstance(digits, str) else digits
    total = sum(raw[-1::-2]) + sum(raw[-2::-2].translate(_DOUBLED))
    return (total - ord("0") * len(raw)) % 10 == 0


def contains_card_number(text: str) -> bool:
    """Whether the free ``text`` holds 13 to 19 digits that look like a card number."""
    raw = text.encode("utf-8", "surrogatepass")
    folded = fold(raw)
    if folded:
        raw = folded.raw
    return any(True for found in _find(raw) for _ in _card_numbers(found))


def mask_card_numbers(raw: bytes) -> bytes:
    """``raw`` with every card number's digits but the last four as ``*``; the length stays.

    For dead letters, whose bytes need not be JSON, nor UTF-8: UTF-16 and UTF-32 have zeros around each
    digit. Typed fields are left alone wherever they stand, for a dead letter without them could not be
    repaired.
    """
    return mask(raw, card_digits)


def mask(raw: bytes, find: Callable[[bytes], Iterator[tuple[int, int]]]) -> bytes:
    """``raw`` with ``*`` for all bytes that ``find`` has (start, end) of; it sees no zeros."""
    masked = bytearray(raw)
    if 0 not in raw:
        for start, end in find(raw):
            masked[start:end] = b"*" * (end - start)
        return bytes(masked)
    places = [place for place, byte in enumerate(raw) if byte]
    for start, end in find(raw.replace(b"\0", b"")):
        for place in places[start:end]:
            masked[place] = ord("*")
    return bytes(masked)


def card_digits(raw: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of each digit to be masked, some more than once."""
    for found in _find_untyped(raw):
        start, end = found.span("products")
        if start >= 0:
            listed = raw[start:end]
            for one in _find_unlisted(listed):
                for digits in _card_numbers(one):
                    yield from ((start + at, start + to) for at, to in digits[:-4])
        else:
            for digits in _card_numbers(found):
                yield from digits[:-4]
    if folded := fold(raw):  # no typed field has other digits than ASCII's
        for found in _find(folded.raw):
            for digits in _card_numbers(found):
                whole = [(digits[0][0], digits[-1][1])]
                if any(folded.of_others(whole)):
                    for at, to in digits[:-4]:
                        yield folded.before(at), folded.before(to)


def _card_numbers(found: re.Match[bytes]) -> Iterator[list[tuple[int, int]]]:
    """(start, end) of each digit, for each form in which a card number begins here."""
    for name in _NAMES:
        text = found[name]
        if text is None:
            continue
        # Quicker than by `_digits`, which is for the few that pass.
        plain = _escape(rb"\1", text) if b"\\" in text or b"%" in text else text
        number = plain.translate(None, _SIGNS)
        if number[0] == ord("0") or (number[0] == ord("1") and len(number) in _TIMES):
            continue
        if passes_luhn(number):
            at = found.start(name)
            yield [(at + one.start(), at + one.end()) for one in _digits(text) if one[1]]
