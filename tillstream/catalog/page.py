"""The catalogue as a page of docs: ``python -m tillstream.catalog.page`` writes docs/catalogue.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tillstream import catalog
from tillstream.catalog import tables, topics
from tillstream.catalog.entry import Job
from tillstream.catalog.resources import History, Topic

_OWN = topics.TRANSACTIONS  # what jobs read without a word in `reads`
PAGE = Path(__file__).resolve().parents[2] / "docs" / "catalogue.md"
HEAD = """# The catalogue

Written by `python -m tillstream.catalog.page` from what the jobs declare (`jobs/<job>.py`) and from
`tillstream/catalog/`. `tillstream up` creates what is listed here, a submission checks what its job
lists, a replay sets aside the histories of its job. Change the declarations, not this page.
"""


def page() -> str:
    """All of docs/catalogue.md."""
    jobs = catalog.jobs()
    return "\n".join(
        (
            HEAD,
            "## Jobs\n",
            _table(
                ("job", "reads", "writes to Kafka", "to DynamoDB", "to S3", "a replay"),
                (_job(job) for job in jobs),
            ),
            "## Topics\n",
            _table(
                ("topic", "setting `kafka.topics.`", "keyed by", "contract", "written by", "read by"),
                (_topic(topic, jobs) for topic in topics.ALL),
            ),
            "## Tables\n",
            _table(
                ("table", "setting `dynamodb.tables.`", "key", "index", "expires by", "changes"),
                (
                    (
                        f"`{t.default}`", t.id, _names(name for name, _ in t.key),
                        f"`{t.index.name}`" if t.index else "", f"`{t.ttl}`" if t.ttl else "",
                        "streamed" if t.streamed else "",
                    )
                    for t in tables.HOT
                ),
            ),
            "## Histories\n",
            _table(
                (
                    "prefix", "setting `s3.prefixes.`", "folders by", "a row is the same by",
                    "written by",
                ),
                (
                    (
                        f"`{h.default}`", h.id,
                        _names(filter(None, (h.date, h.region))),
                        _names(h.identity) or "nothing: rows are parts of sums",
                        _writers(h, jobs),
                    )
                    for h in tables.HISTORIES
                ),
            ),
            "## Keyed state\n",
            _table(
                ("job", "operator", "state", "codec", "one for each", "keys at full scale", "life"),
                (
                    (
                        s.job, f"`{s.uid}`", f"`{s.name}`",
                        f"{s.codec.name} v{s.codec.current}" if s.codec else "none",
                        s.key, f"{s.keys:,}", s.life,
                    )
                    for job in jobs for s in job.states
                ),
            ),
        )
    )  # fmt: skip


def _job(job: Job) -> tuple[str, ...]:
    own = "" if not job.transactions else "what tills send" if job.raw else _names([_OWN.default])
    read = ", ".join(filter(None, (own, _names(topic.default for topic in job.reads))))
    written = [one for one in job.writes if isinstance(one, Topic)]
    again = "is refused: its rows are parts of sums" if job.sums else "sets rows aside by id"
    return (
        job.name, read, ", ".join(f"`{t.default}` ({t.guarantee})" for t in written),
        _names(t.default for t in job.tables), _names(h.default for h in job.histories),
        again if job.set_aside else "has no history to set aside",
    )  # fmt: skip


def _topic(topic: Topic, jobs: list[Job]) -> tuple[str, ...]:
    def those(listed: str) -> str:
        return ", ".join(j.name for j in jobs if topic.id in [r.id for r in getattr(j, listed)
                                                              if isinstance(r, Topic)])  # fmt: skip

    reads = those("reads")
    if topic == _OWN:
        reads = ", ".join(job.name for job in jobs if job.transactions and not job.raw)
    return (
        f"`{topic.default}`" + (", kept for ever" if topic.kept else ""), topic.id,
        f"`{topic.key}`", f"`{topic.contract}`", those("writes"), reads,
    )  # fmt: skip


def _writers(history: History, jobs: list[Job]) -> str:
    writers = [job.name for job in jobs if history.id in [one.id for one in job.writes]]
    return ", ".join(writers) or "0.1.0; it is only read now"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"written: {PAGE}")
