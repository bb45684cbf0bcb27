"""Cost of one state access: the account's codec beside pickle, orjson and a hand-made struct layout.

``python benchmarks/state_codec.py`` takes accounts of 1, 10, 100 and 512 remembered transactions and
prints microseconds to decode and to encode one, and its bytes; the best of many rounds, interleaved.
"""

from __future__ import annotations

import pickle
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec
import orjson
from msgspec.structs import astuple

from benchmarks import output
from tillstream.domain.loyalty.ledger import Account, Posting
from tillstream.state_schemas.keyed.loyalty_account import CODEC

T0 = 1_764_000_000_000
HEAD = struct.Struct("<qqqqqI")
POSTING = struct.Struct("<24sqqqqii")  # an id of 23 characters fits


def account(postings: int) -> Account:
    """A customer of so many sales, one every three hours."""
    return Account(
        postings,
        postings * 7,
        T0 + postings * 10_800_000,
        -1,
        T0,
        {
            f"{45 + n % 7:04d}-03-20251124-{n:06d}": Posting(
                T0 + n * 10_800_000, 12_345 + n * 17, 0, 0, 1000, 10
            )
            for n in range(postings)
        },
        {},
    )


def pack(state: Account) -> bytes:
    """Fixed widths, no pending: what a struct layout costs at its simplest."""
    *numbers, postings, _pending = astuple(state)
    parts = [HEAD.pack(*numbers, len(postings))]
    parts += (POSTING.pack(name.encode(), *astuple(p)[:6]) for name, p in postings.items())
    return b"\x01" + b"".join(parts)


def unpack(data: bytes) -> Account:
    *numbers, _count = HEAD.unpack_from(data, 1)
    postings = {
        name.rstrip(b"\0").decode(): Posting(*rest)
        for name, *rest in POSTING.iter_unpack(data[1 + HEAD.size :])
    }
    return Account(*numbers, postings, {})


def from_json(data: bytes) -> Account:
    return msgspec.convert(orjson.loads(data), Account)


def to_json(state: Account) -> bytes:
    return orjson.dumps(msgspec.to_builtins(state))


_json_decoder = msgspec.json.Decoder(Account)
_json_encoder = msgspec.json.Encoder()

WAYS: dict[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "ours (msgspec msgpack)": (CODEC.encode, CODEC.decode),
    "msgspec json": (_json_encoder.encode, _json_decoder.decode),
    "pickle 5": (pickle.dumps, pickle.loads),
    "orjson": (to_json, from_json),
    "struct, fixed widths": (pack, unpack),
}


def best_us(call: Callable[[Any], Any], argument: Any, number: int) -> float:
    began = time.perf_counter()
    for _ in range(number):
        call(argument)
    return (time.perf_counter() - began) / number * 1e6


def measure(sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    rows = []
    for size in sizes:
        state = account(size)
        stored = {way: encode(state) for way, (encode, _) in WAYS.items()}
        found = {way: [1e9, 1e9] for way in WAYS}
        for _ in range(rounds):
            for way, (encode, decode) in WAYS.items():
                assert decode(stored[way]) == state
                data, number = stored[way], max(2000 // size, 20)
                found[way][0] = min(found[way][0], best_us(decode, data, number))
                found[way][1] = min(found[way][1], best_us(encode, state, number))
        for way, (decode_us, encode_us) in found.items():
            rows.append(
                {"postings": size, "way": way, "decode_us": round(decode_us, 2),
                 "encode_us": round(encode_us, 2), "bytes": len(stored[way])}
            )  # fmt: skip
    return rows


def main() -> None:
    parser = output.arguments(__doc__, disk=False)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100, 512])
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    rows = measure(args.sizes, args.rounds)
    columns = ("remembered", "way", "decode us", "encode us", "bytes")
    output.table("", columns, [[str(cell) for cell in row.values()] for row in rows])
    output.write(args.json, rows)


if __name__ == "__main__":
    main()
