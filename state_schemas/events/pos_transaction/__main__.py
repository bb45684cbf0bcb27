"""Write v2.json from the types: ``python -m tillstream.state_schemas.events.pos_transaction``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tillstream.domain.receipt.contract import DECIMAL, RetailTransaction


def schema() -> bytes:
    """Of contract v2. A decimal may be a number or a text; patterns are written as JSON Schema has them."""
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:tillstream:pos_transaction:2",
        "title": "POS transaction, version 2",
        **_plain(msgspec.json.schema(RetailTransaction)),
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "decimal":
        return {"type": ["number", "string"], "pattern": f"^{DECIMAL}$"}
    changed = {key: _plain(value) for key, value in node.items()}
    if changed.get("format") == "date-time":
        changed["pattern"] = "([Zz]|[+-][0-9]{2}:?[0-9]{2})$"  # the offset is not optional
    if isinstance(changed.get("pattern"), str):
        changed["pattern"] = changed["pattern"].replace("\\Z", "$")
    if isinstance(changed.get("description"), str):
        changed["description"] = " ".join(changed["description"].replace("``", "`").split())
    return changed


def main() -> None:
    Path(__file__).with_name("v2.json").write_bytes(schema())


if __name__ == "__main__":
    main()
