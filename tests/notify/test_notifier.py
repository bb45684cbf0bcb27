"""A notice is sent once: whatever is repeated, refused, lost or killed on the way."""

from __future__ import annotations

import threading
import time

import boto3
import pytest
from moto import mock_aws

from tests.support.sent_notices import TableInMemory
from tillstream.catalog import tables
from tillstream.conf import ConfError, load
from tillstream.domain.notice import Notice, notice
from tillstream.notify.log import NotThere, SentLog
from tillstream.notify.notifier import Notifier, Stopped, Unavailable
from tillstream.notify.pace import Pace
from tillstream.notify.senders import MaybeSent, NotSent, Refused

NOW = 1_764_000_000_000


class Script:
    """A sender that does what it is told, call by call; afterwards it sends."""

    def __init__(self, *steps: Exception):
        self.steps = list(steps)
        self.sent: list[str] = []

    def send(self, one: Notice) -> str:
        if self.steps:
            raise self.steps.pop(0)
        self.sent.append(one.notice_id)
        return f"receipt {len(self.sent)}"


def a_notice(n: int = 1, age_ms: int = 0) -> Notice:
    return notice("sms", f"customer:C{n:010d}", "points_redeemed", f"tx-{n}", NOW - age_ms, {})


@pytest.fixture
def conf():
    return load("local", {"notify": {"lease_s": 60}})


@pytest.fixture(params=["moto", "in memory"])
def log(conf, request):
    if request.param == "in memory":
        yield SentLog(conf, TableInMemory())
        return
    with mock_aws():
        client = boto3.client(
            "dynamodb", "af-south-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        client.create_table(
            TableName=conf.table(tables.SENT_NOTICES),
            KeySchema=[{"AttributeName": "notice_id", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "notice_id", "AttributeType": "S"},
                {"AttributeName": "open", "AttributeType": "S"},
                {"AttributeName": "claimed_at_ms", "AttributeType": "N"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "open-notices",
                    "KeySchema": [
                        {"AttributeName": "open", "KeyType": "HASH"},
                        {"AttributeName": "claimed_at_ms", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield SentLog(conf, client)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("tillstream.notify.notifier.FIRST_BACKOFF_S", 0.001)


def notifier(conf, log, sender, **more) -> Notifier:
    return Notifier(conf, log, sender, now_ms=lambda: NOW, **more)


def test_a_notice_is_sent_once_however_often_it_comes(conf, log):
    sender = Script()
    one = notifier(conf, log, sender)
    assert [one.handle(a_notice()) for _ in range(3)] == ["sent", "known", "known"]
    assert notifier(conf, log, sender).handle(a_notice()) == "known"
    assert sender.sent == [a_notice().notice_id]
    assert log.get(a_notice().notice_id).status == "sent"
    assert list(log.open()) == []


def test_of_many_who_have_it_at_once_one_sends_it(conf):
    # Not on moto: between its look at the condition and its put another thread may put.
    log = SentLog(conf, TableInMemory())
    sender = Script()
    one = notifier(conf, log, sender)
    outcomes: list[str] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(one.handle(a_notice()))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["known"] * 7 + ["sent"]
    assert len(sender.sent) == 1


def test_a_throttled_notice_is_tried_again_until_it_goes(conf, log):
    sender = Script(NotSent("slow down"), NotSent("slow down"))
    assert notifier(conf, log, sender).handle(a_notice()) == "sent"


def test_a_sender_that_is_down_ends_the_run_and_loses_nothing(conf, log):
    sender = Script(*[NotSent("nobody answers")] * conf.notify.attempts)
    with pytest.raises(Unavailable, match="nothing was lost"):
        notifier(conf, log, sender).handle(a_notice())
    assert not log.is_known(a_notice().notice_id)
    assert notifier(conf, log, sender).handle(a_notice()) == "sent"


def test_a_lost_answer_is_uncertain_and_not_tried_again(conf, log):
    sender = Script(MaybeSent("read timed out"))
    one = notifier(conf, log, sender)
    assert [one.handle(a_notice()), one.handle(a_notice())] == ["uncertain", "known"]
    assert sender.sent == []
    (left,) = log.open()
    assert (left.status, left.detail) == ("uncertain", "read timed out")
    assert left.notice == a_notice()


def test_a_claim_that_outlived_its_lease_while_it_waited_is_not_sent_beside_a_person_s(conf, log):
    """Between two attempts it is certainly not sent, so a person may find it and send it."""
    name, clerk = a_notice().notice_id, Script()

    class Throttled:
        def send(self, one: Notice) -> str:
            later = time.time_ns() // 1_000_000 + 61_000
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tillstream.notify.log.now_ms", lambda: later)
                found, token = log.decide(name, "claimed", "thandi")
            assert notifier(conf, log, clerk).send(found, token, comes_again=False) == "sent"
            raise NotSent("slow down")

    assert notifier(conf, log, Throttled()).handle(a_notice()) == "known"
    assert clerk.sent == [name]
    assert log.get(name).status == "sent"


def test_what_a_person_took_over_meanwhile_stops_no_run(conf, log):
    name = a_notice().notice_id
    token = log.claim(a_notice())
    log.renew(name, token)
    later = time.time_ns() // 1_000_000 + 61_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tillstream.notify.log.now_ms", lambda: later)
        log.decide(name, "dismissed", "thandi")
    log.sent(name, token, "receipt")
    log.stuck(name, token, "uncertain", "why")
    log.stuck(name, token, "waiting", "why")
    assert not log.renew(name, token)
    assert log.get(name).status == "dismissed"


def test_an_outcome_whose_answer_was_lost_may_be_written_again(conf, log):
    token = log.claim(a_notice())
    for _ in range(2):
        log.stuck(a_notice().notice_id, token, "uncertain", "why")
        log.renew(a_notice().notice_id, token)
    for _ in range(2):
        log.stuck(a_notice().notice_id, token, "waiting", "why")
    assert not log.is_known(a_notice().notice_id)


def test_what_waits_while_another_has_read_on_is_there_for_a_person(conf, log):
    """The group gave its partition to another, which left the notice to whoever had claimed it."""
    other, told = notifier(conf, log, Script()), []

    class Throttled:
        def send(self, one: Notice) -> str:
            told.append(other.handle(one))
            raise NotSent("slow down")

    with pytest.raises(Unavailable):
        notifier(conf, log, Throttled()).handle(a_notice())
    assert told == ["known"] * conf.notify.attempts
    (left,) = log.open()
    assert (left.status, left.detail, left.notice) == ("waiting", "slow down", a_notice())
    clerk = Script()
    found, token = log.decide(left.notice_id, "claimed", "thandi")
    assert notifier(conf, log, clerk).send(found, token, comes_again=False) == "sent"
    assert other.handle(a_notice()) == "known"
    assert clerk.sent == [left.notice_id]


def test_a_notice_of_the_future_is_not_sent_for_its_id_may_be_forgotten_before_it_is_old(conf, log):
    assert notifier(conf, log, Script()).handle(a_notice(age_ms=-4 * 86_400_000)) == "expired"


def test_a_refused_notice_waits_for_a_person(conf, log):
    assert notifier(conf, log, Script(Refused("no such topic"))).handle(a_notice()) == "failed"
    assert [one.status for one in log.open()] == ["failed"]


def test_a_crash_between_claim_and_sent_shows_as_uncertain_after_the_lease(conf, log, monkeypatch):
    assert log.claim(a_notice())
    assert notifier(conf, log, Script()).handle(a_notice()) == "known"
    assert [one.status for one in log.open()] == ["claimed"]
    later = time.time_ns() // 1_000_000 + 61_000
    monkeypatch.setattr("tillstream.notify.log.now_ms", lambda: later)
    assert [one.status for one in log.open()] == ["uncertain"]
    assert notifier(conf, log, Script()).handle(a_notice()) == "known"


def test_a_person_decides_once_to_send_or_not(conf, log):
    sender = Script(MaybeSent("lost"), MaybeSent("lost"))
    one = notifier(conf, log, sender)
    for n in (1, 2):
        one.handle(a_notice(n))
    found, token = log.decide(a_notice(1).notice_id, "claimed", "thandi")
    assert one.send(found, token, comes_again=False) == "sent"
    log.decide(a_notice(2).notice_id, "dismissed", "thandi")
    assert sender.sent == [a_notice(1).notice_id]
    assert log.get(a_notice(2).notice_id).decided_by == "thandi"
    assert list(log.open()) == []
    for n in (1, 2):
        with pytest.raises(NotThere, match="nothing to decide"):
            log.decide(a_notice(n).notice_id, "claimed", "thandi")
        assert one.handle(a_notice(n)) == "known"


def test_one_sent_again_by_a_person_is_not_lost_when_the_sender_is_down(conf, log):
    sender = Script(MaybeSent("lost"), *[NotSent("down")] * conf.notify.attempts)
    one = notifier(conf, log, sender)
    one.handle(a_notice())
    found, token = log.decide(a_notice().notice_id, "claimed", "thandi")
    assert one.send(found, token, comes_again=False) == "failed"
    assert [left.status for left in log.open()] == ["failed"]


def test_being_sent_is_nobodys_to_decide(log):
    log.claim(a_notice())
    with pytest.raises(NotThere, match="claimed"):
        log.decide(a_notice().notice_id, "dismissed", "thandi")


def test_an_old_notice_is_not_sent_but_kept_for_a_person(conf, log):
    sender = Script()
    age_ms = conf.notify.max_age_hours * 3_600_000 + 1
    assert notifier(conf, log, sender).handle(a_notice(age_ms=age_ms)) == "expired"
    assert sender.sent == []
    assert [one.status for one in log.open()] == ["expired"]


def test_ids_must_be_remembered_for_longer_than_notices_are_sent(log):
    with pytest.raises(ConfError, match="remember_days"):
        Notifier(load("local", {"notify": {"remember_days": 3}}), log, Script())


def test_told_to_stop_it_leaves_no_claim(conf, log):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        notifier(conf, log, Script(), stop=stop).handle(a_notice())
    assert not log.is_known(a_notice().notice_id)


def test_the_pace_allows_a_second_of_burst_and_then_so_many_a_second():
    now = [0.0]
    pace = Pace(10, clock=lambda: now[0])
    assert [pace.take() for _ in range(10)] == [0.0] * 10
    assert pace.take() == pytest.approx(0.1)
    assert pace.take() == pytest.approx(0.2)
    pace.give_back()
    now[0] = 0.2
    assert pace.take() == 0.0
