"""Numbers of cards in what a till prints, by hand, for the check alone (docs/jobs/intake.md)."""

from __future__ import annotations

import re

_AS_PRINTED = re.compile(
    r"(?<![0-9])(?<![0-9]\.)[1-9][0-9]{12,18}(?![0-9])"
    r"|(?<![0-9])[1-9][0-9]{3}(?P<gap>[ ._/+-])(?:"
    r"[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{1,3}"
    r"|[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{1,4}"
    r"|[0-9]{6}(?P=gap)[0-9]{4,5})(?![0-9])"
)


def masked(text: str) -> str:
    """``text`` with the digits of what may be a card's number as ``*``, but the last four."""
    return _AS_PRINTED.sub(_mask, text)


def _mask(found: re.Match[str]) -> str:
    digits = [int(sign) for sign in found[0] if sign.isdigit()]
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    is_time = digits[0] == 1 and len(digits) in (13, 16, 19)
    if is_time or (sum(digits[-1::-2]) + sum(doubled)) % 10:
        return found[0]
    left = len(digits) - 4
    made = ""
    for sign in found[0]:
        made += "*" if sign.isdigit() and left > 0 else sign
        left -= sign.isdigit()
    return made
