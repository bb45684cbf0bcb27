"""In which bytes the front door should write transactions: ``python benchmarks/wire_format.py``.

The same simulated transactions as contract v1 (read and checked, as every job did until 0.1.0) and in the
canonical form as JSON objects, JSON arrays, msgpack maps and arrays, read by typed msgspec. Ratios within
one run; the best of several rounds in turns.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.in_python import simulated
from tillstream.domain.receipt.canonical import Item, Paid, Receipt
from tillstream.domain.receipt.front_door import StorePlace, of_v1
from tillstream.domain.transaction import parse

COUNT, ROUNDS = 4_000, 9
PLACE = StorePlace(1, "Africa/Johannesburg", "ZAR", "ZA", "western-cape")


def as_arrays(kind: type[msgspec.Struct], **inner: Any) -> type[msgspec.Struct]:
    """The same fields in an array, those that must be there first."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(kind):
        of = inner.get(field.name, field.type)
        plain = (field.name, of)
        fields.append(plain if field.required else (*plain, field.default))
    fields.sort(key=len)
    return msgspec.defstruct(
        f"{kind.__name__}Array", fields, frozen=True, gc=False, array_like=True
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    item, paid = as_arrays(Item), as_arrays(Paid)
    array = as_arrays(Receipt, lines=tuple[item, ...], tenders=tuple[paid, ...])  # type: ignore[valid-type]
    raw = [sent.raw for sent in simulated(COUNT, COUNT, 1) if sent.raw]
    made = [of_v1(parse(one), PLACE) for one in raw]
    plain = [msgspec.to_builtins(one) for one in made]
    arrays = [
        array(**one | {"lines": tuple(item(**line) for line in one["lines"]),
                       "tenders": tuple(paid(**tender) for tender in one["tenders"])})
        for one in plain
    ]  # fmt: skip
    forms: dict[str, tuple[list[bytes], Callable[[bytes], Any]]] = {
        "v1, checked": (raw, parse),
        "JSON objects": ([msgspec.json.encode(o) for o in made], msgspec.json.Decoder(Receipt).decode),
        "JSON arrays": ([msgspec.json.encode(o) for o in arrays], msgspec.json.Decoder(array).decode),
        "msgpack maps": ([msgspec.msgpack.encode(o) for o in made], msgspec.msgpack.Decoder(Receipt).decode),
        "msgpack arrays": ([msgspec.msgpack.encode(o) for o in arrays],
                           msgspec.msgpack.Decoder(array).decode),
    }  # fmt: skip
    best = dict.fromkeys(forms, float("inf"))
    gc.disable()
    for _ in range(ROUNDS):
        for name, (records, read) in forms.items():
            began = time.perf_counter()
            for record in records:
                read(record)
            best[name] = min(best[name], (time.perf_counter() - began) / len(records))
    first = best["v1, checked"]
    for name, (records, _) in forms.items():
        size = sum(map(len, records)) / len(records)
        took = best[name]
        print(f"{name:15} {took * 1e6:6.2f} us  x {took / first:4.2f}  {size:5.0f} B")


if __name__ == "__main__":
    main()
