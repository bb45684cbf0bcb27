"""Release new state versions: writes their golden bytes, once.

``python -m tillstream.state_schemas.keyed.freeze``

frozen.json then holds each version's layout and its samples' hashes. What it holds already is never
written again: to change a released version is to lose every savepoint that holds it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from tillstream.state_schemas.keyed.states import STATES
from tillstream.state_schemas.keyed.versioned import RECORD, RELEASED, Codec, Record, describe

HERE = Path(__file__).parent


def codecs() -> list[Codec[Any]]:
    """Every codec a job's state uses, by name."""
    found = {state.codec.name: state.codec for state in STATES if state.codec is not None}
    return [found[name] for name in sorted(found)]


def samples(codec: Codec[Any]) -> dict[int, dict[str, msgspec.Struct]]:
    """version -> name -> state, of state_schemas/<codec>/samples.py."""
    return importlib.import_module(f"{__package__}.{codec.name}.samples").SAMPLES


def golden(codec: Codec[Any], version: int, sample: str) -> Path:
    """Where a sample's bytes are."""
    return HERE / codec.name / "golden" / f"v{version}-{sample}.bin"


def freeze(known: Record) -> list[str]:
    """Adds what is not in ``known`` to it and writes its bytes; returns what was added."""
    added = []
    for codec in codecs():
        for layout in codec.layouts:
            versions = known.setdefault(codec.name, {})
            if str(layout.version) in versions:
                continue
            hashes = {}
            for name, state in samples(codec)[layout.version].items():
                path = golden(codec, layout.version, name)
                path.parent.mkdir(exist_ok=True)
                data = bytes([layout.version]) + msgspec.msgpack.encode(state)
                path.write_bytes(data)
                hashes[name] = hashlib.sha256(data).hexdigest()
            versions[str(layout.version)] = {"layout": describe(layout.shape), "golden": hashes}
            added.append(f"{codec.name} v{layout.version}")
    return added


def main() -> None:
    added = freeze(RELEASED)
    if added:
        RECORD.write_text(json.dumps(RELEASED, indent=1, sort_keys=True) + "\n")
    print(f"released: {', '.join(added) or 'nothing new'}", file=sys.stderr)


if __name__ == "__main__":
    main()
