"""Which of several mappings knows a record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tillstream.domain import transaction
from tillstream.domain.mapping.mapper import Document, Mapper
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
        """The first that knows the record. Raises InvalidTransaction: what contract v1 says of it."""
        for mapper in self._mappers:
            try:
                if documents := mapper.documents(raw):
                    return Recognized(mapper, documents)
            except InvalidTransaction:
                continue
        transaction.parse(raw)
        raise InvalidTransaction("unknown_record", "$ is of no contract and no mapping of this job")
