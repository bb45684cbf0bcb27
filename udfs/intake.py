"""The front door's stages: what a maker's mapping knows becomes contract v2, and both contracts one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from pyflink.datastream import RuntimeContext

from tillstream import reference
from tillstream.conf import Conf
from tillstream.domain import content, transaction
from tillstream.domain.arrival import refuse_ahead
from tillstream.domain.dead_letter import MOST_BYTES
from tillstream.domain.envelope import Envelope, seal, unseal
from tillstream.domain.mapping.known import Known
from tillstream.domain.mapping.mapper import Mapper
from tillstream.domain.mapping.spec import MappingSpec
from tillstream.domain.receipt import parse as contract
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.receipt.front_door import (
    NO_KINDS,
    StorePlace,
    of_contract,
    of_v1,
    partition_of,
    place_of,
)
from tillstream.domain.receipt.product import Embedded
from tillstream.domain.transaction import InvalidTransaction
from tillstream.state_schemas.keyed import archived_mark
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.single import Emitted, SingleStage
from tillstream.udfs.stage import StageSettings

_encode = msgspec.json.Encoder(decimal_format="number").encode
_json = msgspec.json.Encoder().encode


class ByMapping(SingleStage):
    """Keyed by anything. In: enveloped records that are not of our contracts. Out: each transaction in them
    as contract v2, enveloped, behind a line with its id; to the side: dead letters, one for each record of a
    document that cannot be used."""

    def __init__(
        self,
        settings: StageSettings,
        mappings: Sequence[MappingSpec],
        stores: Mapping[str, StorePlace],
    ) -> None:
        super().__init__(settings)
        self.mappings, self.stores = mappings, stores

    def start(self, runtime_context: RuntimeContext) -> None:
        self.known = Known(map(Mapper, self.mappings))

    def record(self, state: None, value: bytes, out: Emitted) -> None:
        envelope = unseal(value)
        mapper = self.known.of(envelope.raw)
        for one in mapper.transactions(envelope.raw, self.stores.get):
            if one.skipped:
                continue
            if one.problem:
                letter = Envelope(envelope.origin, envelope.arrived_ms, one.raw())
                self.refuse(letter, "map", one.problem.reason, one.problem.message, out)
                continue
            assert one.receipt is not None
            line = f"{one.receipt.transaction_id}\n".encode()
            sent = _encode(msgspec.structs.replace(one.receipt, source=mapper.name))
            out.emit(line + seal(envelope.origin, envelope.arrived_ms, sent))


class IntakeOnce(BatchedStage):
    """Keyed by transaction id. In: enveloped transactions of contract v1 or v2. Out: the canonical form as
    JSON bytes, once; to the side: dead letters. Of a training till nothing comes out."""

    codec = archived_mark.CODEC

    def __init__(
        self,
        settings: StageSettings,
        stores: Mapping[str, StorePlace],
        kinds: Mapping[str, str] = NO_KINDS,
        scales: Sequence[str] = (),
    ) -> None:
        """``kinds``: category -> kind of line, of what tills ring up as goods and is none. ``scales``: forms
        of codes with a price or weight in them; none: those usual in the store's country."""
        super().__init__(settings)
        self.stores, self.kinds = stores, kinds
        self.scales = tuple(map(Embedded, scales)) or None

    def record(
        self, state: archived_mark.Mark | None, value: bytes, out: Outputs
    ) -> archived_mark.Mark | None:
        envelope = unseal(value)
        try:
            receipt = self.canonical(envelope)
        except InvalidTransaction as error:
            self.refuse(envelope, "validate", error.reason, error.message, out)
            return None
        if receipt is None:
            return None
        said = content.of_receipt(receipt)
        if state is None:
            written = _json(receipt)
            if len(written) > MOST_BYTES:
                message = f"$ is more than {MOST_BYTES:,} bytes as the front door would write it"
                self.refuse(envelope, "validate", "too_large", message, out)
                return None
            out.emit(written)
            return archived_mark.Mark(said)
        if state.fingerprint != said:
            message = "another transaction with this transaction_id came before it"
            self.refuse(envelope, "apply", "id_conflict", message, out)
        return None

    def canonical(self, envelope: Envelope) -> Receipt | None:
        """None of a training till. Raises InvalidTransaction."""
        if contract.is_v2(envelope.raw):
            sent = contract.parse(envelope.raw)
            if sent.training:
                return None
            place, source = place_of(self.stores, sent.store), sent.source or "pos/2"
            receipt = of_contract(sent, place, source, embedded=self.scales, kinds=self.kinds)
        else:
            old = transaction.parse(envelope.raw)
            receipt = of_v1(old, place_of(self.stores, str(old.store)), self.kinds)
        refuse_ahead(receipt.ended_ms, "ended", envelope, self.settings.clock_ahead_ms)
        return msgspec.structs.replace(
            receipt,
            key=partition_of(receipt),
            arrived_ms=envelope.arrived_ms,
            origin=envelope.origin,
        )


def by_mapping(conf: Conf, mappings: Sequence[MappingSpec]) -> ByMapping:
    """The function as conf has it."""
    return ByMapping(StageSettings.of("intake", conf), mappings, reference.stores_by_id(conf))


def intake_once(conf: Conf) -> IntakeOnce:
    """The function as conf has it."""
    settings = StageSettings.of("intake", conf)
    stores = reference.stores_by_id(conf)
    return IntakeOnce(settings, stores, conf.intake.kinds, conf.intake.scales)
