"""What each failure of a sender means: it was not sent, it never will be, or nobody knows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from tillstream.domain.notice import notice
from tillstream.notify.senders import FileSender, MaybeSent, NotSent, Refused, SnsSender

ONE = notice("sms", "customer:C0000000001", "points_redeemed", "tx-1", 1, {"points": 5})


class Client:
    def __init__(self, failure: Exception | None = None):
        self.failure = failure
        self.published: list[dict[str, Any]] = []

    def publish(self, **message: Any) -> dict[str, str]:
        if self.failure:
            raise self.failure
        self.published.append(message)
        return {"MessageId": "m-1"}


def answered(status: int, code: str) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Publish")


def test_a_notice_goes_to_the_topic_of_its_kind():
    client = Client()
    assert SnsSender({"sms": "arn:sms"}, client).send(ONE) == "m-1"
    (message,) = client.published
    assert message["TopicArn"] == "arn:sms"
    assert json.loads(message["Message"])["notice_id"] == ONE.notice_id
    assert message["MessageAttributes"]["template"]["StringValue"] == "points_redeemed"
    assert "MessageDeduplicationId" not in message


def test_a_fifo_topic_drops_a_repetition_itself():
    client = Client()
    SnsSender({"sms": "arn:sms.fifo"}, client).send(ONE)
    assert len(client.published[0]["MessageDeduplicationId"]) == 64


@pytest.mark.parametrize(
    ("failure", "means"),
    [
        (EndpointConnectionError(endpoint_url="http://h"), NotSent),
        (ConnectTimeoutError(endpoint_url="http://h"), NotSent),
        (answered(429, "TooManyRequests"), NotSent),
        (answered(400, "ThrottlingException"), NotSent),
        (answered(404, "NotFound"), Refused),
        (answered(400, "InvalidParameter"), Refused),
        (answered(500, "InternalError"), MaybeSent),
        (ReadTimeoutError(endpoint_url="http://h"), MaybeSent),
    ],
)
def test_a_failure_says_what_is_known(failure, means):
    with pytest.raises(means):
        SnsSender({"sms": "arn:sms"}, Client(failure)).send(ONE)


def test_a_kind_without_a_topic_is_refused():
    with pytest.raises(Refused, match="sns_topics"):
        SnsSender({}, Client()).send(ONE)


def test_the_file_holds_one_line_a_notice(tmp_path):
    sender = FileSender(tmp_path / "out" / "notices.jsonl")
    sender.send(ONE)
    sender.send(ONE)
    lines = (tmp_path / "out" / "notices.jsonl").read_text().splitlines()
    assert [json.loads(line)["notice_id"] for line in lines] == [ONE.notice_id] * 2
