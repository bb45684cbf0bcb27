"""Records as nobody should send them: a good one, changed at random by a seed.

Unlike `malformed`, whose every kind is a fault that a till is known for, this makes what nobody thought
of. Some of it is still valid, and must then be dealt with as such.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from random import Random
from typing import Any

import orjson

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 0.532, 1e300, 2**31, 2**53, 2**63 - 1, 2**64 - 1,
    9_999_999_999_999_999_999, 1_764_000_000, 1_764_000_000_000_000, "", " ", "\n", "\0", "x" * 3000, "é",
    "C0000012345\n", "tok_a1b2c3d4e5f6g7h8\n", "0023 04", "'; --", [], {}, [[]], {"a": {}}, "../../etc",
    "kafka:x/0/1", "~7", "NaN", "1970-01-01",
]  # fmt: skip
# For contract v2, with what is odd there alone. A list of its own: a seed's turns go by the length.
ODD_V2: list[Any] = [
    *ODD, 0.0005, -0.5, 1e-30, "0.5x", "2026-11-29T15:18:04", "2026-11-29T25:00:00+02:00", "9999-12-31",
    "ZZZ", "zar", "void", "change", {"number": 1}, [{"code": "S"}], {"customer": ""}, 100_001,
]  # fmt: skip
DEEP = 2_000
LARGE = 1_000_000  # a stream takes 1 MiB


def fuzzed(raw: bytes, rng: Random) -> bytes:
    """``raw``, a JSON object, changed in one to three ways by turns of ``rng``."""
    for _ in range(rng.randint(1, 3)):
        raw = rng.choice(_CHANGES)(raw, rng)
    return raw


def unusable(raw: bytes, rng: Random, schema: int = 1) -> bytes:
    """``raw``, a till transaction of the contract ``schema``, with fields changed as in `fuzzed`, and one
    that nobody knows: so it is none, and still one JSON object: what falls into several pieces would be
    several dead letters."""
    odd = ODD if schema == 1 else ODD_V2
    for _ in range(rng.randint(1, 3)):
        raw = _field(raw, rng, odd)
    return orjson.dumps(orjson.loads(raw) | {"extra": rng.choice(odd)})


def _field(raw: bytes, rng: Random, odd: list[Any] = ODD) -> bytes:
    """A field, at any depth, takes an odd value, goes, or comes."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw
    places = list(_objects(document))
    if not places:
        return raw
    place = rng.choice(places)
    name = rng.choice([*place, "extra"])
    what = rng.randrange(3)
    if what == 0:
        place.pop(name, None)
    elif what == 1 and len(place) > 1:
        place[name] = place[rng.choice(list(place))]
    else:
        place[name] = rng.choice(odd)
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        return raw


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return (
            [value, *(one for inner in value.values() for one in _objects(inner))] if value else []
        )
    if isinstance(value, list):
        return [one for inner in value for one in _objects(inner)]
    return []


def _bytes(raw: bytes, rng: Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        changed[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return bytes(changed)


def _deep(raw: bytes, rng: Random) -> bytes:
    return raw[:-1] + b',"deep":' + b"[" * DEEP + b"]" * DEEP + b"}"


def _long_number(raw: bytes, rng: Random) -> bytes:
    digits = 30 if len(raw) % 2 else 1_200  # Flink 2.x reads 1,000
    return raw[:-1] + b',"number":' + b"9" * digits + b"}"


def _large(raw: bytes, rng: Random) -> bytes:
    return raw[:-1] + b',"text":"' + b"x" * (LARGE - len(raw)) + b'"}' if len(raw) < LARGE else raw


def _packed_large(raw: bytes, rng: Random) -> bytes:
    """Small on the stream, and unpacked as much as is taken of one record, or more."""
    mib = 7 if len(raw) % 2 else 15
    return gzip.compress(raw[:-1] + b',"text":"' + b"x" * (mib << 20) + b'"}', mtime=0)


def _heavy(raw: bytes, rng: Random) -> bytes:
    return {0: _large, 1: _packed_large}.get(rng.randrange(10), _deep)(raw, rng)


def _twice(raw: bytes, rng: Random) -> bytes:
    """A field twice, as JSON allows: the last one counts."""
    return raw[:-1] + b"," + raw[1:] if raw[:1] == b"{" else raw


_CHANGES: list[Callable[[bytes, Random], bytes]] = [
    *[_field] * 12, *[_bytes] * 3, _deep, _long_number, _twice,
    lambda raw, rng: raw[: rng.randrange(len(raw) + 1)],
    lambda raw, rng: b"",
    lambda raw, rng: b"\xef\xbb\xbf" + raw,
    lambda raw, rng: gzip.compress(raw, mtime=0),
    lambda raw, rng: b"[" + raw + b"]",
    lambda raw, rng: raw + b"\n" + raw,
    lambda raw, rng: raw.decode("latin-1").encode("utf-16"),
    _heavy,
]  # fmt: skip
