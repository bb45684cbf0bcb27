"""Exact amounts: money in minor units of a currency, quantities in thousandths of a unit.

A number may arrive as text, int, or Decimal read from JSON; never as float, which has lost digits by then.
What programs that count in binary write (304.57000000000005) is taken for what they meant: the nearest
unit, if it is within a ten-thousandth of one. Anything else finer than a unit is an error, not rounded.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal, DecimalException

# ISO 4217, the list of 2026-01-01, and what it replaced since 2015: old receipts come back as returns.
_TWO = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ
GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD
MMK MNT MOP MRO MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON
RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STD STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD
TZS UAH USD USN UYU UZS VED VEF VES WST XCD XCG YER ZAR ZMW ZWG ZWL
"""
_NONE = "BIF BYR CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
DECIMALS = {
    code: decimals
    for decimals, codes in ((0, _NONE), (2, _TWO), (3, _THREE), (4, _FOUR))
    for code in codes.split()
}
MOST = 2**53 - 1  # what JSON readers everywhere keep exactly
NOISE = Decimal("0.0001")  # of a unit
_PLAIN = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{0,30})?", re.ASCII)


class NotExact(ValueError):
    """A number that cannot be kept exactly; the message says why, never the number."""


def exponent(currency: str) -> int:
    """Decimals of a currency by ISO 4217: 2 of ZAR, 0 of UGX. Raises LookupError for no currency."""
    return DECIMALS[currency]


def minor_units(amount: str | int | Decimal, decimals: int) -> int:
    """``amount`` of a currency of so many decimals, as whole minor units. Raises NotExact."""
    return _whole(amount, decimals, "finer than the currency's smallest unit")


def thousandths(quantity: str | int | Decimal) -> int:
    """A quantity of pieces, kg, l or m in thousandths. Raises NotExact."""
    return _whole(quantity, 3, "finer than a thousandth")


def _whole(number: str | int | Decimal, decimals: int, finer: str) -> int:
    if isinstance(number, str) and not _PLAIN.fullmatch(number):
        raise NotExact("is not a decimal number")
    try:
        scaled = Decimal(number).scaleb(decimals)
        if not scaled.is_finite() or abs(scaled) > MOST:
            raise NotExact("is too large to be kept exactly")
        whole = scaled.to_integral_value(ROUND_HALF_EVEN)
    except DecimalException:
        raise NotExact("is not a decimal number") from None
    if abs(scaled - whole) > NOISE:
        raise NotExact(f"is {finer}")
    return int(whole)


def shown(minor: int, currency: str) -> str:
    """As people write it: R 12.34 is ``12.34 ZAR``."""
    decimals = exponent(currency)
    sign, digits = "-" if minor < 0 else "", str(abs(minor)).rjust(decimals + 1, "0")
    whole = digits if not decimals else f"{digits[:-decimals]}.{digits[-decimals:]}"
    return f"{sign}{whole} {currency}"
