"""Cases about staff in DynamoDB: the job opens them, a person closes them."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from tillstream.catalog import tables
from tillstream.cli.times import now_ms
from tillstream.clients import aws as clients
from tillstream.clients import items
from tillstream.conf import Conf
from tillstream.fraud.cases import CaseError

OPEN = "open-staff-cases"


class StaffCases:
    """Raises botocore's errors."""

    def __init__(self, conf: Conf) -> None:
        self.table = conf.table(tables.STAFF_CASES)
        self._client = clients.dynamodb(conf)

    def open(self, limit: int) -> list[dict[str, Any]]:
        """Open cases, the oldest first."""
        return items.oldest(self._client, self.table, OPEN, limit)

    def get(self, case_id: str) -> dict[str, Any]:
        """Raises CaseError if there is none."""
        case = items.get(self._client, self.table, case_id=case_id)
        if case is None:
            raise CaseError(f"no case {case_id}: `tillstream fraud staff` lists them")
        return case

    def close(self, case_id: str, by: str, note: str) -> dict[str, Any]:
        """Closed for good: a replay writes older versions, which change nothing. Gives the case as it is
        then. Raises CaseError where there is none, or it was closed already."""
        values = {"closed": "closed", "by": by, "note": note, "now": now_ms(), "open": "open"}
        changed = items.expressions(
            values,
            UpdateExpression="SET #status = :closed, #closed_by = :by, #note = :note, "
            "#version = :now, #closed_at_ms = :now REMOVE #open",
            ConditionExpression="#status = :open",
        )
        key = items.typed({"case_id": case_id})
        try:
            self._client.update_item(TableName=self.table, Key=key, **changed)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            case = self.get(case_id)
            raise CaseError(f"case {case_id} was closed by {case.get('closed_by', '?')}") from None
        return self.get(case_id)
