"""Requests held to the service model that boto3 brings along: what is required, types, lengths, patterns."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape


class Refused(Exception):
    """An error of the API: ``code`` as the model names it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@cache
def model() -> ServiceModel:
    loaded = Loader().load_service_model("kinesisanalyticsv2", "service-2")
    return ServiceModel(loaded, "kinesisanalyticsv2")


def check(operation: str, request: dict[str, Any]) -> None:
    """Raises Refused for the first thing that does not match the operation's shape."""
    shape = model().operation_model(operation).input_shape
    if shape is not None:
        _check(shape, request, "")


def _check(shape: Shape, value: Any, at: str) -> None:
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            raise Refused("InvalidArgumentException", f"{at} is no object")
        missing = set(shape.required_members) - value.keys()
        unknown = value.keys() - set(shape.members)
        if missing or unknown:
            raise Refused("InvalidArgumentException", f"{at}: {missing or unknown}")
        for name, one in value.items():
            _check(shape.members[name], one, f"{at}.{name}")
    elif kind == "list":
        _size(shape, len(value), at)
        for one in value:
            _check(shape.member, one, at)
    elif kind == "map":
        _size(shape, len(value), at)
        for name, one in value.items():
            _check(shape.key, name, at)
            _check(shape.value, one, f"{at}.{name}")
    elif kind == "string":
        if not isinstance(value, str):
            raise Refused("InvalidArgumentException", f"{at} is no text")
        _size(shape, len(value), at)
        if shape.enum and value not in shape.enum:
            raise Refused("InvalidArgumentException", f"{at}: {value} is none of {shape.enum}")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            raise Refused("InvalidArgumentException", f"{at}: {value} does not match {pattern}")
    elif kind in ("integer", "long"):
        _size(shape, value, at)


def _size(shape: Shape, size: int, at: str) -> None:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", size)
    if not least <= size <= most:
        raise Refused("InvalidArgumentException", f"{at}: {size} is not {least} to {most}")


def plain(value: Any) -> Any:
    """As the JSON protocol writes it: times are seconds."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.timestamp() if isinstance(value, datetime) else value
