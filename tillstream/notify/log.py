"""The log of sent notices: a DynamoDB table with one item a notice_id, which is claimed before sending.

    (no item) --claim--> claimed --sent--> sent
                         claimed --unsure--> uncertain      it may have been sent
                         claimed --refused--> failed        it was not sent, and will not be by itself
                         claimed --throttled--> waiting     it was not sent; whoever reads it next claims it
    waiting --claim--> claimed
    uncertain, failed, expired, waiting, an old claim --resend--> claimed   a person decided so
                                                      --dismiss--> dismissed

Whoever crashes between claim and outcome leaves a claim; once it is older than the lease it counts as
uncertain, for nobody can know. What waits keeps its item: a notifier that read it meanwhile, and left it to
whoever had claimed it, has committed its offset, so a person may have to send it. Nothing leads out of
``sent``. ``open`` is on every item a person may have to look at and makes the index over them small.
``expires_at`` (s) is for the table's TTL.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from tillstream.catalog import tables
from tillstream.cli.times import now_ms
from tillstream.clients import aws as clients
from tillstream.clients import items
from tillstream.conf import Conf
from tillstream.domain.notice import Notice
from tillstream.errors import Problem

INDEX = "open-notices"
DAY_S = 86_400
DECIDABLE = ("uncertain", "failed", "expired", "waiting")
# A condition: nobody took it over meanwhile. It still holds where a change whose answer was lost is tried
# again by the client.
OURS = "#token = :token"


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
        """Whether it was claimed by someone and does not wait for the next who reads it."""
        found = items.get(self._client, self._table, notice_id=notice_id)
        return found is not None and found["status"] != "waiting"

    def claim(self, notice: Notice) -> str | None:
        """A token if the notice is now ours to send, None if it is or was someone's already."""
        token = uuid.uuid4().hex
        return token if self._put_new(notice, "claimed", token) else None

    def expire(self, notice: Notice) -> None:
        """Notes a notice as too old to be sent by itself; no effect if it is known."""
        self._put_new(notice, "expired", uuid.uuid4().hex)

    def sent(self, notice_id: str, token: str, receipt: str) -> None:
        """It was sent. The content is dropped: the id is all that has to be remembered."""
        self._change_ours(
            notice_id,
            "SET #status = :sent, sent_at_ms = :now, receipt = :receipt REMOVE #open, notice",
            {"sent": "sent", "now": now_ms(), "receipt": receipt, "token": token},
        )

    def stuck(self, notice_id: str, token: str, status: str, detail: str) -> str:
        """It is ``uncertain`` or ``failed``, and a person has to decide; or ``waiting``. Returns which."""
        said = {"status": status, "detail": detail[:500], "token": token}
        self._change_ours(notice_id, "SET #status = :status, detail = :detail", said)
        return status

    def renew(self, notice_id: str, token: str) -> bool:
        """The claim's lease begins again. False where a person has taken it over: it is not ours to send."""
        values = {"now": now_ms(), "token": token}
        return self._change_ours(notice_id, "SET claimed_at_ms = :now", values)

    # -- a person ----------------------------------------------------------------------------------

    def open(self) -> Iterator[Logged]:
        """What is not sent: oldest first. A claim within its lease shows as ``claimed``."""
        waiting = items.query(self._client, self._table, "open", "yes", IndexName=INDEX)
        return map(self._logged, waiting)

    def get(self, notice_id: str) -> Logged:
        """Raises NotThere."""
        item = items.get(self._client, self._table, notice_id=notice_id)
        if item is None:
            raise NotThere(f"no notice {notice_id} was ever claimed: `tillstream notify list`")
        return self._logged(item)

    def decide(self, notice_id: str, decision: str, by: str) -> tuple[Notice, str]:
        """Takes it for ``decision``, ``claimed`` (to be sent by us now) or ``dismissed``.

        Returns the notice and our token. Raises NotThere when it was sent, or is being sent.
        """
        found = self.get(notice_id)
        if found.status not in DECIDABLE or found.notice is None:
            raise NotThere(f"{notice_id} is {found.status}: there is nothing to decide")
        token = uuid.uuid4().hex
        change = "SET #status = :to, #token = :token, claimed_at_ms = :now, decided_by = :by"
        if decision == "dismissed":
            change += " REMOVE #open"
        # As it was when it was looked at: of two who decide, one does.
        unchanged = "claimed_at_ms = :then AND #status <> :sent AND #status <> :dismissed"
        values = {"to": decision, "token": token, "now": now_ms(), "by": by}
        values |= {"then": found.claimed_at_ms, "sent": "sent", "dismissed": "dismissed"}
        try:
            self._update(notice_id, change, unchanged, values)
        except self._client.exceptions.ConditionalCheckFailedException:
            raise NotThere(f"{notice_id} was decided by someone else a moment ago") from None
        return found.notice, token

    # -- inside ------------------------------------------------------------------------------------

    def _at(self, notice_id: str) -> dict[str, Any]:
        return {"TableName": self._table, "Key": items.typed({"notice_id": notice_id})}

    def _update(self, notice_id: str, change: str, condition: str, values: dict[str, Any]) -> None:
        texts = {"UpdateExpression": change, "ConditionExpression": condition}
        self._client.update_item(**self._at(notice_id), **items.expressions(values, **texts))

    def _change_ours(self, notice_id: str, change: str, values: dict[str, Any]) -> bool:
        """Whether it was still ours. Where a person decided meanwhile, what they decided stands."""
        try:
            self._update(notice_id, change, OURS, values)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _put_new(self, notice: Notice, status: str, token: str) -> bool:
        """Whether there was no item of it before, or one that waits. A put whose answer was lost is
        tried again by the client: what it finds then is our own, by its token."""
        at_ms = now_ms()
        item = {
            "notice_id": notice.notice_id,
            "status": status,
            "open": "yes",
            "token": token,
            "kind": notice.kind,
            "claimed_at_ms": at_ms,
            "expires_at": at_ms // 1000 + self._remember_s,
            "notice": msgspec.json.encode(notice).decode(),
        }
        new = "attribute_not_exists(notice_id) OR #token = :token OR #status = :waiting"
        values = {"token": token, "waiting": "waiting"}
        only_new = items.expressions(values, ConditionExpression=new)
        try:
            self._client.put_item(TableName=self._table, Item=items.typed(item), **only_new)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _logged(self, item: dict[str, Any]) -> Logged:
        status, detail, claimed_at_ms = (
            item["status"],
            item.get("detail", ""),
            item["claimed_at_ms"],
        )
        if status == "claimed" and claimed_at_ms < now_ms() - self._lease_ms:
            status, detail = "uncertain", "who claimed it never said what became of it"
        content = item.get("notice")
        notice = msgspec.json.decode(content, type=Notice) if content else None
        by = item.get("decided_by", "")
        return Logged(item["notice_id"], status, notice, claimed_at_ms, detail, by)
