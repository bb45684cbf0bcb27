"""The loyalty sum in Pathway: run by benchmarks/peers/run.py in an environment of its own.

Reading, parsing and summing are expressions, so its engine does them and no Python runs for a record;
the count of records is another expression. State is kept by operator, its documentation's fastest way, where
a licence key is set (PATHWAY_LICENSE_KEY), and without one by its input, as it may then. One thread.
"""

import os

import pathway as pw
from peer import BROKERS, FOLDER, TOPIC


class Sale(pw.Schema):
    customer_id: str | None = pw.column_definition(default_value=None)
    total_cents: int


def tell(key, row, time, is_addition):
    if is_addition:
        print("seen", row["count"], flush=True)


def main():
    sales = pw.io.kafka.read(
        {
            "bootstrap.servers": BROKERS,
            "group.id": f"pathway-{os.getpid()}",
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": "4194304",
        },
        topic=TOPIC, format="json", schema=Sale, autocommit_duration_ms=500, name="tills",
        max_backlog_size=50_000,
    )  # fmt: skip
    known = sales.filter(pw.this.customer_id.is_not_none())
    points = known.groupby(pw.this.customer_id).reduce(
        pw.this.customer_id, points=pw.reducers.sum(pw.this.total_cents // 1000)
    )
    pw.io.null.write(points)
    pw.io.subscribe(sales.reduce(count=pw.reducers.count()), on_change=tell, name="count")
    state = pw.persistence.Config(
        pw.persistence.Backend.filesystem(FOLDER),
        persistence_mode=getattr(pw.PersistenceMode, os.environ["PEER_MODE"]),
    )
    pw.run(persistence_config=state, monitoring_level=pw.MonitoringLevel.NONE)


if __name__ == "__main__":
    main()
