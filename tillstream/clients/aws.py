"""boto3 clients from conf: bounded retries with backoff, time-outs, endpoints."""

from __future__ import annotations

import socket
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from tillstream.conf import Conf
from tillstream.errors import Unreachable

LOCAL_KEYS = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}


def kinesis(conf: Conf, pool: int = 10) -> Any:
    """``pool``: connections at once."""
    return _client("kinesis", conf, conf.source.kinesis.endpoint, pool)


def dynamodb(conf: Conf, pool: int = 10, **more: int) -> Any:
    """``more``: attempts, read_timeout_s."""
    return _client("dynamodb", conf, conf.dynamodb.endpoint, pool, **more)


def dynamodb_streams(conf: Conf, **more: int) -> Any:
    """``more``: as of ``dynamodb``."""
    return _client("dynamodbstreams", conf, conf.dynamodb.endpoint, 2, **more)


def sns(conf: Conf, pool: int = 10) -> Any:
    """Each call is tried once: whether a notice may be sent again is its sender's to decide."""
    return _client("sns", conf, conf.notify.sns_endpoint, pool, attempts=1)


def s3(conf: Conf, pool: int = 10) -> Any:
    return _client("s3", conf, conf.s3.endpoint, pool)


def managed_flink(conf: Conf) -> Any:
    """Amazon Managed Service for Apache Flink."""
    return _client("kinesisanalyticsv2", conf, conf.deploy.endpoint, 4)


def cloudwatch(conf: Conf) -> Any:
    return _client("cloudwatch", conf, conf.deploy.endpoint, 4)


def cloudwatch_logs(conf: Conf) -> Any:
    return _client("logs", conf, conf.deploy.endpoint, 4)


def cloudformation(conf: Conf) -> Any:
    return _client("cloudformation", conf, conf.deploy.endpoint, 2)


def _client(service: str, conf: Conf, endpoint: str | None, pool: int, **more: int) -> Any:
    if conf.local and endpoint is None:
        raise Unreachable(
            f"the local stack is not there, so there is no {service}: `tillstream up` starts it. For "
            "another environment set TILLSTREAM_ENV"
        )
    basic = conf.aws.credentials == "basic"
    return client(service, endpoint, conf.region, basic, pool, **more)


def client(
    service: str,
    endpoint: str | None,
    region: str,
    basic: bool,
    pool: int = 10,
    attempts: int = 5,
    read_timeout_s: int = 20,
) -> Any:
    """A boto3 client. ``basic``: with the local stack's credentials. ``pool``: connections at once."""
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=3,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=pool,
            # dynoxide names a stream's shard by its table, which may be shorter than AWS's names are.
            parameter_validation=service != "dynamodbstreams" or endpoint is None,
            # Checksums in trailers are not understood by every stand-in for S3.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        ),
        **(LOCAL_KEYS if basic else {}),
    )


def listening(conf: Conf, service: Literal["kinesis", "dynamodb", "s3"]) -> Any:
    """A boto3 client, after a look (3 s at most) whether anyone listens at the endpoint of conf.

    The client's own retries would take a minute to say the same.
    """
    client_of, endpoint = {
        "kinesis": (kinesis, conf.source.kinesis.endpoint),
        "dynamodb": (dynamodb, conf.dynamodb.endpoint),
        "s3": (s3, conf.s3.endpoint),
    }[service]
    if endpoint is not None:
        url = urlsplit(endpoint)
        address = (url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        try:
            socket.create_connection(address, timeout=3).close()
        except OSError as error:
            raise Unreachable(
                f"{service} at {endpoint} does not answer ({error}): start the local stack with "
                "`tillstream up`, or correct the endpoint in conf"
            ) from None
    return client_of(conf)
