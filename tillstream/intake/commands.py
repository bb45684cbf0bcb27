"""tillstream intake mappings, try."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from tillstream import conf as settings
from tillstream import reference
from tillstream.cli import tables
from tillstream.cli.tables import Column, Table
from tillstream.conf.schema import Intake
from tillstream.domain.mapping.fields import RECEIPT
from tillstream.domain.mapping.known import why_unread
from tillstream.domain.mapping.mapper import Mapped, Mapper, Stores, made_of
from tillstream.domain.mapping.values import WrongValue
from tillstream.domain.receipt.amounts import shown
from tillstream.domain.receipt.contract import RetailTransaction
from tillstream.domain.receipt.currencies import refuse_other
from tillstream.domain.receipt.front_door import StorePlace, of_contract
from tillstream.domain.receipt.product import BY_COUNTRY, Embedded
from tillstream.domain.receipt.tax_rates import TAX_RATE, fault
from tillstream.domain.transaction import InvalidTransaction
from tillstream.errors import Problem
from tillstream.intake import mappings as files
from tillstream.intake.ours import OurContracts, canonical_v1, is_ours, may_be_ours

OF_A_VALUE = frozenset({"bad_format", "not_allowed", "out_of_range", "wrong_type"})
OF_LINES = frozenset({"lines_total", "total_mismatch"})  # by contract v2, and by v1
LONGEST_SHOWN = 60
_encode = msgspec.json.Encoder(decimal_format="number").encode


@click.group()
def intake() -> None:
    """Receipts of any maker's tills: which mappings there are, and what one makes of a file."""


@intake.command()
def mappings() -> None:
    """The mappings that come with the package."""
    table = Table("name", "version", "form", Column("receipts", prose=True))
    for mapper in files.all_packaged():
        spec = mapper.spec
        table.add(spec.mapping, str(spec.version), spec.form, spec.about)
    tables.show(table)


@intake.command("try")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mapping", help="A name (`intake mappings`) or your YAML file; default: known by the file."
)
@click.option("--set", "said", multiple=True, metavar="FIELD=VALUE",
              help="A field of the receipt that the file does not say, such as store=12.")  # fmt: skip
@click.option("--stores", type=click.Path(exists=True, dir_okay=False),
              help="Your table of stores (CSV); default: the setting reference.stores.")  # fmt: skip
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object per record: the transaction, and its canonical form.",
)
@click.option("--unread", is_flag=True, help="Also what the mapping looks at nowhere.")
def try_(
    file: Path,
    mapping: str | None,
    said: tuple[str, ...],
    stores: str | None,
    as_json: bool,
    unread: bool,
) -> None:
    """Show what would come of FILE; nothing is sent.

    Each record becomes a transaction of contract v2, is skipped because the mapping says so, or would be a
    dead letter with its reason and figures. A record of contract v1 or v2 needs no mapping. Exit code 1 if
    there is a dead letter.
    """
    raw = file.read_bytes()
    if not raw.strip():
        raise Problem(f"{file} is empty")
    context = _context(said)
    mapper = files.load(mapping) if mapping else _known(raw, file)
    if context and isinstance(mapper, OurContracts):
        raise click.UsageError(f"--set is for what a mapping reads, and {file} is of {mapper.name}")
    over = {"reference": {"stores": stores}} if stores else None
    conf = settings.load(overrides=over)
    places = reference.known_stores(conf)
    try:
        found = list(mapper.transactions(raw, places.get, context, traced=unread))
    except InvalidTransaction as problem:
        raise Problem(f"{file} is nothing for {mapper.name}: {problem}") from None
    if conf.intake.other_currencies == "refuse":
        found = [_without_other_currency(one, places.get) for one in found]
    if conf.intake.tax_rates == "refuse":
        found = list(map(_without_tax_faults, found))
    if not found and mapper.is_empty(raw):
        click.echo(f"{file} is of {mapper.name}, without a receipt in it")
        raise SystemExit(0)
    if not found:
        why = mapper.why_unknown(raw)
        raise Problem(f"{file} holds no record of {mapper.name}: its `record` says {why}")
    if as_json:
        for one in found:
            click.echo(_line(mapper, one, places.get, conf.intake, unread))
    else:
        _show(mapper, found, unread)
        if codes := of_scales(found, places.get, conf.intake.scales):
            click.echo(
                f"{codes:,} codes look like those of scales, with a weight or price in them: intake.scales"
            )
    raise SystemExit(1 if any(one.problem for one in found) else 0)


def _context(said: tuple[str, ...]) -> dict[str, str]:
    context = {}
    for one in said:
        name, equals, value = one.partition("=")
        if not equals or name not in RECEIPT:
            raise click.BadParameter(
                f"{one} is no field and value; fields are {', '.join(RECEIPT)}", param_hint="--set"
            )
        context[name] = value
    return context


def _known(raw: bytes, file: Path) -> Mapper | OurContracts:
    """Our contracts, or else the one mapping of the package that knows the file's records."""
    if is_ours(raw):
        return OurContracts()
    knows, told = [], []
    for mapper in files.all_packaged():
        try:
            if mapper.documents(raw):
                knows.append(mapper)
        except InvalidTransaction as error:
            told.append(error)
    knows = knows or [mapper for mapper in files.all_packaged() if mapper.is_empty(raw)]
    if len(knows) == 1:
        return knows[0]
    names = ", ".join(mapper.name for mapper in knows)
    if not knows and may_be_ours(raw):
        return OurContracts()
    if not knows and (why := why_unread(raw, told)):
        raise Problem(f"{file} cannot be read: {why}")
    raise Problem(
        f"{file} could be read by {names}: say --mapping" if knows else
        f"no mapping of the package knows {file}: docs/mappings.md says how to write one, --mapping takes it"
    )  # fmt: skip


def _line(
    mapper: Mapper | OurContracts, one: Mapped, stores: Stores, intake: Intake, unread: bool
) -> str:
    if one.receipt:
        place = stores(one.receipt.store)
        assert place is not None  # else it would be a problem
        told: dict[str, Any] = _transaction(mapper, one, one.receipt, place, intake)
    elif one.problem:
        told = {"reason": one.problem.reason, "message": one.problem.message, "draft": one.draft}
    else:
        told = {"skipped": one.skipped}
    return _encode(told | ({"unread": one.unread} if unread else {})).decode()


def _transaction(
    mapper: Mapper | OurContracts,
    one: Mapped,
    receipt: RetailTransaction,
    place: StorePlace,
    intake: Intake,
) -> dict[str, Any]:
    """As it was sent, or as the mapping makes it, and the canonical form."""
    source = mapper.name
    if isinstance(mapper, OurContracts):
        if v1 := canonical_v1(one.raw(), place, intake.kinds):
            return {"receipt": v1[0], "canonical": v1[1]}
        source = receipt.source or "pos/2"
    scales = tuple(map(Embedded, intake.scales)) or None
    canonical = of_contract(receipt, place, source, embedded=scales, kinds=intake.kinds)
    return {"receipt": receipt, "canonical": canonical}


def _show(mapper: Mapper | OurContracts, found: list[Mapped], unread: bool) -> None:
    table = Table(Column("transaction", below=True), "store", "till", "ended", Column("lines", right=True),
                  Column("total", right=True), "paid by", Column("problem", prose=True))  # fmt: skip
    sums: Counter[str] = Counter()
    counted: set[str] = set()
    for one in found:
        if receipt := one.receipt:
            if not receipt.training and receipt.transaction_id not in counted:
                way = -1 if receipt.kind == "void" else 1
                sums[receipt.currency] += way * receipt.total
                counted.add(receipt.transaction_id)
            table.add(
                receipt.transaction_id, receipt.store, receipt.till, receipt.ended_at.isoformat(),
                str(len(receipt.lines)), shown(receipt.total, receipt.currency),
                ", ".join(dict.fromkeys(t.kind for t in receipt.tenders if t.kind != "change")),
                "training: not counted" if receipt.training else _tax(receipt),
            )  # fmt: skip
        elif one.problem:
            draft = one.draft
            ended = draft.get("ended_at")
            table.add(
                str(draft.get("transaction_id", "-")), str(draft.get("store", "")),
                str(draft.get("till", "")), ended.isoformat() if ended else "",
                str(len(draft.get("lines", ()))), _amount(draft, draft.get("total")), "",
                f"{one.problem}{_figures(one)}{_value(one)}", style="red",
            )  # fmt: skip
    tables.show(table)
    _sums(mapper, found, sums)
    if unread:
        places = sum((Counter(one.unread) for one in found), Counter[str]())
        read = [one for one in found if one.receipt or "lines" in one.draft]
        stopped = sum(not one.skipped for one in found) - len(read)
        if places or (read and not stopped):
            click.echo("looked at nowhere:" if places else "all of it is looked at")
        if stopped:
            click.echo(f"{stopped:,} could not be read as far as their lines: fix them first")
        for place, count in sorted(places.items()):
            click.echo(f"  {place}{f'  ({count:,})' if count > 1 else ''}")


def _sums(mapper: Mapper | OurContracts, found: list[Mapped], sums: Counter[str]) -> None:
    skipped = Counter(one.skipped for one in found if one.skipped)
    bad = sum(one.problem is not None for one in found)
    good = [one.receipt for one in found if one.receipt]
    total = ", ".join(shown(amount, currency) for currency, amount in sorted(sums.items()))
    unchecked = "" if mapper.checks_total else " (totals are computed, nothing checks them)"
    click.echo(
        f"{mapper.name}: {len(good):,} transactions{f', {total}' if total else ''}{unchecked}"
    )
    for reason, count in sorted(skipped.items()):
        click.echo(f"{count:,} skipped: {reason}")
    if bad:
        click.echo(f"{bad:,} would be dead letters")
    by_id: dict[str, list[RetailTransaction]] = defaultdict(list)
    for receipt in good:
        by_id[receipt.transaction_id].append(receipt)
    for identity, those in by_id.items():
        if len(those) > 1:
            same = all(receipt == those[0] for receipt in those)
            click.echo(
                f"{identity} is there {len(those)} times with the same content: it counts once"
                if same else
                f"{identity} is the id of {len(those)} transactions: one counts, another is a conflict"
            )  # fmt: skip
    missing = {
        name for one in found if one.problem and one.problem.reason == "missing_field"
        for name in RECEIPT if one.problem.message == f"$.{name} is required"
    }  # fmt: skip
    if missing and isinstance(mapper, Mapper):
        wanted = " ".join(f"--set {name}=..." for name in sorted(missing))
        click.echo(f"what the file does not say can be said with {wanted}")


def of_scales(found: Sequence[Mapped], stores: Stores, said: Sequence[str]) -> int:
    """How many lines have a barcode of the kind that shops print themselves, where neither the settings nor
    the store's country say what is in it: each weighing would be a product of its own."""
    receipts = [one.receipt for one in found if one.receipt and not said]
    unsaid = [r for r in receipts if (place := stores(r.store)) and place.country not in BY_COUNTRY]
    lines = (line for receipt in unsaid for line in receipt.lines)
    scanned = (line.code for line in lines if line.scheme in ("barcode", "gtin"))
    return sum(re.fullmatch("2[0-9]{12}", code) is not None for code in scanned)


def _value(one: Mapped) -> str:
    """Behind a value that cannot be used, what was found: whoever tries a file has it."""
    problem = one.problem
    found = problem.found if isinstance(problem, WrongValue) else None
    if problem and found is None and problem.reason in OF_A_VALUE:
        node: Any = one.draft
        place = re.match(r"\$((?:\.[a-z_]+|\[[0-9]+\])+)", problem.message)
        for name, at in re.findall(r"\.([a-z_]+)|\[([0-9]+)\]", place[1] if place else ""):
            try:
                node = node[name] if name else node[int(at)]
            except (LookupError, TypeError):
                return ""
        found = str(node) if place and isinstance(node, str | int | Decimal) else None
    return "" if found is None else f" ({found[:LONGEST_SHOWN]})"


def _figures(one: Mapped) -> str:
    """Behind a sum that does not hold, what it is made of."""
    assert one.problem is not None
    draft, tenders = one.draft, one.draft.get("tenders", ())
    if one.problem.reason in OF_LINES:
        made = made_of(draft)
    elif one.problem.reason == "tenders_total":
        made = sum(tender.get("amount", 0) for tender in tenders if not tender.get("declined"))
    else:
        return ""
    lines = sum(line["amount"] for line in draft.get("lines", ()) if not line.get("voided"))
    off = sum(discount["amount"] for discount in draft.get("discounts", ()))
    of_lines = f"lines {_amount(draft, lines)}, discounts {_amount(draft, off)}, "
    told = of_lines if one.problem.reason in OF_LINES else ""
    return f" ({told}makes {_amount(draft, made)})"


def _without_other_currency(one: Mapped, stores: Stores) -> Mapped:
    """With intake.other_currencies: refuse."""
    place = stores(one.receipt.store) if one.receipt else None
    if one.receipt and place:
        try:
            refuse_other(one.receipt.currency, place.currency, place.country)
        except InvalidTransaction as problem:
            return one._replace(receipt=None, problem=problem)
    return one


def _without_tax_faults(one: Mapped) -> Mapped:
    """With intake.tax_rates: refuse."""
    told = one.receipt and fault(one.receipt)
    problem = InvalidTransaction(TAX_RATE, told) if told else None
    return one._replace(receipt=None, problem=problem) if problem else one


def _tax(receipt: RetailTransaction) -> str:
    """What the platform team would hear of its tax."""
    told = fault(receipt)
    return f"accepted, but reported: {TAX_RATE}: {told}" if told else ""


def _amount(draft: Mapping[str, Any], minor: int | None) -> str:
    if minor is None:
        return ""
    try:
        return shown(minor, draft["currency"])
    except (LookupError, TypeError):  # there is none, or none that is known
        return str(minor)
