"""What would change between two templates, and what CloudFormation would replace to change it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from tillstream.infra.names import Json

# By type: the properties that cannot be changed in place, or not always. A change of one makes a new, empty
# thing. CloudFormation's registry calls them createOnlyProperties, some of them conditional; a test compares.
REPLACED_BY: dict[str, tuple[str, ...]] = {
    "AWS::CloudWatch::Alarm": ("AlarmName",),
    "AWS::CloudWatch::Dashboard": ("DashboardName",),
    "AWS::DynamoDB::Table": ("ImportSourceSpecification", "KeySchema", "TableName"),
    "AWS::IAM::Role": ("Path", "RoleName"),
    "AWS::KMS::Alias": ("AliasName",),
    "AWS::KMS::Key": (),
    "AWS::Kinesis::Stream": ("Name",),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::Logs::LogStream": ("LogGroupName", "LogStreamName"),
    "AWS::S3::Bucket": ("BucketName", "BucketNamePrefix", "BucketNamespace"),
    "AWS::S3::BucketPolicy": ("Bucket",),
    "AWS::SNS::Topic": ("FifoTopic", "TopicName"),
    "AWS::SNS::TopicPolicy": (),
}
STATEFUL = {
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::Kinesis::Stream",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
}

What = Literal["add", "change", "replace", "remove"]


class Change(NamedTuple):
    """``properties``: those that differ."""

    what: What
    name: str
    type: str
    properties: tuple[str, ...] = ()

    @property
    def loses(self) -> bool:
        """Whether what the thing keeps would be gone, or in a thing that nobody uses any more."""
        return self.what in ("replace", "remove") and self.type in STATEFUL


def changes(before: Json, after: Json) -> list[Change]:
    """By logical id."""
    old, new = before.get("Resources", {}), after["Resources"]
    found = []
    for name in sorted({*old, *new}):
        if name not in old:
            found.append(Change("add", name, new[name]["Type"]))
        elif name not in new:
            found.append(Change("remove", name, old[name]["Type"]))
        elif old[name] != new[name]:
            found.append(_change(name, old[name], new[name]))
    return found


def _change(name: str, old: Json, new: Json) -> Change:
    kind = new["Type"]
    if old["Type"] != kind:
        return Change("replace", name, old["Type"], ("Type",))
    had, has = (one.get("Properties", {}) for one in (old, new))
    differ = tuple(sorted(one for one in {*had, *has} if had.get(one) != has.get(one)))
    what: What = "replace" if set(REPLACED_BY[kind]) & set(differ) else "change"
    others: Any = tuple(
        sorted(one for one in {*old, *new} - {"Properties"} if old.get(one) != new.get(one))
    )
    return Change(what, name, kind, differ + others)
