"""A stage that is shown the orders about the assortment."""

from __future__ import annotations

from collections.abc import Mapping

from pyflink.datastream import RuntimeContext

from tillstream.domain.envelope import unseal
from tillstream.domain.stock import assortment
from tillstream.domain.stock.assortment import Range
from tillstream.domain.transaction import InvalidTransaction
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.engine import subtask_of


class RangeOrders(BatchedStage):
    """Its broadcast input: enveloped orders. ``range``: those that hold or will. ``countries``: of stores."""

    countries: Mapping[int, str]

    def start(self, runtime_context: RuntimeContext) -> None:
        self.subtask, _ = subtask_of(runtime_context)
        self.range = Range(self.countries)

    def control(self, value: bytes, restored: bool, out: Outputs) -> None:
        envelope = unseal(value)
        try:
            order = assortment.parse(envelope.raw)
            # Of what was kept nothing is left out: in which order it is shown again is not known.
            orders = self.range.after(order, None if restored else envelope.arrived_ms)
        except InvalidTransaction as error:
            if restored:
                raise
            if self.subtask == 0:
                self.refuse(envelope, "validate", error.reason, error.message, out)
            return
        if orders is None:
            return
        gone = self.range.put(order.key, orders)
        if not restored:
            out.keep(order.name, value)
            for name in gone:
                out.keep(name, None)
