"""Clients of the dead-letter commands, made to give up within seconds: a person waits for them."""

from __future__ import annotations

import logging
import socket
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3

from tillstream.conf import Conf
from tillstream.connectors import clients
from tillstream.ops.dlq import DlqError

# Conf names Kafka's settings as the JVM does; these exist there only.
_JVM_ONLY = ("sasl.jaas.config", "sasl.client.callback.handler.class")


def aws_client(conf: Conf, service: Literal["kinesis", "s3"]) -> Any:
    """A boto3 client, after a look (3 s at most) whether anyone listens at the endpoint of conf.

    The client's own retries would take a minute to say the same.
    """
    endpoint = conf.s3.endpoint if service == "s3" else conf.source.kinesis.endpoint
    if conf.aws.credentials == "basic" and endpoint is None:
        raise DlqError(f"no {service} endpoint: start the local stack with `tillstream up`")
    if endpoint is not None:
        url = urlsplit(endpoint)
        address = (url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        try:
            socket.create_connection(address, timeout=3).close()
        except OSError as error:
            raise DlqError(
                f"{service} at {endpoint} does not answer ({error}): start the local stack with "
                "`tillstream up`, or correct the endpoint in conf"
            ) from None
    return clients.s3(conf) if service == "s3" else clients.kinesis(conf)


def kafka_settings(bootstrap: str | None, properties: dict[str, str]) -> dict[str, Any]:
    """Settings of a librdkafka client from the JVM-style ``properties`` of conf."""
    if not bootstrap:
        raise DlqError(
            "no Kafka address: start the local stack with `tillstream up`, or set kafka.bootstrap"
        )
    settings: dict[str, Any] = {
        name: value for name, value in properties.items() if name not in _JVM_ONLY
    }
    settings |= {
        "bootstrap.servers": bootstrap,
        "socket.connection.setup.timeout.ms": 3000,
        # Connection trouble is reported once, by the command, not by the library line by line.
        "log_level": 0,
        "logger": logging.getLogger("tillstream.kafka"),
        "error_cb": lambda error: None,
    }
    if settings.get("sasl.mechanism") == "AWS_MSK_IAM":
        settings["sasl.mechanism"] = "OAUTHBEARER"
        settings["oauth_cb"] = _msk_token
    return settings


def _msk_token(_: str) -> tuple[str, float]:
    """(token, expiry in s since the epoch) of the caller's AWS identity for MSK."""
    try:
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    except ImportError:
        raise DlqError(
            "AWS_MSK_IAM needs a signer: pip install aws-msk-iam-sasl-signer-python"
        ) from None
    region = boto3.session.Session().region_name
    token, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
    return token, expires_ms / 1000
