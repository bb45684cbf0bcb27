"""What things are called in the templates and on AWS.

A logical id is made of the thing's own id in the catalogue and of nothing else: CloudFormation replaces
what gets another one.
"""

from __future__ import annotations

import re
from typing import Any

from tillstream.catalog.entry import Job
from tillstream.catalog.resources import History, Table
from tillstream.conf import Conf

Json = dict[str, Any]
LOG_STREAM = "application"
CODE = "code"  # the bucket of code is <bucket>-code


def logical(*parts: str) -> str:
    """``logical("table", "fraud_cases")`` -> TableFraudCases."""
    words = [word for part in parts for word in re.split(r"[^A-Za-z0-9]+", part) if word]
    return "".join(word[0].upper() + word[1:] for word in words)


def sub(text: str) -> Json:
    """A text with ``${AWS::Region}`` and the like."""
    return {"Fn::Sub": text}


def ref(name: str) -> Json:
    return {"Ref": name}


def attribute(name: str, which: str = "Arn") -> Json:
    return {"Fn::GetAtt": [name, which]}


def exported(conf: Conf, what: str) -> str:
    """Name of an output that another stack imports: letters, digits and - are all that it may have."""
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{conf.deployment}-{what}")


def imported(conf: Conf, what: str) -> Json:
    return {"Fn::ImportValue": exported(conf, what)}


def application(conf: Conf, job: str) -> str:
    """The application's name in Amazon's service, as of the job's consumer group."""
    return conf.own_name(job)


def log_group(conf: Conf, job: str) -> str:
    return f"/aws/kinesis-analytics/{application(conf, job)}"


def code_bucket(conf: Conf) -> str:
    return f"{conf.s3.bucket}-{CODE}"


def code_prefix(job: str) -> str:
    """Where the job's application zips are in the bucket of code."""
    return f"{job}/"


def arn(service: str, rest: str) -> Json:
    """Of this account and region."""
    return sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{rest}")


def table_arn(conf: Conf, table: Table) -> Json:
    return arn("dynamodb", f"table/{conf.table(table)}")


def stream_arn(conf: Conf) -> Json:
    return arn("kinesis", f"stream/{conf.source.kinesis.stream}")


def bucket_arn(bucket: str, key: str = "") -> Json:
    return sub(f"arn:${{AWS::Partition}}:s3:::{bucket}{key}")


def objects_arn(conf: Conf, history: History) -> Json:
    return bucket_arn(conf.s3.bucket, f"/{conf.prefix(history)}/*")


def application_arn(conf: Conf, job: Job) -> Json:
    return arn("kinesisanalytics", f"application/{application(conf, job.name)}")


def kafka_arn(kind: str, name: str = "") -> Json:
    """``kind``: cluster, topic, group or transactional-id, of the cluster that the parameters name."""
    at = f"{kind}/${{KafkaName}}/${{KafkaUuid}}"
    return arn("kafka", f"{at}/{name}" if name else at)
