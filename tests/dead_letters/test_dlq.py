"""Dead letters: merged, judged, put back, marked."""

from __future__ import annotations

import base64
import io
import json

import boto3
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from moto import mock_aws

from tests.support import sales
from tillstream import conf as settings
from tillstream.cli import main, times
from tillstream.cli.times import moment_ms
from tillstream.clients import aws, kinesis
from tillstream.clients.delivery import Receipt, deliver
from tillstream.cluster.submissions import Submissions
from tillstream.dead_letters import commands as dlq_commands
from tillstream.dead_letters import read as dlq_read
from tillstream.dead_letters import send as dlq_send
from tillstream.dead_letters.advice import advice
from tillstream.dead_letters.commands import hexdump
from tillstream.dead_letters.contracts import contracts
from tillstream.dead_letters.model import (
    Contract,
    DlqError,
    Failure,
    Marker,
    Named,
    Refusal,
    Sendable,
    Sighting,
    choose,
    export,
    judge,
    judge_all,
    merge,
    read_repaired,
    totals,
)
from tillstream.dead_letters.read import of_message
from tillstream.dead_letters.send import redrive
from tillstream.domain.dead_letter import dead_letter
from tillstream.domain.envelope import Envelope
from tillstream.domain.stock import movement
from tillstream.errors import Unreachable

SOLD = {"event_time_ms": 1_795_500_000_000, "customer_id": "C0001234567", "pieces": 2}
ID = "kinesis:till-transactions/shardId-000000000000/4965"


def sale(**changes):
    return sales.sale("0045-03-20261124-000123", **SOLD | changes)


def sighting(dead_letter_id=ID, raw=b"{}", job="loyalty", reason="missing_field", at=1_000):
    failure = Failure(job, "validate", reason, "$.store is required", 1, at)
    return Sighting(dead_letter_id, raw, len(raw), failure)


def dead(document, reason="missing_field", dead_letter_id=ID):
    raw = document if isinstance(document, bytes) else orjson.dumps(document)
    return merge([sighting(dead_letter_id, raw, reason=reason)])[dead_letter_id]


# --- of any topic

LABEL = {"transaction_id": "0023-04-20251124-000001", "fraud": True, "labelled_ms": 1_764_000_060_000,
         "event_time_ms": 1_764_000_000_000, "store": 23, "till": 4}  # fmt: skip
OF_LABEL = "kafka:fraud-labels/0/7#a1b2c3d4"


def test_what_came_from_another_topic_is_judged_by_its_contract_and_goes_back_there():
    known = contracts(settings.load("local"))
    broken = dead(LABEL | {"till": 0}, dead_letter_id=OF_LABEL)
    assert judge(broken, contracts=known).reason == "out_of_range"
    fixed = judge(broken, LABEL, contracts=known)
    assert (fixed.topic, fixed.key) == ("fraud-labels", LABEL["transaction_id"])
    assert orjson.loads(fixed.payload) == LABEL
    sold = judge(dead(sale(), dead_letter_id="kafka:till-transactions/0/7"), contracts=known)
    assert sold.topic is None


def test_a_verdict_ahead_of_the_clock_goes_back_once_the_time_that_was_ahead_is_repaired():
    known = contracts(settings.load("local"))
    ahead = dead(LABEL, reason="clock_ahead", dead_letter_id=OF_LABEL)
    refused = judge(ahead, contracts=known)
    assert "only with labelled_ms or event_time_ms repaired" in refused.message
    assert isinstance(
        judge(ahead, LABEL | {"labelled_ms": 1_764_000_050_000}, contracts=known), Sendable
    )


def test_a_document_without_its_topics_key_is_refused_and_stops_no_other():
    known = contracts(settings.load("local"))
    change = {"store": 45, "product": "2000000000015", "version": 3, "kind": "sale", "old_quantity": 0,
              "new_quantity": 10, "event_time_ms": 1_764_000_000_000}  # fmt: skip
    refused = judge(dead(change, dead_letter_id="kafka:stock-changes/0/1"), contracts=known)
    assert (refused.reason, "$.stock_key" in refused.message) == ("missing_field", True)


def test_two_verdicts_on_one_transaction_may_both_go_back():
    known = contracts(settings.load("local"))
    both = [
        dead(LABEL, dead_letter_id=OF_LABEL),
        dead(LABEL | {"fraud": False}, dead_letter_id="kafka:fraud-labels/0/8"),
    ]
    sendable, refused = judge_all(both, {}, contracts=known)
    assert (len(sendable), refused) == (2, [])


def test_fraud_rules_are_pushed_again_by_who_pushed_them():
    known = contracts(settings.load("local"))
    refused = judge(dead(b"{}", dead_letter_id="kafka:fraud-rules/0/1"), contracts=known)
    assert refused.reason == "not_redriven"


def test_pieces_of_one_record_are_dead_letters_of_their_own():
    pieces = [b'{"a":1}', b'{"a":2}', b'{"a":1}']
    made = [orjson.loads(dead_letter(Envelope("kinesis:t/s/4965", 1, raw), "loyalty", "validate",
                                     "missing_field", "x" * 5000, 1, 2)) for raw in pieces]  # fmt: skip
    assert len({letter["dead_letter_id"] for letter in made}) == 2
    assert {letter["origin"] for letter in made} == {"kinesis:t/s/4965"}
    assert {len(letter["message"]) for letter in made} == {1000}


def test_a_dead_letter_says_how_often_it_has_died():
    first, second, third = "kafka:t/0/1#aa", "kafka:t/0/5#bb", "kafka:t/0/9#cc"
    marks = [Marker(first, 5, "thandi", "kafka:t/0/5"), Marker(second, 6, "thandi", "kafka:t/0/9")]
    seen = merge([sighting(first), sighting(second), sighting(third), *marks])
    assert [seen[one].deaths for one in (first, second, third)] == [1, 2, 3]
    assert export(seen[third], with_raw=False)["deaths"] == 3
    # A mark is enough of a record that expired, and two that name each other are no endless loop.
    assert merge([sighting(third), *marks])[third].deaths == 3
    assert merge([sighting(first), Marker(first, 5, "thandi", "kafka:t/0/1")])[first].deaths == 1


def test_bytes_too_many_for_kafka_are_said_to_be_on_s3():
    headers = [("__connect.errors.connector.name", b"loyalty"), (dlq_read.LEFT_OUT, b"1048576")]
    seen = of_message(OF_LABEL.encode(), headers, b"", 1)
    assert (seen.raw, seen.size) == (None, 1_048_576)
    assert "--source s3" in judge(merge([seen])[OF_LABEL]).message


# --- merging


def test_two_jobs_refusing_one_record_is_one_dead_letter():
    merged = merge([sighting(job="loyalty"), sighting(job="archive")])
    assert list(merged) == [ID]
    assert merged[ID].jobs == ["archive", "loyalty"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_replay_writes_a_failure_twice_and_the_newest_counts(order):
    seen = [sighting(at=1_000, reason="not_json"), sighting(at=2_000, reason="bad_format")]
    merged = merge(seen[::order])
    assert merged[ID].reasons == ["bad_format"]
    assert len(merged[ID].failures) == 1


def test_a_marker_counts_wherever_it_stands_and_also_if_a_replay_writes_the_letter_again():
    marker = Marker(ID, 5_000, "thandi", None)
    for seen in ([marker, sighting()], [sighting(), marker], [sighting(), marker, sighting()]):
        assert merge(seen)[ID].redriven == [marker]
    assert merge([marker]) == {}


def test_redriven_ones_are_hidden_unless_all_are_wanted():
    merged = merge([sighting(), sighting("kafka:t/0/1", at=2), Marker(ID, 5_000, "thandi", None)])
    assert [r.dead_letter_id for r in choose(merged.values())] == ["kafka:t/0/1"]
    assert len(choose(merged.values(), with_redriven=True)) == 2


def test_filters_must_match_within_one_failure():
    merged = merge(
        [sighting(job="loyalty", reason="a", at=10), sighting(job="archive", reason="b")]
    )
    assert choose(merged.values(), reasons=["a"], jobs=["loyalty"], since_ms=10)
    assert not choose(merged.values(), reasons=["b"], jobs=["loyalty"])
    assert totals(merged.values()) == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("since", "from_ms"),
    [
        ("2h", 9_999_992_800_000),
        ("2026-11-24T08:00", 1_795_507_200_000),
        ("2026-11-24T10:00+02:00", 1_795_507_200_000),
    ],
)
def test_since_takes_an_age_or_a_time(monkeypatch, since, from_ms):
    monkeypatch.setattr(times, "now_ms", lambda: 10_000_000_000_000)
    seen = [sighting(at=from_ms), sighting("kafka:t/0/1", at=from_ms - 1)]
    said = run(monkeypatch, seen, "list", "--json", "--since", since).output
    assert [json.loads(line)["dead_letter_id"] for line in said.splitlines()] == [ID]


def test_since_that_is_no_time_says_what_to_write(monkeypatch):
    refused = run(monkeypatch, [], "list", "--since", "yesterday")
    assert refused.exit_code == 2
    assert "30m" in refused.output


# --- judging


def test_a_valid_record_goes_back_byte_for_byte_under_its_customer():
    raw = json.dumps(sale(), indent=1).encode()
    verdict = judge(dead(raw))
    assert verdict == Sendable(ID, "0045-03-20261124-000123", "C0001234567", raw, False)


def test_an_anonymous_record_goes_back_under_its_transaction_id():
    document = sale()
    del document["customer_id"]
    assert judge(dead(document)).key == "0045-03-20261124-000123"


def test_a_record_still_bad_stays_dead_with_its_reason_of_today():
    verdict = judge(dead(sale(total_cents=999), reason="missing_field"))
    assert isinstance(verdict, Refusal)
    assert verdict.reason == "total_mismatch"


def test_a_repaired_record_is_sent_in_place_of_the_original():
    verdict = judge(dead(sale(total_cents=999)), sale())
    assert verdict.repaired
    assert orjson.loads(verdict.payload) == sale()


def test_a_masked_record_stays_dead_until_its_token_is_put_in():
    record = dead(sale(payment_method="card", card_token="************1111"))
    verdict = judge(record)
    assert isinstance(verdict, Refusal)
    assert "masked" in verdict.message
    token = sale(payment_method="card", card_token="tok_0123456789abcdef")
    assert isinstance(judge(record, token), Sendable)


@pytest.mark.parametrize("reason", ["beyond_horizon", "clock_ahead"])
def test_what_time_refused_goes_back_only_with_its_time_repaired(reason):
    record = dead(sale(), reason=reason)
    assert judge(record).reason == reason
    assert judge(record, sale()).reason == reason
    assert judge(record, sale(till=4)).reason == reason
    assert isinstance(judge(record, sale(event_time_ms=1_795_400_000_000)), Sendable)


def test_of_two_sales_under_one_id_the_second_goes_back_only_under_an_id_of_its_own():
    record = dead(sale(), "id_conflict")
    assert judge(record).reason == "id_conflict"
    assert judge(record, sale() | {"till": 9}).reason == "id_conflict"
    assert isinstance(
        judge(record, sale() | {"transaction_id": "0045-03-20261124-900123"}), Sendable
    )
    assert "another record has its id" in advice(record)


def test_of_two_documents_under_one_id_the_second_goes_back_only_under_an_id_of_its_own():
    lines = [{"product": "2000000000411", "quantity": 1}]
    count = {"schema": 1, "document_id": "count-0045-1", "kind": "count", "store": 45,
             "event_time_ms": 1_795_400_000_000, "lines": lines}  # fmt: skip
    record = dead(count, "id_conflict", dead_letter_id="kafka:moves/0/7#12345678")
    contracts = {"moves": Contract(movement.parse, "document_id")}
    refused = judge(record, contracts=contracts)
    assert (refused.reason, "document_id" in refused.message) == ("id_conflict", True)
    assert judge(record, count | {"store": 46}, contracts=contracts).reason == "id_conflict"
    own = judge(record, count | {"document_id": "count-0045-2"}, contracts=contracts)
    assert isinstance(own, Sendable)
    assert own.topic == "moves"


def test_a_second_redrive_is_refused_unless_asked_for_again():
    record = merge([sighting(raw=orjson.dumps(sale())), Marker(ID, 5, "thandi", None)])[ID]
    assert judge(record).reason == "already_redriven"
    assert isinstance(judge(record, again=True), Sendable)


def test_two_contents_of_one_transaction_id_do_not_both_go_back():
    one, same, other = (dead(sale(), dead_letter_id=f"kafka:t/0/{n}") for n in range(3))
    fixes = {"kafka:t/0/2": sale(till=9)}
    sendable, refused = judge_all([one, same, other], fixes)
    assert [s.dead_letter_id for s in sendable] == ["kafka:t/0/0", "kafka:t/0/1"]
    assert refused[0].reason == "same_transaction_id"


def test_an_export_can_be_edited_and_given_back():
    record = dead(sale(total_cents=999))
    line = export(record, with_raw=True)
    line["record"]["total_cents"] = 1000
    fixes = read_repaired([orjson.dumps(line), b"\n"])
    assert isinstance(judge(record, fixes[ID]), Sendable)
    assert export(dead(b"\xff"), with_raw=True)["record"] is None


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([b"[]"], "line 1"),
        ([b'{"dead_letter_id":"a","record":null}'], "no object as record for a"),
        ([b'{"dead_letter_id":"a","record":{}}'] * 2, "line 2: a is there twice"),
    ],
)
def test_a_wrong_repaired_file_names_the_line(lines, says):
    with pytest.raises(DlqError, match=says):
        read_repaired(lines)


def test_advice_says_what_is_wrong_and_what_to_do():
    assert "sends it as it is" in advice(dead(sale()))
    assert "ledger first" in advice(dead(sale(), reason="beyond_horizon"))
    assert "Repair that field" in advice(dead(sale(total_cents=1)))


# --- reading


HEADERS = {
    "__connect.errors.topic": "till-transactions",
    "__connect.errors.connector.name": "loyalty",
    "__connect.errors.task.id": "1",
    "__connect.errors.stage": "validate",
    "__connect.errors.exception.message": "$.región",
    "tillstream.origin": ID,
    "tillstream.reason": "unknown_field",
    "tillstream.schema.version": "1",
    "tillstream.failed.at.ms": "1234",
}


def headers(**more):
    return [(name, text.encode()) for name, text in (HEADERS | more).items()]


def test_a_record_of_the_topic_is_read_by_its_headers():
    one = of_message(ID.encode(), headers(), b"\xff", 9)
    assert one.failure == Failure(
        "loyalty", "validate", "unknown_field", "$.región", 1, 1234, task_id="1"
    )
    assert one.raw == b"\xff"
    assert of_message(None, headers(), b"x", 9, keep_raw=False).dead_letter_id == ID


def test_a_record_that_is_no_dead_letter_is_left_out():
    assert of_message(None, None, b"x", 9) is None
    assert of_message(b"a", [], b"x", 9) is None
    late = of_message(b"a", headers(**{"tillstream.failed.at.ms": "soon"}), None, 9)
    assert (late.failure.failed_at_ms, late.raw) == (9, b"")


def parquet(**columns):
    sink = io.BytesIO()
    row = {
        "dead_letter_id": ID,
        "job": "archive",
        "stage": "validate",
        "reason": "not_json",
        "message": "",
        "raw_b64": base64.b64encode(b"\x00raw").decode(),
        "origin": ID,
        "schema_version": 1,
        "failed_at_ms": 77,
    } | columns
    pq.write_table(pa.table({name: [value] for name, value in row.items()}), sink)
    return sink.getvalue()


def test_s3_is_read_without_hidden_files_and_earlier_days(monkeypatch):
    files = {
        "dead-letters/date=2026-11-22/a.parquet": parquet(dead_letter_id="old"),
        "dead-letters/date=2026-11-24/a.parquet": parquet(),
        "dead-letters/date=2026-11-24/.inprogress": b"half",
    }
    conf = settings.load("local")
    with mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket=conf.s3.bucket)
        for key, body in files.items():
            client.put_object(Bucket=conf.s3.bucket, Key=key, Body=body)
        monkeypatch.setattr(aws, "listening", lambda conf, service: client)
        found = list(dlq_read.from_s3(conf, since_ms=moment_ms("2026-11-24", 0)))
    assert [(one.dead_letter_id, one.raw, one.failure.job) for one in found] == [
        (ID, b"\x00raw", "archive")
    ]


def test_a_hexdump_shows_where_and_what():
    assert hexdump(b"ab\xff").startswith("00000000  61 62 ff")
    assert hexdump(b"x" * 300).endswith("... 44 more bytes")


# --- sending


def sendable(n):
    return Sendable(f"kafka:t/0/{n}", f"id-{n}", f"C{n}", b"{}", False)


class FlakyKinesis:
    """Refuses each key as often as told."""

    def __init__(self, refusals):
        self.refusals, self.calls = dict(refusals), []

    def put_records(self, StreamName, Records):
        keys = [record["PartitionKey"] for record in Records]
        self.calls.append(keys)
        answers = []
        for key in keys:
            if self.refusals.get(key, 0) > 0:
                self.refusals[key] -= 1
                answers.append({"ErrorCode": "Throttled", "ErrorMessage": "slow down"})
            else:
                answers.append({"ShardId": "s0", "SequenceNumber": key})
        return {"Records": answers}


def test_only_the_failed_records_are_sent_again_after_growing_waits(monkeypatch):
    client, waits = FlakyKinesis({"C1": 2, "C2": 99}), []
    monkeypatch.setattr(kinesis.time, "sleep", waits.append)
    sent = kinesis.put(client, "till", [(f"C{n}", b"{}") for n in range(3)])
    assert client.calls == [["C0", "C1", "C2"], ["C1", "C2"], ["C1", "C2"], ["C2"]]
    assert waits == [0, 0.1, 0.2, 0.4]
    assert [one.origin for one in sent] == ["kinesis:till/s0/C0", "kinesis:till/s0/C1", None]
    assert sent[2].error == "Throttled: slow down"


def test_a_record_larger_than_kinesis_takes_is_reported_not_sent():
    client = FlakyKinesis({})
    sent = kinesis.put(client, "till", [("C1", b"x" * 1_048_576), ("C0", b"{}")])
    assert client.calls == [["C0"]]
    assert "1 MiB" in sent[0].error


class Log:
    """Source and markers that write down what happened in which order."""

    name = "log"

    def __init__(self, fails=(), mark_fails=()):
        self.fails, self.mark_fails, self.happened = set(fails), set(mark_fails), []

    def put(self, batch):
        self.happened.append(("send", len(batch)))
        return [Receipt(None, "no") if o.key in self.fails else Receipt("o", None) for o in batch]

    def write(self, sent, by, at_ms):
        self.happened.append(("mark", len(sent)))
        return [one.dead_letter_id for one in sent if one.dead_letter_id in self.mark_fails]


def test_each_batch_is_sent_then_marked_and_what_failed_is_not_marked():
    log = Log(fails={"C3"})
    list(redrive([sendable(n) for n in range(501)], log, log, "thandi", lambda: 1))
    assert log.happened == [("send", 500), ("mark", 499), ("send", 1), ("mark", 1)]


def test_nothing_more_is_sent_once_marks_cannot_be_written():
    log = Log(mark_fails={"kafka:t/0/0"})
    batches = list(redrive([sendable(n) for n in range(501)], log, log, "thandi", lambda: 1))
    assert log.happened == [("send", 500), ("mark", 500)]
    assert batches[-1].unmarked == ["kafka:t/0/0"]


# --- commands


def run(monkeypatch, seen, *args, **kwargs):
    def from_kafka(conf, wanted=dlq_read.everything, keep_raw=True):
        return [one for one in seen if wanted(one.dead_letter_id)]

    monkeypatch.setattr(dlq_read, "from_kafka", from_kafka)
    return CliRunner().invoke(dlq_commands.dlq, args, **kwargs)


def test_list_shows_totals_by_reason_and_says_what_it_hides(monkeypatch):
    seen = [sighting(), sighting("kafka:t/0/1"), Marker("kafka:t/0/1", 5, "thandi", None)]
    result = run(monkeypatch, seen, "list")
    assert result.exit_code == 0
    assert ID in result.output
    assert "kafka:t/0/1" not in result.output
    assert "1 redriven ones hidden" in result.output


def test_a_dry_run_says_what_stays_dead_and_exits_1(monkeypatch):
    seen = [sighting(raw=orjson.dumps(sale())), sighting("kafka:t/0/1", raw=b"no")]
    result = run(monkeypatch, seen, "redrive", "--all", "--dry-run")
    assert result.exit_code == 1
    assert f"would send  {ID}" in result.output
    assert "stays dead  kafka:t/0/1  not_json" in result.output


def test_an_unknown_id_and_a_redrive_of_nothing_are_refused_in_one_line(monkeypatch):
    result = run(monkeypatch, [], "show", "nowhere")
    assert result.exit_code == 1
    assert result.output == (
        "error: no dead letter nowhere on kafka: see `tillstream dlq list`, or --source s3\n"
    )
    assert "say which" in run(monkeypatch, [], "redrive").output


def test_show_prints_json_or_a_hexdump_with_advice(monkeypatch):
    text = run(monkeypatch, [sighting(raw=b"\xff\xfe")], "show", ID).output
    assert "00000000  ff fe" in text
    assert "refused again" in text
    exported = run(monkeypatch, [sighting(raw=orjson.dumps(sale()))], "show", ID, "--json").output
    assert orjson.loads(exported)["record"] == sale()


def test_a_record_larger_than_the_kafka_client_takes_is_reported_not_raised():
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    (sent,) = deliver(producer, "till", [(b"C1", b"x" * 2_000_000, [])])
    assert "too large" in sent.error


def test_what_tills_of_other_makers_send_goes_back_as_it_came():
    """It need be no JSON."""
    contracts_ = {"": Contract(lambda raw: Named("r-1", "r-1", "1"), "")}
    xml = sighting("kafka:tills/0/1#aa", b"<POSLog/>", reason="unknown_record")
    other = sighting("kafka:tills/0/2#bb", b"<POSLog a='1'/>", reason="unknown_record", at=2_000)
    sendable, refused = judge_all(merge([xml, other]).values(), {}, contracts=contracts_)
    assert [one.payload for one in sendable] == [b"<POSLog/>"]
    assert [one.reason for one in refused] == ["same_transaction_id"]


def test_a_store_that_the_table_does_not_have_stays_dead_until_it_does(tmp_path):
    raw = orjson.dumps(sales.sale(store=2))
    letter = merge([sighting("kafka:tills/0/1#aa", raw, "intake", "unknown_store")])
    stores = tmp_path / "stores.csv"
    line = "{},Rosebank,gauteng,ZA,ZAR,-26.1,28.0,Africa/Johannesburg\n"
    outcomes = []
    for store in (1, 2):
        stores.write_text("store,name,region,country,currency,lat,lon,zone\n" + line.format(store))
        conf = settings.load("local", {"reference": {"stores": str(stores)}})
        verdict = judge(next(iter(letter.values())), contracts=contracts(conf))
        outcomes.append(getattr(verdict, "reason", "goes back"))
    assert outcomes == ["unknown_store", "goes back"]


def test_a_currency_that_is_refused_stays_dead_until_it_is_accepted():
    raw = orjson.dumps(sales.sale(store=1, currency="BWP"))
    (letter,) = merge([sighting("kafka:tills/0/1#aa", raw, "intake", "other_currency")]).values()
    outcomes = []
    for said in ("refuse", "accept"):
        conf = settings.load("local", {"intake": {"other_currencies": said}})
        outcomes.append(getattr(judge(letter, contracts=contracts(conf)), "reason", "goes back"))
    assert outcomes == ["other_currency", "goes back"]


def test_tax_that_is_refused_stays_dead_until_it_is_accepted():
    line = {
        "number": 1,
        "kind": "sale",
        "amount": 1_000,
        "taxes": [{"code": "S", "rate": 0, "amount": 9}],
    }
    raw = orjson.dumps(
        {"schema": 2, "transaction_id": "t-1", "kind": "retail", "store": "1", "till": "1",
         "ended_at": "2025-11-24T10:00:00+02:00", "currency": "ZAR", "total": 1_000, "lines": [line]}
    )  # fmt: skip
    (letter,) = merge([sighting("kafka:tills/0/1#aa", raw, "intake", "tax_rate")]).values()
    outcomes = []
    for said in ("refuse", "accept"):
        conf = settings.load("local", {"intake": {"tax_rates": said}})
        outcomes.append(getattr(judge(letter, contracts=contracts(conf)), "reason", "goes back"))
    assert outcomes == ["tax_rate", "goes back"]


# --- where intake reads


class Marks(Log):
    def at(self, conf, topic):
        self.name = topic or conf.source.stream
        return self

    def put(self, batch):
        self.happened.append(("send", [one.dead_letter_id for one in batch]))
        return [Receipt("o", None) for _ in batch]


OF_KAFKA = "kafka:till-transactions/2/753#1f703f1f"
BY_KAFKA = ("--conf", "source.kind=kafka")


@pytest.fixture
def log(monkeypatch, tmp_path):
    """Where redrive would send, and the stack whose submissions say what intake reads."""
    monkeypatch.setenv("TILLSTREAM_ENV", "local")
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    (tmp_path / "stack").mkdir()
    log = Marks()
    monkeypatch.setattr(dlq_send, "open_source", lambda conf, topic=None: log.at(conf, topic))
    monkeypatch.setattr(dlq_send, "open_markers", lambda conf: log)
    return log


def submitted(tmp_path, kind):
    noted = {"from": None, "parallelism": 1, "reads": f"{kind}:till-transactions"}
    Submissions(tmp_path / "stack" / "jobs.jsonl").note("intake", "a" * 32, **noted)


def redriven(monkeypatch, *args, letter=OF_KAFKA):
    seen = [sighting(letter, orjson.dumps(sale()))]
    return run(monkeypatch, seen, "redrive", "--all", "--yes", *args)


def test_what_came_through_kafka_is_not_put_where_only_the_settings_say_that_intake_reads(
    monkeypatch, log
):
    refused = redriven(monkeypatch)
    assert (refused.exit_code, log.happened) == (1, [])
    assert f"stays dead  {OF_KAFKA}  other_stream" in refused.output
    assert "--conf source.kind=kafka" in refused.output
    sent = redriven(monkeypatch, *BY_KAFKA)
    assert (sent.exit_code, sent.output) == (0, "1 of 1 sent to kafka:till-transactions.\n")
    assert log.happened == [("send", [OF_KAFKA]), ("mark", 1)]


def test_what_came_through_kinesis_goes_to_kafka_once_it_is_said_that_intake_has_moved_there(
    monkeypatch, log
):
    monkeypatch.setenv("TILLSTREAM_CONF", '{"source": {"kind": "kafka"}}')
    assert "--conf source.kind=kafka if it has moved" in redriven(monkeypatch, letter=ID).output
    assert redriven(monkeypatch, *BY_KAFKA, letter=ID).exit_code == 0
    assert log.happened == [("send", [ID]), ("mark", 1)]


def test_nothing_goes_where_intake_was_not_submitted_to_read(monkeypatch, log, tmp_path):
    submitted(tmp_path, "kafka")
    refused = redriven(monkeypatch, letter=ID)
    assert (refused.exit_code, log.happened) == (1, [])
    assert "intake was submitted to read kafka:till-transactions" in refused.output
    assert "give --conf source.kind=kafka" in refused.output
    # The submission says it: nobody has to confirm that it has moved.
    monkeypatch.setenv("TILLSTREAM_CONF", '{"source": {"kind": "kafka"}}')
    assert redriven(monkeypatch, letter=ID).exit_code == 0


def test_of_an_intake_that_was_stopped_nobody_knows_what_it_reads_next(monkeypatch, log, tmp_path):
    submitted(tmp_path, "kafka")
    Submissions(tmp_path / "stack" / "jobs.jsonl").note("intake", "a" * 32, ended="stopped")
    assert "other_stream" in redriven(monkeypatch).output
    assert redriven(monkeypatch, letter=ID).exit_code == 0


def test_of_other_topics_than_the_tills_source_kind_says_nothing(monkeypatch, log, tmp_path):
    submitted(tmp_path, "kafka")
    seen = [sighting(OF_LABEL, orjson.dumps(LABEL))]
    sent = run(monkeypatch, seen, "redrive", "--all", "--yes")
    assert (sent.exit_code, log.happened) == (0, [("send", [OF_LABEL]), ("mark", 1)])


def test_without_a_stack_that_is_told_before_production_lacks_credentials(monkeypatch, tmp_path):
    def from_kafka(*_: object) -> None:
        raise Unreachable("Kafka needs AWS credentials (there are none)")

    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    monkeypatch.delenv("TILLSTREAM_ENV", raising=False)
    monkeypatch.setattr(dlq_read, "from_kafka", from_kafka)
    first, second = CliRunner().invoke(main, ["dlq", "list"]).output.splitlines()
    assert first.startswith(
        "error: there is no stack: run `tillstream up`; for another environment"
    )
    assert second == "note: with these, Kafka needs AWS credentials (there are none)"
