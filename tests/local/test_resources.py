"""Tables, streams and topics are found again however many an account has."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from tillstream import conf as settings
from tillstream.cluster import preflight
from tillstream.local import resources

KEY = {"AttributeName": "id", "KeyType": "HASH"}


@pytest.fixture
def crowded(monkeypatch):
    """An account with more tables and SNS topics than a listing answers at once."""
    with mock_aws():

        def aws(service: str, endpoint: str):
            return boto3.client(
                service, "us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
            )

        for number in range(120):
            aws("dynamodb", "").create_table(
                TableName=f"another-{number:03d}",
                KeySchema=[KEY],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            aws("sns", "").create_topic(Name=f"another-{number:03d}")
        monkeypatch.setattr(resources, "aws", aws)
        monkeypatch.setattr(preflight, "aws", aws)
        usual = settings.load("local")
        endpoint = "http://127.0.0.1:1"  # asked of moto instead
        yield settings.load(
            "local",
            {
                "kafka": {"bootstrap": None},
                "dynamodb": {"endpoint": endpoint},
                "notify": {
                    "sns_endpoint": endpoint,
                    "sns_topics": {
                        key: f"arn:aws:sns:us-east-1:123456789012:{key}"
                        for key in usual.notify.sns_topics
                    },
                },
            },
        )


def test_what_is_there_among_hundreds_is_not_made_again(crowded):
    assert any(made.startswith("table ") for made in resources.create_resources(crowded))
    assert resources.create_resources(crowded) == []
    assert preflight._tables(crowded, job=None) == []
