"""The name under which a savepoint keeps an operator's state: a hash of its uid."""

from __future__ import annotations

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_C1, _C2 = 0x87C3_7B91_1142_53D5, 0x4CF5_AD43_2745_937F


def operator_id(uid: str) -> str:
    """The operator's id in hex: MurmurHash3 (x64, 128 bits, seed 0) of the uid's UTF-8.

    As Flink makes it for an operator with a uid; savepoints of Flink 1.x hold the hash alone.
    """
    data = uid.encode()
    h1 = h2 = 0
    whole = len(data) // 16 * 16
    for start in range(0, whole, 16):
        k1 = int.from_bytes(data[start : start + 8], "little")
        k2 = int.from_bytes(data[start + 8 : start + 16], "little")
        h1 ^= _mix1(k1)
        h1 = (_left(h1, 27) + h2) * 5 + 0x52DC_E729 & _MASK
        h2 ^= _mix2(k2)
        h2 = (_left(h2, 31) + h1) * 5 + 0x3849_5AB5 & _MASK
    rest = data[whole:]
    if len(rest) > 8:
        h2 ^= _mix2(int.from_bytes(rest[8:], "little"))
    if rest:
        h1 ^= _mix1(int.from_bytes(rest[:8], "little"))
    h1, h2 = h1 ^ len(data), h2 ^ len(data)
    h1 = h1 + h2 & _MASK
    h2 = h2 + h1 & _MASK
    h1, h2 = _finish(h1), _finish(h2)
    h1 = h1 + h2 & _MASK
    h2 = h2 + h1 & _MASK
    return (h1.to_bytes(8, "little") + h2.to_bytes(8, "little")).hex()


def _left(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _MASK


def _mix1(k: int) -> int:
    return _left(k * _C1 & _MASK, 31) * _C2 & _MASK


def _mix2(k: int) -> int:
    return _left(k * _C2 & _MASK, 33) * _C1 & _MASK


def _finish(h: int) -> int:
    h = (h ^ h >> 33) * 0xFF51_AFD7_ED55_8CCD & _MASK
    h = (h ^ h >> 33) * 0xC4CE_B9FE_1A85_EC53 & _MASK
    return h ^ h >> 33
