"""What KPUs cost in a month, by the prices of `tillstream infra`."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from tillstream.errors import Problem
from tillstream.infra import cost

GB_PER_KPU = 50  # running storage, of workers alone


def monthly_usd(kpus: int, region: str) -> Decimal | None:
    """``kpus``: with the one to orchestrate. To the cent; None where the region's prices are not known."""
    try:
        prices = cost.load(region)
    except Problem:
        return None
    hours = kpus * prices.assume("hours") * prices.prices["kpu_hour"].usd
    disk = max(kpus - 1, 0) * GB_PER_KPU * prices.prices["kpu_storage"].usd
    return (hours + disk).quantize(cost.CENT, ROUND_HALF_UP)
