"""Keyed state as bytes that outlive releases: one version byte, then that version's body in msgpack.

A version is a ``Layout``: a msgspec struct, frozen once released, with the two pure steps to and from the
version before it. The newest is the live struct of the domain that the rules work on. So the common case
costs nothing extra: the newest version is decoded straight into the live struct, and only older ones walk
the chain. frozen.json has every released layout as text. A codec is checked against it when it is made, so
a domain that was changed without a new version fails on import, not in a savepoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

RECORD = Path(__file__).with_name("frozen.json")
# What is released: {codec: {"1": {"layout": text, "golden": {sample: sha256}}}}
Record = dict[str, dict[str, dict[str, Any]]]
RELEASED: Record = json.loads(RECORD.read_text())

Live = TypeVar("Live", bound=msgspec.Struct)


class UnknownVersion(ValueError):
    """State written by a later release, or not by this product at all; or a version nobody can write."""


class LayoutChanged(TypeError):
    """The domain's struct is not the newest released layout any more."""


class Layout(NamedTuple):
    """One version. ``upgrade`` makes it from the version before, ``downgrade`` that from this one.

    Both are pure and never fail on what their version could hold. The first version has neither.
    """

    version: int
    shape: type[msgspec.Struct]
    upgrade: Callable[[Any], Any] | None = None
    downgrade: Callable[[Any], Any] | None = None


class Codec(Generic[Live]):
    """Bytes to and from ``live``; ``layouts`` are all versions ever released, 1 first; without them
    ``live`` is version 1.

    encode(state) -> bytes of the newest version. decode(bytes) -> state; raises UnknownVersion for a
    later version, ValueError for bytes that are none of ours.
    """

    encode: Callable[[Live], bytes]
    decode: Callable[[bytes], Live]

    def __init__(self, name: str, live: type[Live], layouts: Sequence[Layout] = ()) -> None:
        layouts = layouts or (Layout(1, live),)
        for number, layout in enumerate(layouts, 1):
            steps = layout.upgrade is not None and layout.downgrade is not None
            if layout.version != number or steps != (number > 1):
                raise TypeError(
                    f"{name}: versions count from 1 without a gap, each after the first with "
                    f"upgrade and downgrade; wrong at place {number}"
                )
        self.name = name
        self.layouts = tuple(layouts)
        self.current = len(layouts)
        released = RELEASED.get(name, {}).get(str(self.current))
        frozen = released["layout"] if released else describe(layouts[-1].shape)
        if (now := describe(live)) != frozen:
            raise LayoutChanged(
                f"{name}: {live.__module__}.{live.__name__} is no longer version {self.current}, "
                f"which is released. Put its structs, as they were, into v{self.current}.py. "
                f"Add v{self.current + 1}.py with upgrade and downgrade from and to them.\n"
                f"is:       {now}\nreleased: {frozen}"
            )
        self._encoder = msgspec.msgpack.Encoder()
        decoder = msgspec.msgpack.Decoder
        self._decoders = {layout.version: decoder(layout.shape) for layout in layouts}
        self._live = decoder(live)
        self.encode = self._fast_encode()
        self.decode = self._fast_decode()

    def writer(self, versions: Mapping[str, int]) -> Callable[[Live], bytes]:
        """``encode``, or what writes an older version where ``versions`` names one for this state.

        For a release that may have to be rolled back: the release before it reads what is written.
        What the older version has no place for is lost. Raises UnknownVersion.
        """
        wanted = versions.get(self.name, self.current)
        if wanted == self.current:
            return self.encode
        if wanted not in self._decoders:
            raise UnknownVersion(
                f"state.write_versions: {self.name} has versions 1 to {self.current}, not {wanted}"
            )
        return lambda state: self.encode_as(wanted, self._frozen(state))

    def encode_as(self, version: int, newest: msgspec.Struct) -> bytes:
        """``newest``, a struct of the newest layout, written as ``version``."""
        for layout in reversed(self.layouts[version:]):
            assert layout.downgrade is not None
            newest = layout.downgrade(newest)
        return bytes([version]) + self._encoder.encode(newest)

    def version_of(self, data: bytes) -> int:
        """The version ``data`` was written in. Raises UnknownVersion."""
        if data and data[0] in self._decoders:
            return data[0]
        raise self._unknown(data)

    def decode_frozen(self, data: bytes) -> msgspec.Struct:
        """``data`` as the struct of the version it was written in. Raises as ``decode``."""
        version = self.version_of(data)
        try:
            return self._decoders[version].decode(data[1:])
        except msgspec.DecodeError as error:
            raise ValueError(f"{self.name} v{version}: {error}") from None

    def _fast_encode(self) -> Callable[[Live], bytes]:
        mark, body = bytes([self.current]), self._encoder.encode

        def encode(state: Live) -> bytes:
            return mark + body(state)

        return encode

    def _fast_decode(self) -> Callable[[bytes], Live]:
        current, body = self.current, self._live.decode

        def decode(data: bytes) -> Live:
            if data and data[0] == current:
                try:
                    return body(data[1:])
                except msgspec.DecodeError as error:
                    raise ValueError(f"{self.name} v{current}: {error}") from None
            return self._upgraded(data)

        return decode

    def _upgraded(self, data: bytes) -> Live:
        state = self.decode_frozen(data)
        for layout in self.layouts[data[0] :]:
            assert layout.upgrade is not None
            state = layout.upgrade(state)
        return self._live.decode(self._encoder.encode(state))

    def _frozen(self, state: Live) -> msgspec.Struct:
        return self._decoders[self.current].decode(self._encoder.encode(state))

    def _unknown(self, data: bytes) -> UnknownVersion:
        found = data[0] if data else None
        return UnknownVersion(
            f"{self.name} state has version {found}, this release reads up to {self.current}: "
            "restore with the release that wrote it, or a later one"
        )


def describe(shape: Any) -> str:
    """A struct's layout as text: field names and types in order, nested structs written out."""
    return _text(msgspec.inspect.type_info(shape))


def _text(kind: Any) -> str:
    if isinstance(kind, msgspec.inspect.StructType | msgspec.inspect.NamedTupleType):
        if not getattr(kind, "array_like", True):
            raise TypeError(f"{kind.cls.__name__}: state is written by position, array_like=True")
        fields = ", ".join(f"{f.name}: {_text(f.type)}" for f in kind.fields)
        return f"[{fields}]"
    name = type(kind).__name__.removesuffix("Type").lower()
    parts = [
        _text(part)
        for attribute in ("key_type", "value_type", "item_type")
        if (part := getattr(kind, attribute, None)) is not None
    ]
    parts += [_text(part) for part in getattr(kind, "types", ())]
    parts += [_text(part) for part in getattr(kind, "item_types", ())]
    return f"{name}<{', '.join(parts)}>" if parts else name
