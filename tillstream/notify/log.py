"""The log of sent notices: a DynamoDB table with one item a notice_id, which is claimed before sending.

    (no item) --claim--> claimed --sent--> sent
                         claimed --unsure--> uncertain      it may have been sent
                         claimed --refused--> failed        it was not sent, and will not be by itself
                         claimed --release--> (no item)     it was not sent, and may be tried again
    uncertain, failed, expired, an old claim --resend--> claimed   a person decided so
                                             --dismiss--> dismissed

Whoever crashes between claim and outcome leaves a claim; once it is older than the lease it counts as
uncertain, for nobody can know. Nothing leads out of ``sent``. ``open`` is on every item a person may
have to look at and makes the index over them small. ``expires_at`` (s) is for the table's TTL.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from tillstream.catalog import tables
from tillstream.cli.times import now_ms
from tillstream.clients import aws as clients
from tillstream.conf import Conf
from tillstream.domain.notice import Notice
from tillstream.errors import Problem

INDEX = "open-notices"
DAY_S = 86_400
DECIDABLE = ("uncertain", "failed", "expired")


class Logged(NamedTuple):
    """One item. ``status`` is as a reader sees it: a claim beyond its lease is ``uncertain``."""

    notice_id: str
    status: str
    notice: Notice | None
    claimed_at_ms: int
    detail: str
    decided_by: str


class NotThere(Problem):
    """No such notice, or not one a person may decide on; the message says which."""


class SentLog:
    """The table of one deployment. Every method may raise botocore's errors."""

    def __init__(self, conf: Conf, client: Any = None) -> None:
        self._client = client or clients.dynamodb(conf, pool=conf.notify.workers + 2)
        self._table = conf.table(tables.SENT_NOTICES)
        self._lease_ms = conf.notify.lease_s * 1000
        self._remember_s = conf.notify.remember_days * DAY_S

    # -- the notifier ------------------------------------------------------------------------------

    def is_known(self, notice_id: str) -> bool:
        """Whether there is an item, by a read that may be a moment behind: ``claim`` decides."""
        answer = self._client.get_item(**self._at(notice_id), ProjectionExpression="notice_id")
        return "Item" in answer

    def claim(self, notice: Notice) -> str | None:
        """A token if the notice is now ours to send, None if it is or was someone's already."""
        token = uuid.uuid4().hex
        return token if self._put_new(notice, "claimed", token) else None

    def expire(self, notice: Notice) -> None:
        """Notes a notice as too old to be sent by itself; no effect if it is known."""
        self._put_new(notice, "expired", uuid.uuid4().hex)

    def sent(self, notice_id: str, token: str, receipt: str) -> None:
        """It was sent. The content is dropped: the id is all that has to be remembered."""
        self._client.update_item(
            **self._at(notice_id),
            UpdateExpression="SET #s = :sent, sent_at_ms = :now, receipt = :receipt REMOVE #o, notice",
            ConditionExpression="#t = :token",
            ExpressionAttributeNames={"#s": "status", "#o": "open", "#t": "token"},
            ExpressionAttributeValues={
                ":sent": {"S": "sent"},
                ":now": {"N": str(now_ms())},
                ":receipt": {"S": receipt},
                ":token": {"S": token},
            },
        )

    def stuck(self, notice_id: str, token: str, status: str, detail: str) -> None:
        """It is ``uncertain`` or ``failed``; a person has to decide."""
        self._client.update_item(
            **self._at(notice_id),
            UpdateExpression="SET #s = :status, detail = :detail",
            ConditionExpression="#t = :token AND #s = :claimed",
            ExpressionAttributeNames={"#s": "status", "#t": "token"},
            ExpressionAttributeValues={
                ":status": {"S": status},
                ":detail": {"S": detail[:500]},
                ":token": {"S": token},
                ":claimed": {"S": "claimed"},
            },
        )

    def release(self, notice_id: str, token: str) -> None:
        """It was certainly not sent: as if it had never been claimed."""
        self._client.delete_item(
            **self._at(notice_id),
            ConditionExpression="#t = :token AND #s = :claimed",
            ExpressionAttributeNames={"#s": "status", "#t": "token"},
            ExpressionAttributeValues={":token": {"S": token}, ":claimed": {"S": "claimed"}},
        )

    # -- a person ----------------------------------------------------------------------------------

    def open(self) -> Iterator[Logged]:
        """What is not sent: oldest first. A claim within its lease shows as ``claimed``."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=INDEX,
            KeyConditionExpression="#o = :yes",
            ExpressionAttributeNames={"#o": "open"},
            ExpressionAttributeValues={":yes": {"S": "yes"}},
        )
        for page in pages:
            yield from map(self._logged, page["Items"])

    def get(self, notice_id: str) -> Logged:
        """Raises NotThere."""
        answer = self._client.get_item(**self._at(notice_id), ConsistentRead=True)
        if "Item" not in answer:
            raise NotThere(f"no notice {notice_id} was ever claimed: `tillstream notify list`")
        return self._logged(answer["Item"])

    def decide(self, notice_id: str, decision: str, by: str) -> tuple[Notice, str]:
        """Takes it for ``decision``, ``claimed`` (to be sent by us now) or ``dismissed``.

        Returns the notice and our token. Raises NotThere when it was sent, or is being sent.
        """
        found = self.get(notice_id)
        if found.status not in DECIDABLE or found.notice is None:
            raise NotThere(f"{notice_id} is {found.status}: there is nothing to decide")
        token = uuid.uuid4().hex
        names = {"#s": "status", "#t": "token"}
        if decision == "dismissed":
            names["#o"] = "open"
        try:
            self._client.update_item(
                **self._at(notice_id),
                UpdateExpression="SET #s = :to, #t = :token, claimed_at_ms = :now, decided_by = :by"
                + (" REMOVE #o" if decision == "dismissed" else ""),
                # As it was when it was looked at: of two who decide, one does.
                ConditionExpression="claimed_at_ms = :then AND #s <> :sent AND #s <> :dismissed",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={
                    ":to": {"S": decision},
                    ":token": {"S": token},
                    ":now": {"N": str(now_ms())},
                    ":by": {"S": by},
                    ":then": {"N": str(found.claimed_at_ms)},
                    ":sent": {"S": "sent"},
                    ":dismissed": {"S": "dismissed"},
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise NotThere(f"{notice_id} was decided by someone else a moment ago") from None
        return found.notice, token

    # -- inside ------------------------------------------------------------------------------------

    def _at(self, notice_id: str) -> dict[str, Any]:
        return {"TableName": self._table, "Key": {"notice_id": {"S": notice_id}}}

    def _put_new(self, notice: Notice, status: str, token: str) -> bool:
        """Whether there was no item of it before. A put whose answer was lost is tried again by the
        client: what it finds then is our own, by its token."""
        at_ms = now_ms()
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "notice_id": {"S": notice.notice_id},
                    "status": {"S": status},
                    "open": {"S": "yes"},
                    "token": {"S": token},
                    "kind": {"S": notice.kind},
                    "claimed_at_ms": {"N": str(at_ms)},
                    "expires_at": {"N": str(at_ms // 1000 + self._remember_s)},
                    "notice": {"S": msgspec.json.encode(notice).decode()},
                },
                ConditionExpression="attribute_not_exists(notice_id) OR #t = :token",
                ExpressionAttributeNames={"#t": "token"},
                ExpressionAttributeValues={":token": {"S": token}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _logged(self, item: dict[str, Any]) -> Logged:
        def text(name: str) -> str:
            return item.get(name, {}).get("S", "")

        status, claimed_at_ms = text("status"), int(item["claimed_at_ms"]["N"])
        detail = text("detail")
        if status == "claimed" and claimed_at_ms < now_ms() - self._lease_ms:
            status, detail = "uncertain", "who claimed it never said what became of it"
        content = text("notice")
        notice = msgspec.json.decode(content, type=Notice) if content else None
        return Logged(text("notice_id"), status, notice, claimed_at_ms, detail, text("decided_by"))
