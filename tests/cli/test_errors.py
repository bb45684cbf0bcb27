"""What fails outside the code ends a command in one line that says whom it asked and what to do."""

from __future__ import annotations

import click
import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from click.testing import CliRunner, Result
from confluent_kafka import KafkaError, KafkaException

from tillstream import cli
from tillstream.cli.errors import Interrupted
from tillstream.clients import aws
from tillstream.cluster.protocol import JobError, NotReady
from tillstream.conf import load
from tillstream.errors import Problem, Unreachable
from tillstream.fraud.rules_file import RulesFileError


@pytest.fixture
def ends(monkeypatch):
    """How the root group ends a command that runs ``body``."""

    def run(body) -> Result:
        monkeypatch.setattr(cli.main, "get_command", lambda *_: click.Command("x", callback=body))
        return CliRunner().invoke(cli.main, ["x"])

    return run


def raising(error: BaseException):
    def body() -> None:
        raise error

    return body


def lines(result: Result, code: int) -> list[str]:
    assert result.exit_code == code
    assert "Traceback" not in result.output
    return result.output.splitlines()


def test_a_table_that_does_not_answer_is_named_with_its_address(ends):
    overrides = {"dynamodb": {"endpoint": "http://127.0.0.1:1"}, "aws": {"credentials": "basic"}}
    client = aws._client("dynamodb", load(overrides=overrides), "http://127.0.0.1:1", 1, attempts=1)
    key = {"store": {"S": "1"}}
    (line,) = lines(ends(lambda: client.get_item(TableName="stock", Key=key)), 1)
    assert line.startswith("error: DynamoDB table stock at http://127.0.0.1:1: Could not connect")
    assert "`tillstream status`" in line
    assert "`tillstream up`" in line


def test_a_bucket_is_named_too_also_when_it_is_read_page_by_page(ends):
    client = aws._client("s3", load(overrides={"aws": {"credentials": "basic"}}),
                         "http://127.0.0.1:1", 1, attempts=1)  # fmt: skip
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="shop")
    (line,) = lines(ends(lambda: list(pages)), 1)
    assert line.startswith("error: S3 bucket shop at http://127.0.0.1:1: Could not connect")


def test_an_error_of_aws_from_elsewhere_is_one_line_as_well(ends):
    (line,) = lines(ends(raising(EndpointConnectionError(endpoint_url="http://there"))), 1)
    assert line.startswith("error: AWS: Could not connect to the endpoint URL")


def test_a_service_that_does_not_answer_in_time_is_one_line(ends):
    (line,) = lines(ends(raising(ReadTimeoutError(endpoint_url="http://there"))), 1)
    assert line.startswith('error: AWS: Read timeout on endpoint URL: "http://there"')


def test_kafkas_error_is_one_line(ends):
    error = KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN, "all brokers are down"))
    (line,) = lines(ends(raising(error)), 1)
    assert line.startswith("error: Kafka: all brokers are down: `tillstream status`")


def test_ctrl_c_is_one_line_and_130(ends):
    assert lines(ends(raising(KeyboardInterrupt())), 130) == ["interrupted"]
    said = "no longer watching; the replay goes on"
    assert lines(ends(raising(Interrupted(said))), 130) == [said]


def test_a_problem_shows_itself(ends):
    assert lines(ends(raising(Problem("no stack: `tillstream up`"))), 1) == [
        "error: no stack: `tillstream up`"
    ]


def test_what_a_job_lacks_is_a_line_each_and_2(ends):
    assert lines(ends(raising(NotReady(["no topic a", "no table b"]))), 2) == [
        "error: no topic a",
        "error: no table b",
    ]


def test_a_rules_file_is_a_line_for_each_problem_and_2(ends):
    problems = ["r.yaml:3: no signal", "r.yaml:9: no weight"]
    assert lines(ends(raising(RulesFileError(problems))), 2) == problems


def test_a_failed_restore_says_what_to_do(ends):
    error = JobError("not submitted: Max parallelism mismatch between 720 and 128")
    first, second = lines(ends(raising(error)), 1)
    assert first.startswith("error: not submitted")
    assert second.startswith("what to do: job.max_parallelism is not the one")


def test_a_bug_of_ours_keeps_its_traceback(ends):
    result = ends(raising(KeyError("state")))
    assert isinstance(result.exception, KeyError)
    client = aws._client("dynamodb", load(overrides={"aws": {"credentials": "basic"}}),
                         "http://127.0.0.1:1", 1)  # fmt: skip
    wrong = ends(lambda: client.get_item(TableName="t", Nosuch=7))
    assert type(wrong.exception).__name__ == "ParamValidationError"


def test_where_nobody_said_which_environment_is_meant_a_failure_says_which_was_taken(
    ends, monkeypatch, tmp_path
):
    failing = raising(Unreachable("no such table"))
    assert lines(ends(failing), 1) == ["error: no such table"]
    monkeypatch.delenv("TILLSTREAM_ENV")
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    said = lines(ends(failing), 1)
    assert "run `tillstream up`; for another environment set TILLSTREAM_ENV" in said[0]
    assert said[1] == "note: with these, no such table"
    assert lines(ends(raising(Problem("no such file"))), 1) == ["error: no such file"]
