"""What must not be kept nor sent: card numbers, e-mail addresses, telephone numbers.

In bytes of any kind, dead letters and what tills sent, an address and an international number (``+`` and 8
to 15 digits, grouped as people write it) are masked wholly. National forms are looked for only in the texts
of notices: in a record of a stranger ten digits may be anything. Typed fields hold neither: no id has a
``+``, nor a host's name after an ``@``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from unicodedata import normalize

from tillstream.domain.card_numbers import card_digits, contains_card_number, mask
from tillstream.domain.personal.digits import fold

_AT = rb"(?:@|\\u0040|%40|&#64;|\xef\xbc\xa0|\xef\xb9\xab|\\u[fF][fF]20)"
_LOCAL = rb"0-9A-Za-z._%+'\x80-\xf4-"  # signs of the part before the @
_ESCAPE = re.compile(rb"\\u[0-9a-fA-F]{4}")
_LABEL = rb"(?:[0-9A-Za-z\x80-\xf4-]|\\u(?!002[eE]|0040|[fF][fF]20)[0-9a-fA-F]{4}){1,63}"
_HOST = rb"(?:" + _LABEL + rb"(?:\.|\\u002[eE])){1,8}[A-Za-z\x80-\xf4]{2,24}"
# From the @ on: what is before it is found by going back, for its beginning may be anywhere in a long text.
_FROM_AT = re.compile(rb"(?<=[" + _LOCAL + rb"])" + _AT + _HOST)
_IS_LOCAL = frozenset(
    byte for byte in range(256) if re.match(rb"[" + _LOCAL + rb"]", bytes([byte]))
)
_MOST_LOCAL = 64  # as RFC 5321 has it
_LETTERS = frozenset(b"bfnrt")  # of JSON's escapes, such as \n
_HAS_AT = re.compile(_AT).search
_PLUS = rb"(?:\+|\\u002[bB]|%2[bB]|&#43;|\xef\xbc\x8b|\\u[fF][fF]0[bB])"
_D = rb"(?:[0-9]|\\u003[0-9])"
_GAP = (
    rb"(?:[ ()/-]|\xc2?[\xa0\xad]|\xe2[\x80\x81][\x80-\xbf]|\xe2\x88\x92|%20|&nbsp;|\\/|\\u00[aA][0dD]"
    rb"|\\u20[0-6][0-9a-fA-F]|\\u2212){0,3}"
)
_DATE = (
    rb"(?:(?:19|20)[0-9]{2}[./-](?:0[1-9]|1[0-2])[./-][0-3][0-9]"
    rb"|[0-3][0-9][./-](?:0[1-9]|1[0-2])[./-](?:19|20)[0-9]{2})"
)
# Dots alone part groups of other lengths than thousands. An amount before a date is no number.
_INTERNATIONAL = re.compile(
    rb"(?<![0-9])" + _PLUS + _GAP + rb"(?![0-9]{1,7} {1,3}" + _DATE + rb"(?![0-9]))"
    rb"(?:(?=[1-9\\])" + _D + rb"(?:" + _GAP + _D + rb"){7,14}"
    rb"|(?![0-9]{1,3}(?:\.[0-9]{3})+(?![0-9.]))[1-9][0-9]{0,3}(?=[0-9.]{8,18})(?:\.[0-9]{2,4}){2,5})"
    rb"(?![0-9])"
)  # fmt: skip
_HAS_PLUS = re.compile(_PLUS).search
# How numbers are written within a country, by its numbering plan (ITU-T E.129): where the trunk prefix is 0,
# where there is none, where it is 8. Eight or more digits together without a prefix may be anything.
TRUNK_0 = "AT AU BE CH DE EG ET FI FR GB GH ID IE IN JP KE MY NA NG NL NZ RO RW SE TR TW TZ UA UG ZA ZM ZW"
NANP = "CA US"
TRUNK_8 = "BY KZ RU"
_NATIONAL = {
    TRUNK_0: r"0[1-9][0-9]{8,9}|0[1-9][0-9]{1,3}(?:[ -][0-9]{3,4}[ -]?|\.[0-9]{3,4}\.)[0-9]{3,4}"
    r"|0[1-9](?:[ .-][0-9]{2}){4}|\(0[1-9][0-9]{0,3}\) ?[0-9]{3,4}[ -]?[0-9]{3,4}",
    NANP: r"(?:1[ -])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}",
    TRUNK_8: r"8[ -]?\(?[3-9][0-9]{2}\)?[ -][0-9]{3}[ -][0-9]{2}[ -]?[0-9]{2}",
}
_national = re.compile(
    rf"(?<![0-9A-Za-z/-])(?<![0-9][.,: ])(?:{'|'.join(_NATIONAL.values())})(?![0-9A-Za-z/-])(?![.,: ][0-9])"
)
_CUSTOMER = re.compile(r"(?i)(?<=customer)\W{1,3}[0-9]{9,15}(?![0-9])")
_SHORT = re.compile(r"@|\+[0-9]{6}")


def contains_personal_data(text: str) -> bool:
    """Whether the free ``text`` of a notice holds any. More is refused than is masked: any ``@``."""
    raw = text.encode("utf-8", "surrogatepass")
    if folded := fold(raw):
        raw = folded.raw
    plain = normalize("NFKC", raw.decode("utf-8", "surrogatepass"))
    return bool(
        _SHORT.search(plain)
        or _national.search(plain)
        or contains_card_number(text)
        or any(True for _ in _of_people(raw))
    )


def mask_personal_data(raw: bytes) -> bytes:
    """``raw`` with ``*`` for each address, international number, and digit of a card but its last four; the
    length stays. PersonalData.java is the same; a test compares them."""
    return mask(raw, _to_mask)


def mask_of_our_texts(raw: bytes) -> bytes:
    """The same and national forms too, and what a customer's id must not be, in what is ours and cannot be
    read. Where there are any, digits of other scripts are ASCII's afterwards."""
    masked = mask_personal_data(raw)
    folded = fold(masked)
    text = (folded.raw if folded else masked).decode("latin-1")
    made = _CUSTOMER.sub(_stars, _national.sub(_stars, text))
    return masked if made == text else made.encode("latin-1")


def _stars(found: re.Match[str]) -> str:
    return "*" * len(found[0])


@lru_cache(maxsize=100_000)  # codes of taxes, lots, names of sources: the same again and again
def masked(text: str) -> str:
    """The same of a text."""
    raw = text.encode("utf-8", "surrogatepass")
    return mask_personal_data(raw).decode("utf-8", "surrogatepass")


def _to_mask(raw: bytes) -> Iterator[tuple[int, int]]:
    yield from card_digits(raw)
    yield from _of_people(raw)
    if _HAS_PLUS(raw) and (folded := fold(raw)):
        yield from folded.of_others(_of_people(folded.raw))


def _of_people(raw: bytes) -> Iterator[tuple[int, int]]:
    if _HAS_AT(raw):
        for found in _FROM_AT.finditer(raw):
            start = _begins(raw, found.start())
            end = found.end()
            while end < len(raw) and 0x80 <= raw[end] < 0xC0:  # of the last sign
                end += 1
            if start < found.start():
                yield start, end
    if _HAS_PLUS(raw):
        for found in _INTERNATIONAL.finditer(raw):
            yield found.span()


def _begins(raw: bytes, at: int) -> int:
    """Where the address begins whose @ is there; there, if nothing is before it."""
    start = at
    for _ in range(_MOST_LOCAL):
        if start >= 6 and _ESCAPE.fullmatch(raw, start - 6, start) and _escapes(raw, start - 6):
            start -= 6
        elif start and raw[start - 1] in _IS_LOCAL:
            start -= 1
        else:
            break
    while start < at and 0x80 <= raw[start] < 0xC0:  # amid a sign
        start += 1
    if start < at and raw[start] in _LETTERS and start and _escapes(raw, start - 1):
        start += 1
    return start


def _escapes(raw: bytes, slash: int) -> bool:
    """Whether there is a backslash that is not escaped itself."""
    begins = slash + 1
    while begins and raw[begins - 1] == 0x5C:
        begins -= 1
    return (slash + 1 - begins) % 2 == 1
