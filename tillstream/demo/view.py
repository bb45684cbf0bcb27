"""The live view: one screen, drawn from figures alone."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from tillstream.cli.sizes import money
from tillstream.cli.tables import Column, Table
from tillstream.demo.watch import Figures, Rate

OUTCOME_STYLE = {"posted": "green", "settled": "green", "redemption_refused": "yellow"}


class View:
    """Draws ``figures`` with what was sent so far; keeps the rates."""

    def __init__(self, figures: Figures, goal: int, web: str) -> None:
        self._figures = figures
        self._goal = goal
        self._web = web
        self._rates: dict[str, Rate] = {}

    def draw(self, sent: int) -> RenderableType:
        """The whole screen. ``sent``: records handed to Kinesis."""
        return Group(self._flow(sent), self._events(), self._dead_letters())

    def line(self, sent: int) -> str:
        """The same in one line, for output that is no terminal."""
        jobs = ", ".join(
            f"{job.name} {job.state} {job.read:,} read, {job.checkpoints} checkpoints"
            for job in self._figures.jobs.values()
        )
        figures = self._figures
        return (
            f"sent {sent:,} of {self._goal:,}; {jobs}; {figures.events:,} events, "
            f"{len(figures.dead_letters):,} dead letters"
        )

    def _rate(self, name: str, count: int) -> str:
        return f"{self._rates.setdefault(name, Rate())(count):,.0f}/s"

    def _flow(self, sent: int) -> RenderableType:
        numbers = ("records", "rate", "lag", "checkpoints", "last took")
        table = Table("", "state", *(Column(name, right=True) for name in numbers))
        share = f"{sent / self._goal:.0%}" if self._goal else ""
        table.add("tills → Kinesis", share, f"{sent:,}", self._rate("in", sent), "", "", "")
        for job in self._figures.jobs.values():
            table.add(
                f"{job.name} job",
                Text(job.state, style="green" if job.state == "running" else "red"),
                f"{job.read:,}",
                self._rate(job.name, job.read),
                f"{self._figures.waiting(job, sent):,}",
                f"{job.checkpoints}" + (f" ({job.failures} failed)" if job.failures else ""),
                f"{job.checkpoint_ms} ms" if job.checkpoint_ms else "",
            )
        events = self._figures.events
        table.add("loyalty events", "", f"{events:,}", self._rate("out", events), "", "", "")
        return Panel(table, title="Tillstream", subtitle=f"Flink: {self._web}")

    def _events(self) -> RenderableType:
        numbers = (Column(name, right=True) for name in ("paid", "points", "balance"))
        table = Table("customer", Column("transaction", least=True), "", *numbers, "outcome")
        for event in list(self._figures.last_events)[::-1]:
            outcome = event["reason"] or event["outcome"]
            table.add(
                event["customer_id"],
                event["transaction_id"],
                event["kind"],
                money(event["paid_cents"], "ZAR"),
                f"{event['delta']:+d}",
                f"{event['balance']}",
                Text(outcome, style=OUTCOME_STYLE.get(event["outcome"], "cyan")),
            )
        return Panel(table, title="last loyalty events")

    def _dead_letters(self) -> RenderableType:
        lines = [Text(f"{reason}  {origin}") for reason, origin in self._figures.last_dead_letters]
        return Panel(
            Group(*lines) if lines else Text("none", style="dim"),
            title=f"dead letters: {len(self._figures.dead_letters):,}",
        )
