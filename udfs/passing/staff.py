"""What goes to the two stages about staff: a line with the next key, then an `Act` or a `Finding` in msgpack.

Nothing here outlives a job: it is between two stages, never in a savepoint.
"""

from __future__ import annotations

import msgspec

from tillstream.domain.staff import Act, Finding, cashier_key

STAFF = "staff"  # the side output

_encode = msgspec.msgpack.Encoder().encode
read_act = msgspec.msgpack.Decoder(Act).decode
read_finding = msgspec.msgpack.Decoder(Finding).decode


def to_cashier(act: Act) -> bytes:
    return b"%b\n%b" % (cashier_key(act).encode(), _encode(act))


def to_store(finding: Finding) -> bytes:
    return b"%d\n%b" % (finding.act.store, _encode(finding))
