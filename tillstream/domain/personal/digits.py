"""Digits of any script as ASCII has them: full-width ones, Arabic, superscripts, in UTF-8 or JSON's escapes.

What NFKC makes a digit is one, and so is every decimal digit of Unicode 14. Digits.java has the same list.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# The zero of each script; nine more follow it.
ZEROS = """
660 6F0 7C0 966 9E6 A66 AE6 B66 BE6 C66 CE6 D66 DE6 E50 ED0 F20 1040 1090 17E0 1810 1946 19D0 1A80 1A90 1B50
1BB0 1C40 1C50 A620 A8D0 A900 A9D0 A9F0 AA50 ABF0 FF10 104A0 10D30 11066 110F0 11136 111D0 112F0 11450 114D0
11650 116C0 11730 118E0 11950 11C50 11D50 11DA0 16A60 16AC0 16B50 1D7CE 1D7D8 1D7E2 1D7EC 1D7F6 1E140 1E2F0
1E950 1FBF0
"""
# Superscripts, subscripts, circled ones.
OTHERS = """
B2=2 B3=3 B9=1 2070=0 2074=4 2075=5 2076=6 2077=7 2078=8 2079=9 2080=0 2081=1 2082=2 2083=3 2084=4 2085=5
2086=6 2087=7 2088=8 2089=9 2460=1 2461=2 2462=3 2463=4 2464=5 2465=6 2466=7 2467=8 2468=9 24EA=0
"""
_OF_CODE = {int(zero, 16) + n: b"%d" % n for zero in ZEROS.split() for n in range(10)}
_OF_CODE |= {
    int(code, 16): digit.encode() for code, digit in (o.split("=") for o in OTHERS.split())
}
_OF_BYTES = {chr(code).encode(): digit for code, digit in _OF_CODE.items()}


def _any_of(texts: Iterable[bytes]) -> bytes:
    """A pattern of them: what they begin with, and the last byte."""
    ends = defaultdict(list)
    for text in texts:
        ends[text[:-1]].append(text[-1:])
    return b"|".join(
        re.escape(begins) + b"[" + b"".join(sorted(last)) + b"]" for begins, last in ends.items()
    )


_PAIR = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # of surrogates
# UTF-16 without its zeros has a full-width digit as these two bytes, in either order; UTF-8 has no ff.
_find = re.compile(
    _any_of(_OF_BYTES)
    + rb"|\xff[\x10-\x19]|[\x10-\x19]\xff|"
    + _PAIR
    + rb"|\\u(?!00[0-9aA])[0-9a-fA-F]{4}|\\u00[bB][239]"
).finditer


class Folded(NamedTuple):
    """``raw``: with ASCII's digits. ``places``: in it, of those that were others. ``removed``: bytes that are
    fewer before each of these, and after the last."""

    raw: bytes
    places: list[int]
    removed: list[int]

    def of_others(self, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Those in which one was another, as they are in what was folded."""
        for start, end in spans:
            if bisect_left(self.places, start) != bisect_left(self.places, end):
                yield self.before(start), self.before(end)

    def before(self, place: int) -> int:
        """The same place in what was folded."""
        return place + self.removed[bisect_left(self.places, place)]


def fold(raw: bytes) -> Folded | None:
    """None if ``raw`` has no other digits, as nearly all: one look at it."""
    if raw.isascii() and b"\\u" not in raw:
        return None
    parts: list[bytes] = []
    places: list[int] = []
    removed = [0]
    at = length = 0
    for found in _find(raw):
        text = found[0]
        digit = _digit(text)
        if digit is None:
            continue
        parts += (raw[at : found.start()], digit)
        length += found.start() - at + 1
        at = found.end()
        places.append(length - 1)
        removed.append(removed[-1] + len(text) - 1)
    if not places:
        return None
    return Folded(b"".join((*parts, raw[at:])), places, removed)


def _digit(text: bytes) -> bytes | None:
    if text.startswith(b"\\"):
        code = int(text[2:6], 16)
        if len(text) > 6:
            code = 0x10000 + (code - 0xD800) * 0x400 + int(text[8:], 16) - 0xDC00
        return _OF_CODE.get(code)
    if b"\xff" in text:
        return b"%d" % ((text[1] if text[0] == 0xFF else text[0]) - 0x10)
    return _OF_BYTES[text]
