"""The front door's stages: what a maker's mapping knows becomes contract v2, and both contracts one form."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

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
from tillstream.domain.notice import notice
from tillstream.domain.receipt import parse as contract
from tillstream.domain.receipt import tax_rates
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.receipt.contract import RetailTransaction
from tillstream.domain.receipt.currencies import is_used, refuse_other
from tillstream.domain.receipt.front_door import (
    GOODS,
    NO_KINDS,
    UNKNOWN,
    KnownStores,
    StorePlace,
    of_contract,
    of_v1,
    partition_of,
)
from tillstream.domain.receipt.product import Embedded
from tillstream.domain.receipt.raw_record import has_free_text, raw_record
from tillstream.domain.transaction import InvalidTransaction, Transaction
from tillstream.state_schemas.keyed import archived_mark
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.passing import voids as passing
from tillstream.udfs.single import Emitted, SingleStage
from tillstream.udfs.stage import DEAD_LETTERS, Out, StageSettings

RAW = "raw"  # side outputs
NOTICES = "notices"
VOIDS = "voids"
DAY_MS = 86_400_000
MOST_TOLD = 4096
# Why a void does not count, by FirstVoids.java's word for it.
UNCOUNTED = {
    "voided_already": "the receipt was voided already, by {}",
    "not_a_sale": "{}, which it voids, is a void itself: send the sale again under another id",
    "overtaken": "{} voids this void, came before it, and has taken its goods back",
}

_encode = msgspec.json.Encoder(decimal_format="number").encode
_json = msgspec.json.Encoder().encode


class ByMapping(SingleStage):
    """Keyed by anything. In: enveloped records that are not of our contracts. Out: each transaction in them
    as contract v2, enveloped, behind a line with its id; to the sides: dead letters, one for each record of a
    document that cannot be used, and if ``keep_raw`` the whole document as a `RawRecord`."""

    sides = (DEAD_LETTERS, RAW)

    def __init__(
        self,
        settings: StageSettings,
        mappings: Sequence[MappingSpec],
        stores: KnownStores,
        keep_raw: bool = True,
    ) -> None:
        super().__init__(settings)
        self.mappings, self.stores, self.keep_raw = mappings, stores, keep_raw

    def start(self, runtime_context: RuntimeContext) -> None:
        self.known = Known(map(Mapper, self.mappings))

    def record(self, state: None, value: bytes, out: Emitted) -> None:
        envelope = unseal(value)
        (mapper, documents), used = self.known.of(envelope.raw), False
        for one in mapper.transactions(envelope.raw, self.stores.get, documents=documents):
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
            used = True
        if used and self.keep_raw:
            out.emit(raw_record(envelope, None, free_text=True), RAW)


class Taken(NamedTuple):
    """A transaction as it was sent, its store, and its canonical form. ``tax_fault``: see `tax_rates`."""

    sent: RetailTransaction | Transaction
    place: StorePlace
    receipt: Receipt
    tax_fault: str | None


class IntakeOnce(BatchedStage):
    """Keyed by transaction id. In: enveloped transactions of contract v1 or v2. Out: the canonical form as
    JSON bytes, once; to the sides: dead letters, notices, and if ``keep_raw`` the `RawRecord` of what a till
    sent itself. A void goes to the side, as `passing.voids` has it: whether it counts is known behind here.
    Of a training till nothing comes out."""

    sides = (DEAD_LETTERS, RAW, NOTICES, VOIDS)
    codec = archived_mark.CODEC

    def __init__(
        self,
        settings: StageSettings,
        stores: KnownStores,
        kinds: Mapping[str, str] = NO_KINDS,
        keep_raw: bool = True,
        scales: Sequence[str] = (),
        mapped: Collection[str] = (),
        refuse_other_currencies: bool = False,
        refuse_tax_rates: bool = False,
    ) -> None:
        """``kinds``: category -> kind of line, of what tills ring up as goods and is none. ``scales``: forms
        of codes with a price or weight in them; none: those usual in the store's country. ``mapped``:
        sources of what `ByMapping` made, which keeps what came itself. ``refuse_other_currencies``: than
        those of the store's country; ``refuse_tax_rates``: tax that does not follow from its rate."""
        super().__init__(settings)
        self.stores, self.kinds, self.keep_raw = stores, kinds, keep_raw
        self.mapped = frozenset(mapped)
        self.told: dict[tuple[str, str], int] = {}
        self.scales = tuple(map(Embedded, scales)) or None
        self.refuse_other_currencies = refuse_other_currencies
        self.refuse_tax_rates = refuse_tax_rates

    def record(
        self, state: archived_mark.Mark | None, value: bytes, out: Outputs
    ) -> archived_mark.Mark | None:
        envelope = unseal(value)
        try:
            taken = self.take(envelope)
        except InvalidTransaction as error:
            self.refuse(envelope, "validate", error.reason, error.message, out)
            return None
        if taken is None:
            return None
        sent, place, receipt, tax_fault = taken
        said = content.of_receipt(receipt, sent)
        if state is None:
            written = _json(receipt)
            if len(written) > MOST_BYTES:
                message = f"$ is more than {MOST_BYTES:,} bytes as the front door would write it"
                self.refuse(envelope, "validate", "too_large", message, out)
                return None
            kept = self._kept(sent, envelope) if self.keep_raw else None
            if receipt.kind == "void":
                came = passing.TakenVoid(value, written, kept)
                name = receipt.transaction_id
                out.emit(passing.to_be_judged(name, receipt.voids, came), VOIDS)
            else:
                _pass_on(written, kept, out)
            if place.region == UNKNOWN:
                self._tell("unknown_store", place, envelope.arrived_ms, out)
            if not is_used(receipt.currency, place.currency, place.country):
                self._count("other_currency", place, receipt, {}, out)
            if any(line.kind in GOODS and not line.product for line in receipt.lines):
                of: dict[str, str | int] = {"transaction_id": receipt.transaction_id}
                self._count("no_product", place, receipt, of, out)
            if tax_fault:
                why: dict[str, str | int] = {
                    "transaction_id": receipt.transaction_id,
                    "why": tax_fault,
                }
                self._count(tax_rates.TAX_RATE, place, receipt, why, out)
            return archived_mark.Mark(said)
        if state.fingerprint != said and state.fingerprint != content.as_before(receipt):
            message = "another transaction with this transaction_id came before it"
            self.refuse(envelope, "apply", "id_conflict", message, out)
        return None

    def take(self, envelope: Envelope) -> Taken | None:
        """None of a training till. Raises InvalidTransaction."""
        sent: RetailTransaction | Transaction
        tax_fault = None
        if contract.is_v2(envelope.raw):
            sent = contract.parse(envelope.raw)
            if sent.training:
                return None
            place, source = self.stores.of(sent.store), sent.source or "pos/2"
            receipt = of_contract(sent, place, source, embedded=self.scales, kinds=self.kinds)
            tax_fault = tax_rates.fault(sent)
        else:
            sent = transaction.parse(envelope.raw)
            place = self.stores.of(str(sent.store))
            receipt = of_v1(sent, place, self.kinds)
        if self.refuse_other_currencies:
            refuse_other(receipt.currency, place.currency, place.country)
        if self.refuse_tax_rates and tax_fault:
            raise InvalidTransaction(tax_rates.TAX_RATE, tax_fault)
        refuse_ahead(receipt.ended_ms, "ended", envelope, self.settings.clock_ahead_ms)
        made = msgspec.structs.replace(
            receipt,
            key=partition_of(receipt),
            arrived_ms=envelope.arrived_ms,
            origin=envelope.origin,
        )
        return Taken(sent, place, made, tax_fault)

    def _kept(self, sent: RetailTransaction | Transaction, envelope: Envelope) -> bytes | None:
        free_text = False
        if isinstance(sent, RetailTransaction):
            if sent.source in self.mapped:
                return None
            free_text = has_free_text(sent)
        return raw_record(envelope, sent.transaction_id, free_text)

    def _tell(self, what: str, place: StorePlace, arrived_ms: int, out: Outputs) -> None:
        """That a store is not in the table, once a day."""
        cause = f"{place.number}/{arrived_ms // DAY_MS}"
        if self._often(what, cause) == 1:
            self._notice(what, cause, place, arrived_ms, {}, out)

    def _count(
        self,
        what: str,
        place: StorePlace,
        receipt: Receipt,
        params: dict[str, str | int],
        out: Outputs,
    ) -> None:
        """What is odd at a store, in a currency, at the day's first, tenth, hundredth of them and so on: the
        notifier knows ids, but not thousands of them for nothing. ``params``: of that one."""
        arrived_ms = receipt.arrived_ms
        cause = f"{place.number}/{receipt.currency}/{arrived_ms // DAY_MS}"
        count = self._often(what, cause)
        if str(count).rstrip("0") == "1":
            said = {"currency": receipt.currency, "transactions": count, **params}
            self._notice(what, f"{cause}/{count}", place, arrived_ms, said, out)

    def _often(self, what: str, cause: str) -> int:
        """How often it was, this time too, since the subtask began or has seen too many causes."""
        if (what, cause) not in self.told and len(self.told) >= MOST_TOLD:
            self.told.clear()
        count = self.told[what, cause] = self.told.get((what, cause), 0) + 1
        return count

    @staticmethod
    def _notice(
        what: str,
        cause: str,
        place: StorePlace,
        arrived_ms: int,
        params: dict[str, str | int],
        out: Outputs,
    ) -> None:
        params = {"stores": str(place.number), **params}
        told = notice("alert", "team:platform", what, cause, arrived_ms, params)
        out.emit(_json(told), NOTICES)

    def abandon(self) -> None:
        self.told.clear()


class VoidsJudged(SingleStage):
    """Keyed by a void's id. In: what FirstVoids.java makes of it. Out: the canonical form of one that counts;
    to the sides: dead letters of those that do not, and what is kept of it as it came."""

    sides = (DEAD_LETTERS, RAW)

    def record(self, state: None, value: bytes, out: Emitted) -> None:
        reason, about, taken = passing.judged(value)
        if not reason:
            _pass_on(taken.written, taken.raw, out)
            return
        code = "not_a_sale" if reason == "not_a_sale" else "voided_already"
        self.refuse(unseal(taken.sent), "apply", code, UNCOUNTED[reason].format(about), out)

    def sent(self, value: bytes) -> Envelope:
        return unseal(passing.judged(value)[2].sent)


def _pass_on(written: bytes, kept: bytes | None, out: Out) -> None:
    out.emit(written)
    if kept is not None:
        out.emit(kept, RAW)


def by_mapping(conf: Conf, mappings: Sequence[MappingSpec]) -> ByMapping:
    """The function as conf has it."""
    return ByMapping(
        StageSettings.of("intake", conf),
        mappings,
        reference.known_stores(conf),
        conf.intake.keep_raw,
    )


def intake_once(conf: Conf, mappings: Sequence[MappingSpec] = ()) -> IntakeOnce:
    """The function as conf has it; ``mappings``: those of `by_mapping`."""
    intake = conf.intake
    return IntakeOnce(
        StageSettings.of("intake", conf), reference.known_stores(conf), intake.kinds, intake.keep_raw,
        intake.scales, [f"{one.mapping}/{one.version}" for one in mappings],
        intake.other_currencies == "refuse", intake.tax_rates == "refuse",
    )  # fmt: skip
