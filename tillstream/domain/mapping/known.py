"""Which of several mappings knows a record."""

from __future__ import annotations

from collections.abc import Iterable

from tillstream.domain import transaction
from tillstream.domain.mapping.mapper import Mapper
from tillstream.domain.transaction import InvalidTransaction


class Known:
    """The mappings of a deployment, in their order."""

    def __init__(self, mappers: Iterable[Mapper]) -> None:
        self._mappers = list(mappers)

    def of(self, raw: bytes) -> Mapper:
        """The first that knows the record. Raises InvalidTransaction: what contract v1 says of it."""
        for mapper in self._mappers:
            try:
                if mapper.documents(raw):
                    return mapper
            except InvalidTransaction:
                continue
        transaction.parse(raw)
        raise InvalidTransaction("unknown_record", "$ is of no contract and no mapping of this job")
