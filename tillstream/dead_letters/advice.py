"""What is wrong with a dead letter and what can be done, for a person."""

from __future__ import annotations

from collections.abc import Mapping

from tillstream.dead_letters.model import (
    ID_REASONS,
    TIME_REASONS,
    TRANSACTIONS_ALONE,
    Contract,
    DeadRecord,
    Sendable,
    judge,
)
from tillstream.domain.receipt.sums import RULES
from tillstream.domain.transaction import REASONS

_MEANINGS = {
    **REASONS,
    **RULES,
    **TIME_REASONS,
    **ID_REASONS,
    "fraction_of_a_piece": "goods by the piece of which a part was sold: the till must say their unit",
    "not_canonical": "somebody else than the job intake has written it into that topic",
    "not_xml": "the bytes are not one XML document, or one that declares a document type",
    "not_csv": "not a table with the columns of its mapping",
    "not_text": "bytes that are not of the encoding its mapping says",
    "several_receipts": "rows of several receipts that its mapping takes for one",
    "other_currency": "a currency that the store's country does not use",
    "tax_rate": "tax that does not follow from its rate and what it is on",
    "too_many": "more promotions of one product at a time than are compared; it holds all the same",
    "too_large": "a receipt so long that no broker takes it in the form that jobs read",
    "too_many_held": "so many sales of one customer are held, or were said to be and have not come",
    "too_many_returns": "more than 16 returns came before their sale, or one return names more receipts",
    "unknown_record": "of no contract, and no mapping in intake.mappings knows it",
    "unknown_store": "a store that the table of stores does not have",
}
_REPAIRS = {
    "not_utf8": "Cut or of another encoding: write the whole record into a --repaired file.",
    "not_json": "Cut or never JSON: write the whole record into a --repaired file, if it is known.",
    "not_xml": "Cut or of another encoding: have it sent again, or say the encoding in the mapping.",
    "not_csv": "Repair the line that its message names: a quote that is not closed, a delimiter within "
    "a text.",
    "not_text": "Say the encoding in the mapping (docs/mappings.md), restart intake, redrive.",
    "several_receipts": "Name in the mapping's group_by what tells them apart, such as shop and day, restart "
    "intake, redrive.",
    "unknown_version": "Redrive once the jobs know that version, or rewrite it as version 1 or 2.",
    "too_large": "a receipt so long that no broker takes it in the form that jobs read",
    "unknown_record": "Add a mapping to intake.mappings (docs/mappings.md), restart intake, redrive.",
    "unknown_store": "Add the store, or the id it is called by, to reference.stores, restart intake, "
    "redrive.",
    "other_currency": "Where it is right, set intake.other_currencies to accept, restart intake, "
    "redrive; else put the till right and repair $.currency.",
    "tax_rate": "Set intake.tax_rates to accept, restart intake, redrive, if the sale was made like this; "
    "else repair the tax that its message names.",
    "beyond_horizon": "Look the transaction id up in the ledger first: if it was posted, leave it "
    "dead. Repair its time only when the till's clock was wrong.",
    "too_many_at_once": "It was not posted. Give it a time of its own, some ms later, and redrive it.",
    "too_many_returns": "Leave it dead, other jobs have posted it: take its points back by a goodwill "
    "adjustment (docs/jobs/loyalty.md).",
    "too_many_held": "Decide some of the customer's cases first (`tillstream fraud cases`), then redrive.",
    "clock_ahead": "Repair the time that its message names.",
    "voided_already": "Leave it dead. If it should void another receipt, repair that and give it an id of "
    "its own.",
    "not_a_sale": "Leave it dead. If the first void was a mistake, send the sale again under another id.",
    "id_conflict": "Find out what each job did with it (docs/runbooks/dead-letters.md) before it gets an "
    "id of its own; after a crash this one may have been kept and not the other.",
}


def advice(record: DeadRecord, contracts: Mapping[str, Contract] = TRANSACTIONS_ALONE) -> str:
    """What is wrong and what can be done, for a person."""
    lines = []
    for failure in record.failures.values():
        meaning = _MEANINGS.get(failure.reason, "no known code")
        lines.append(f"{failure.job} refused it: {meaning} ({failure.message}).")
    verdict = judge(record, contracts=contracts)
    if isinstance(verdict, Sendable):
        lines.append("It is valid by today's contract: redrive sends it as it is.")
    elif verdict.reason == "already_redriven":
        again = record.redriven[-1].to or "a newer dead letter"
        lines.append(f"It was redriven; nothing is left to do unless it died again as {again}.")
    else:
        lines.append(f"As it is it would be refused again: {verdict.message}.")
        fix = _REPAIRS.get(verdict.reason, "Repair that field with --edit or --repaired.")
        lines.append(fix)
    return "\n".join(lines)
