"""What a record holds where that is several documents: the rules of Pieces.java, for commands that are given
a record as it came."""

from __future__ import annotations

import json
import re
import zlib

MOST_BYTES = 8 << 20  # as Json.java
MOST_PIECES = 10_000
_BLANK = b" \n\r\t"
_CONTROLS = [bytes([one]) for one in range(32) if one not in _BLANK]
# Nearly every record is one object: see maybeSeveral in Pieces.java.
_several = re.compile(rb"\}[ \n\r\t]*\{|[^ \n\r\t][^{]*\n\{|\A[ \n\r\t]*\[", re.DOTALL).search
_next_line = re.compile(rb"\n\{").search
_object = json.JSONDecoder().raw_decode


def pieces(payload: bytes) -> list[bytes]:
    """At least one; as it came where it is no such record."""
    raw = unpacked(payload)
    if raw[:2] == b"\x1f\x8b" and raw == payload:
        return [raw]
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not _several(raw) or _is_binary(raw):
        return [raw]
    found: list[bytes] = []
    at = _objects(raw, 0, found)
    while at < len(raw) and len(found) < MOST_PIECES and (line := _next_line(raw, at)):
        _add(found, raw[at : line.end() - 1])
        at = _objects(raw, line.end() - 1, found)
    if not found:
        return [raw]
    _add(found, raw[at:])
    return found


def _is_binary(raw: bytes) -> bool:
    if sum(map(raw.count, _CONTROLS)) <= len(raw) // 32:
        return False
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False


def unpacked(raw: bytes) -> bytes:
    """gzip as what is in it; what does not unpack, or to too much, as it came."""
    if raw[:2] != b"\x1f\x8b":
        return raw
    unpacking = zlib.decompressobj(31)
    try:
        found = unpacking.decompress(raw, MOST_BYTES + 1)
    except zlib.error:
        return raw
    return raw if len(found) > MOST_BYTES or not unpacking.eof else found


def _objects(raw: bytes, start: int, found: list[bytes]) -> int:
    """Adds the whole objects from ``start`` on; where the first byte behind the last one is."""
    text = raw.decode("latin-1")  # a character for each byte, and JSON's own are ASCII
    at = end = start
    array = start == 0 and raw.lstrip(_BLANK)[:1] == b"["
    if array:
        at = raw.index(b"[") + 1
    while len(found) < MOST_PIECES:
        at = _past_blanks(raw, at)
        if array and raw[at : at + 1] == b"]":
            array, at = False, at + 1
            end = at
            continue
        if raw[at : at + 1] != b"{":
            return end
        try:
            _, past = _object(text, at)
        except (ValueError, RecursionError):
            return end
        found.append(raw[at:past])
        at = end = past
        if array and raw[(comma := _past_blanks(raw, at)) : comma + 1] == b",":
            at = end = comma + 1
    return end


def _past_blanks(raw: bytes, at: int) -> int:
    while raw[at : at + 1] and raw[at] in _BLANK:
        at += 1
    return at


def _add(found: list[bytes], part: bytes) -> None:
    if own := part.strip(_BLANK):
        found.append(own)
