"""Which of several mappings knows a record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tillstream.domain import transaction
from tillstream.domain.mapping.mapper import Document, Mapper
from tillstream.domain.mapping.rows import OtherColumns
from tillstream.domain.transaction import InvalidTransaction


class Recognized(NamedTuple):
    """documents: as the mapper read them to know them, for its `transactions`."""

    mapper: Mapper
    documents: list[Document]


class Known:
    """The mappings of a deployment, in their order."""

    def __init__(self, mappers: Iterable[Mapper]) -> None:
        self._mappers = list(mappers)

    def of(self, raw: bytes) -> Recognized:
        """The first that knows the record; else the first to which it is a document without any. Raises
        InvalidTransaction: why a mapping could not read what has its form, else what contract v1 says."""
        told: list[InvalidTransaction] = []
        for mapper in self._mappers:
            try:
                if documents := mapper.documents(raw):
                    return Recognized(mapper, documents)
            except InvalidTransaction as error:
                told.append(error)
        for mapper in self._mappers:
            if mapper.is_empty(raw):
                return Recognized(mapper, [])
        if why := why_unread(raw, told):
            raise why
        transaction.parse(raw)
        raise InvalidTransaction("unknown_record", "$ is of no contract and no mapping of this job")


def why_unread(raw: bytes, told: Iterable[InvalidTransaction]) -> InvalidTransaction | None:
    """Of what mappings of several forms said of ``raw``, that of the form it begins like."""
    begins = raw.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")[:1]
    if not begins:
        return None
    if begins in (b"{", b"["):
        reasons = ["not_json", "not_utf8"]
    else:
        reasons = ["not_xml"] if begins == b"<" else ["not_csv", "not_text"]
    said = [error for error in told if error.reason in reasons]
    return min(said, key=lambda error: isinstance(error, OtherColumns), default=None)
