"""A change that someone else made to the hot stock table, as a stock movement of kind ``correction``.

The job marks what it writes with version and level (``mark``). An item whose mark does not say what the
item says was changed by someone else, whichever attributes they wrote; the job's own writes come out as
nothing, so nothing is echoed.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from tillstream.domain.documents import refuse
from tillstream.domain.stock import movement
from tillstream.domain.stock.ledger import mark

ID_ROOM = 38  # of 40 characters of a document id
_whole = re.compile(r"-?[0-9]+").fullmatch


def correction(record: dict[str, Any]) -> tuple[str, bytes] | None:
    """(key, document) for a record of the table's stream (NEW_AND_OLD_IMAGES), or None.

    None: the job's own write, an item removed, a change that leaves the quantity as it was, or a
    quantity that is no count (negative or no whole number), which nobody can have found on a shelf.
    ``corrected_at_ms`` of the item says when it was counted; without it the stream's own time counts,
    which is whole seconds. Raises InvalidTransaction, and nothing else, for a count that is no movement:
    of an item by hand without all it takes, say.
    """
    change = record["dynamodb"]
    new, old = change.get("NewImage"), change.get("OldImage", {})
    if new is None:
        return None
    quantity, version = _number(new, "quantity"), _number(new, "version")
    if (
        quantity is None
        or quantity < 0
        or new.get("mark", {}).get("S") == mark(version or 0, quantity)
    ):
        return None
    if "quantity" in old and old["quantity"] == new["quantity"]:
        return None
    at_ms = _number(new, "corrected_at_ms")
    if at_ms is None or at_ms == _number(old, "corrected_at_ms"):
        at_ms = _written_ms(change)
    store, product = _text(new, "store"), _text(new, "product")
    if not re.fullmatch(r"[1-9][0-9]{0,3}", store):
        raise refuse("bad_format", "$.store must be a store's number, the item's key")
    document = {
        "schema": 1,
        "document_id": f"d-{change['SequenceNumber'][-ID_ROOM:]}",
        "kind": "correction",
        "store": int(store),
        "event_time_ms": at_ms,
        "lines": [{"product": product, "quantity": quantity}],
    }
    try:
        raw = orjson.dumps(document)
    except TypeError:  # DynamoDB's numbers have up to 38 digits
        raise refuse("out_of_range", "quantity or corrected_at_ms is outside its limits") from None
    movement.parse(raw)
    return f"{store}/{product}", raw


def _text(image: dict[str, Any], name: str) -> str:
    if "S" not in image.get(name, {}):
        raise refuse("missing_field", f"$.{name} is required, as a text")
    return image[name]["S"]


def _number(image: dict[str, Any], name: str) -> int | None:
    text = image.get(name, {}).get("N", "")
    return int(text) if _whole(text) else None


def _written_ms(change: dict[str, Any]) -> int:
    if "ApproximateCreationDateTime" not in change:
        raise refuse("missing_field", "$.corrected_at_ms is required where the stream has no time")
    return int(change["ApproximateCreationDateTime"].timestamp() * 1000)
