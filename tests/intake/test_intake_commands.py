"""tillstream intake: what a person who writes a mapping sees."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import msgspec
import orjson
import pytest
from click.testing import CliRunner, Result

from tests.support import ROOT
from tillstream import conf as settings
from tillstream.cli import main
from tillstream.domain.envelope import Envelope
from tillstream.domain.transaction import InvalidTransaction
from tillstream.intake import mappings
from tillstream.intake.ours import OurContracts, is_ours, may_be_ours
from tillstream.udfs.intake import IntakeOnce, intake_once

MAPPING = """\
mapping: corner-shop
version: 1
about: the till of a corner shop
form: csv
delimiter: ";"
group_by: [receipt]
record: {rows.receipt: present}
receipt:
  transaction_id: {template: "{rows[0].shop}-{rows[0].receipt}"}
  store: rows[0].shop
  till: {const: "1"}
  ended_at: {path: "rows[0].when", format: "%d.%m.%Y %H:%M"}
  currency: {store: currency}
  total: {add: [rows.price]}
lines:
  - each: rows
    set: {kind: {const: sale}, scheme: {const: name}, code: item, amount: price}
"""
FILE = """\
shop;receipt;when;item;price
1;7;28.11.2026 18:30;Bread;12.50
1;7;28.11.2026 18:30;Milk;20
1;8;28.11.2026 18:31;Bread;-12.50
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TILLSTREAM_ENV", "local")
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path / "home"))
    (tmp_path / "shop.yaml").write_text(MAPPING)
    (tmp_path / "file.csv").write_text(FILE)
    return tmp_path


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["intake", *map(str, args)])


def test_the_mappings_of_the_package_are_listed_and_can_all_be_used():
    done = run("mappings")
    assert done.exit_code == 0
    assert mappings.packaged() == [mapper.spec.mapping for mapper in mappings.all_packaged()]
    assert all(name in done.output for name in mappings.packaged())


def test_a_mapping_of_ones_own_shows_what_would_come_of_a_file(shop: Path) -> None:
    done = run("try", shop / "file.csv", "--mapping", shop / "shop.yaml")
    assert done.exit_code == 1
    assert "1-7" in done.output
    assert "2026-11-28T18:30:00+02:00" in done.output
    assert "32.50 ZAR" in done.output
    assert "line_sign: $.lines[0].amount of a sale must not be negative" in done.output
    assert "1 would be dead letters" in done.output


def test_as_json_each_record_is_a_line(shop: Path) -> None:
    done = run("try", shop / "file.csv", "--mapping", shop / "shop.yaml", "--json", "--unread")
    sale, bad = map(json.loads, done.output.splitlines())
    assert sale["receipt"]["lines"][1] == {
        "number": 2,
        "kind": "sale",
        "amount": 2000,
        "scheme": "name",
        "code": "Milk",
    }
    assert (bad["reason"], sale["unread"]) == ("line_sign", {})


def test_the_canonical_form_is_by_the_settings_as_the_job_writes_it(shop: Path) -> None:
    """A gift card by its category, and what a scale of the local stack's printed."""
    said = MAPPING.replace("const: name}", "const: barcode}").replace(
        "amount: price}", "amount: price, category: {const: gift-cards}}"
    )
    (shop / "shop.yaml").write_text(said)
    (shop / "file.csv").write_text(FILE.replace("Bread", "2100042012349"))
    done = run("try", shop / "file.csv", "--mapping", shop / "shop.yaml", "--json")
    first, _ = json.loads(done.output.splitlines()[0])["canonical"]["lines"]
    assert (first["kind"], first["product"]) == ("gift_card", "02100042000001")


def test_a_file_that_no_mapping_knows_says_where_to_read(shop: Path) -> None:
    done = run("try", shop / "file.csv")
    assert done.exit_code == 1
    assert "no mapping of the package knows" in done.output
    assert "docs/mappings.md" in done.output


@pytest.mark.parametrize(("old", "new", "line", "said"), [
    ("  till: {const: \"1\"}", "  till: {constant: \"1\"}", 11, "unknown field `constant`"),
    ("code: item", "cod: item", 17, "is no field here"),
    ("form: csv", "form: excel", 4, "invalid enum value"),
    ("  total: {add: [rows.price]}", "  total: {add: [rows..price]}", 14, "is no path"),
    ("about: the till of a corner shop\n", "", 1, "missing required field `about`"),
    ("version: 1", "version: 1\nversion: 2", 3, "set twice"),
    ("version: 1", "version: [", 4, "is not valid YAML"),
])  # fmt: skip
def test_what_is_wrong_in_a_mapping_is_told_with_its_line(shop, old, new, line, said):
    (shop / "shop.yaml").write_text(MAPPING.replace(old, new))
    done = run("try", shop / "file.csv", "--mapping", shop / "shop.yaml")
    assert done.exit_code == 1
    assert f"line {line}" in done.output
    assert said in done.output
    assert "Traceback" not in done.output


def test_what_the_file_does_not_say_is_asked_for_and_can_be_said(shop: Path) -> None:
    (shop / "shop.yaml").write_text(MAPPING.replace('  till: {const: "1"}\n', ""))
    asked = ["try", shop / "file.csv", "--mapping", shop / "shop.yaml"]
    assert "--set till=..." in run(*asked).output
    assert "T9" in run(*asked, "--set", "till=T9").output
    wrong = run(*asked, "--set", "tiil=T9")
    assert wrong.exit_code == 2
    assert "is no field and value" in wrong.output


def test_a_table_of_stores_knows_them_by_other_ids_too(shop: Path) -> None:
    columns = "store,name,region,country,currency,lat,lon,zone,ids\n"
    table = columns + "5,A,nairobi,KE,KES,-1.3,36.8,Africa/Nairobi,{}\n"
    (shop / "stores.csv").write_text(table.format("1 X-9"))
    asked = [
        "try",
        shop / "file.csv",
        "--mapping",
        shop / "shop.yaml",
        "--stores",
        shop / "stores.csv",
    ]
    assert "32.50 KES" in run(*asked).output
    (shop / "stores.csv").write_text(table.format("North Gate; 1"))  # one has a blank in it
    assert "32.50 KES" in run(*asked).output
    (shop / "stores.csv").write_text(table.format("2"))
    assert "unknown_store" in run(*asked).output
    two = table.format("1") + "6,B,nairobi,KE,KES,-1.3,36.8,Africa/Nairobi,1\n"
    (shop / "stores.csv").write_text(two)
    assert "two stores have the id 1" in run(*asked).output


def test_bytes_of_another_form_are_nothing_for_a_mapping(shop: Path) -> None:
    (shop / "file.csv").write_bytes(b"\xff\xfe")
    done = run("try", shop / "file.csv", "--mapping", shop / "shop.yaml")
    assert "is nothing for corner-shop/1: not_csv" in done.output


@pytest.mark.parametrize(("raw", "code", "said"), [
    (b'{"receipts": []}', 0, "is of loyverse/1, without a receipt in it"),
    (b"<POSLog><Transaction>", 1, "cannot be read: not_xml: line 1, column"),
    (b'{"receipts": [', 1, "cannot be read: not_json"),
])  # fmt: skip
def test_a_file_that_is_empty_or_damaged_says_so_without_a_mapping_too(shop: Path, raw, code, said):
    (shop / "file").write_bytes(raw)
    done = run("try", shop / "file")
    assert said in " ".join(done.output.split())
    assert done.exit_code == code


def with_file(shop: Path, rows: str, **changes: str) -> Result:
    """Of rows behind the header of FILE; ``changes``: of MAPPING."""
    mapping = MAPPING
    for old, new in changes.items():
        mapping = mapping.replace(old, new)
    own = shop / f"shop-{len(list(shop.iterdir()))}.yaml"
    own.write_text(mapping)
    (shop / "file.csv").write_text(FILE.splitlines()[0] + "\n" + rows)
    return run("try", shop / "file.csv", "--mapping", own, "--unread")


def test_what_no_record_was_read_for_is_not_said_to_be_looked_at(shop: Path) -> None:
    done = with_file(shop, "9999;7;28.11.2026 18:30;Bread;5\n")
    assert "all of it is looked at" not in done.output
    assert "1 could not be read as far as their lines" in done.output
    assert "9999" in done.output  # the store that is not in the table


def test_a_value_that_cannot_be_used_is_shown_to_who_has_the_file(shop: Path) -> None:
    assert "(5,5O)" in with_file(shop, "1;7;28.11.2026 18:30;Bread;5,5O\n").output
    rows = "1;7;28.11.2026 18:30;Bread;5\n"
    assert "(Kasse 1)" in with_file(shop, rows, **{'const: "1"': 'const: "Kasse 1"'}).output
    assert "(sold)" in with_file(shop, rows, **{"const: sale": "const: sold"}).output


NOTE = """\
mapping: notes
version: 1
about: lines of JSON
form: json
record: {id: present}
receipt: {transaction_id: id, store: shop, till: {const: "1"}, ended_at: at, currency: {const: ZAR},
          total: sum, training: test}
lines: [{each: ., set: {kind: {const: sale}, scheme: {const: sku}, code: {const: A}, amount: sum}}]
"""


@pytest.mark.parametrize(("second", "said"), [
    ({}, "1-7 is there 2 times with the same content: it counts once"),
    ({"sum": 5}, "1-7 is the id of 2 transactions: one counts, another is a conflict"),
])  # fmt: skip
def test_what_comes_again_is_counted_once(shop: Path, second, said) -> None:
    sale = {"id": "1-7", "shop": "1", "at": "2026-11-28T18:30:00Z", "sum": 2.78}
    (shop / "notes.yaml").write_text(NOTE)
    (shop / "notes.json").write_text(json.dumps([sale, sale | second]))
    done = run("try", shop / "notes.json", "--mapping", shop / "notes.yaml")
    assert said in done.output
    assert "2 transactions, 2.78 ZAR" in done.output


def test_a_receipt_of_a_training_till_is_told_to_be_one(shop: Path) -> None:
    sale = {"id": "1-7", "shop": "1", "at": "2026-11-28T18:30:00Z", "sum": 2.78, "test": True}
    (shop / "notes.yaml").write_text(NOTE)
    (shop / "notes.json").write_text(json.dumps(sale))
    assert "training" in run("try", shop / "notes.json", "--mapping", shop / "notes.yaml").output


def test_an_empty_file_is_told_to_be_one(shop: Path) -> None:
    (shop / "file.csv").write_bytes(b"\n")
    assert "is empty" in " ".join(run("try", shop / "file.csv").output.split())


def test_tax_that_does_not_follow_from_its_rate_is_shown_and_by_the_setting_refused(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taxed = 'taxes: [{each: rows, set: {code: {const: S}, rate: {const: "15"}, amount: {const: "9.99"}}}]\n'
    (shop / "shop.yaml").write_text(MAPPING + taxed)
    (shop / "file.csv").write_text("".join(FILE.splitlines(keepends=True)[:2]))
    why = "tax_rate: $.taxes[0].amount is 999, by 15 % of 1250 it is from -1 to 194"
    done = run("try", shop / "file.csv", "--mapping", shop / "shop.yaml")
    assert (done.exit_code, f"accepted, but reported: {why}" in done.output) == (0, True), (
        done.output
    )
    conf = settings.load("local", {"intake": {"tax_rates": "refuse"}})
    monkeypatch.setattr(settings, "load", lambda **over: conf)
    done = run("try", shop / "file.csv", "--mapping", shop / "shop.yaml")
    assert (done.exit_code, why in done.output) == (1, True), done.output
    assert "1 would be dead letters" in done.output


# -- our own contracts: no mapping is needed

EXAMPLES = ROOT / "state_schemas/events/pos_transaction"
VALID = sorted(EXAMPLES.glob("examples*/valid/*.json"))
INVALID = sorted(one for one in EXAMPLES.glob("examples*/invalid/*.json") if one.stat().st_size)
CASES = sorted(Path(os.environ.get("TILLSTREAM_CASES", "/nowhere")).glob("*sale*"))


@pytest.fixture(scope="module")
def job() -> IntakeOnce:
    return intake_once(settings.load("local"))


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_a_record_of_our_contracts_is_shown_in_the_canonical_form_of_the_job(job, shop, file):
    (line,) = run("try", file, "--json").output.splitlines()
    taken = job.take(Envelope("kafka:t/0/1", 2**41, file.read_bytes()))
    made = orjson.loads(msgspec.json.encode(taken.receipt))
    arrival = ("key", "arrived_ms", "origin")
    shown = json.loads(line)["canonical"]
    assert {n: v for n, v in shown.items() if n not in arrival} == {
        n: v for n, v in made.items() if n not in arrival
    }


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_a_record_that_is_refused_has_the_reason_of_the_job(job, file: Path) -> None:
    raw = file.read_bytes()
    assert is_ours(raw) or may_be_ours(raw)
    for one in OurContracts().transactions(raw, job.stores.get, {}):
        problem = None
        try:
            job.take(Envelope("kafka:t/0/1", 2**41, one.raw()))
        except InvalidTransaction as error:
            problem = str(error)
        assert problem == (str(one.problem) if one.problem else None)


def test_a_sale_and_its_refund_are_shown_with_their_amounts(shop: Path) -> None:
    done = run("try", EXAMPLES / "examples/valid/anonymous_refund.json")
    assert done.exit_code == 0, done.output
    assert "contracts v1 and v2: 1 transactions, -" in done.output


@pytest.mark.parametrize(("file", "figures"), [
    ("examples_v2/invalid/lines_total--one_cent_short.json", "discounts 0.00 ZAR, makes"),
    ("examples_v2/invalid/tenders_total--change_forgotten.json", "(makes"),
    ("examples/invalid/total_mismatch--one_cent_short.json", "discounts 0.00 ZAR, makes"),
])  # fmt: skip
def test_sums_that_do_not_hold_are_shown_with_their_figures(shop, file, figures) -> None:
    assert figures in " ".join(run("try", EXAMPLES / file).output.split())


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_every_case_of_a_sale_is_judged_by_its_contract(shop: Path, file: Path) -> None:
    done = run("try", file)
    assert "contracts v1 and v2:" in done.output
    assert "no mapping" not in done.output


def test_sales_in_one_record_are_each_shown(shop: Path) -> None:
    one = json.loads((EXAMPLES / "examples/valid/paid_by_eft.json").read_bytes())
    many = [one | {"transaction_id": f"0045-03-20261124-00012{n}"} for n in range(3)]
    (shop / "many.json").write_text("\n".join(map(json.dumps, many)) + "\nnot one\n")
    done = run("try", shop / "many.json")
    assert "3 transactions" in done.output
    assert "1 would be dead letters" in done.output
    (shop / "many.json").write_bytes(gzip.compress(json.dumps(many).encode()))
    assert "3 transactions" in run("try", shop / "many.json").output


def test_what_the_settings_refuse_is_refused_here_too(shop, monkeypatch) -> None:
    one = json.loads((EXAMPLES / "examples/valid/paid_by_eft.json").read_bytes())
    (shop / "one.json").write_text(json.dumps(one | {"currency": "BWP"}))
    assert run("try", shop / "one.json").exit_code == 0
    conf = settings.load("local", {"intake": {"other_currencies": "refuse"}})
    monkeypatch.setattr(settings, "load", lambda **over: conf)
    assert "other_currency" in run("try", shop / "one.json").output


def test_fields_cannot_be_set_beside_a_contract(shop: Path) -> None:
    done = run("try", VALID[0], "--set", "till=9")
    assert done.exit_code == 2
    assert "--set is for what a mapping reads" in done.output
