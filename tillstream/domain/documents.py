"""Documents of low rate, checked whole by msgspec: the types they share, and how one is refused."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
import orjson
from msgspec import Meta

from tillstream.domain.transaction import (
    LINE_PATTERNS,
    PATTERNS,
    InvalidTransaction,
    invalid,
    refuse_twice,
    unreadable,
)

Id = Annotated[str, Meta(pattern=rf"^{PATTERNS['transaction_id']}\Z")]
Product = Annotated[str, Meta(pattern=rf"^{LINE_PATTERNS['product']}\Z")]
# Of documents about stock: a produce code too.
SHELF_PRODUCT = rf"(?:{LINE_PATTERNS['product']}|plu-[0-9]{{1,5}})"
ShelfProduct = Annotated[str, Meta(pattern=rf"^{SHELF_PRODUCT}\Z")]
Customer = Annotated[str, Meta(pattern=rf"^{PATTERNS['customer_id']}\Z")]
CardToken = Annotated[str, Meta(pattern=rf"^{PATTERNS['card_token']}\Z")]
# Of our own making: a shelf, an order, a request of one.
_OWN = r"[0-9A-Za-z][0-9A-Za-z:@._/-]{0,127}"
OwnId = Annotated[str, Meta(pattern=rf"^{_OWN}\Z")]
OwnIdOrNone = Annotated[str, Meta(pattern=rf"^(?:{_OWN})?\Z")]  # "" for none
Place = Annotated[int, Meta(ge=1, le=9099)]  # a store or a centre
StoreNumber = Annotated[int, Meta(ge=1, le=2900)]
Ms = Annotated[int, Meta(ge=1_420_070_400_000, lt=4_133_980_800_000)]  # 2015 to 2100

T = TypeVar("T")


def refuse(reason: str, message: str) -> InvalidTransaction:
    """Why a document does not match its contract; ``reason`` as in ``transaction.REASONS``."""
    return InvalidTransaction(reason, message)


def decode(raw: bytes, kind: type[T], nulls: bool = False) -> T:
    """The document in ``raw`` (UTF-8 JSON); with ``nulls`` a null is as good as an absent field.
    Raises InvalidTransaction, and nothing else."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise unreadable(raw) from None
    try:
        found = msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise _why(document, str(error)) from None
    if raw.count(b'"') != orjson.dumps(document).count(b'"'):
        refuse_twice(raw)
    if not nulls and b"null" in raw:  # msgspec reads null as absent
        try:
            path = _null(document, "$")
        except RecursionError:
            raise refuse("not_json", "nested too deep") from None
        if path:
            raise refuse("wrong_type", f"{path} must be left out, not null")
    return found


def _null(value: object, path: str) -> str | None:
    """Path of the first null within ``value``."""
    if value is None:
        return path
    inner: list[tuple[str, object]] = []
    if isinstance(value, dict):
        inner = [(f"{path}.{name}", v) for name, v in value.items()]
    elif isinstance(value, list):
        inner = [(f"{path}[{n}]", v) for n, v in enumerate(value)]
    return next((found for p, v in inner if (found := _null(v, p))), None)


def _why(document: object, error: str) -> InvalidTransaction:
    if "matching regex" in error and not error.startswith("Object contains unknown field"):
        what, _, path = error.partition(" - at `")
        pattern = what.partition("matching regex ")[2].strip("'")
        return refuse("bad_format", f"{path.rstrip('`') or '$'} must match {pattern}")
    return invalid(document, error)
