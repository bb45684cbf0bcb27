"""The one command. Each area brings its own commands; they are imported only when called for."""

from __future__ import annotations

import importlib
from typing import Any

import click

# command -> (module, attribute, one line for --help)
COMMANDS = {
    "up": ("tillstream.local.commands", "up", "Start the local stack."),
    "status": ("tillstream.local.commands", "status", "What runs, where, how well."),
    "doctor": (
        "tillstream.local.commands",
        "doctor",
        "What is wrong on this machine, and the fix.",
    ),
    "logs": ("tillstream.local.commands", "logs", "Show a process's log."),
    "down": ("tillstream.local.commands", "down", "Stop the local stack."),
    "job": ("tillstream.cluster.job_commands", "job", "Submit, list, stop, restore, cancel jobs."),
    "savepoint": (
        "tillstream.cluster.savepoint_commands",
        "savepoint",
        "Take, list, verify and prune savepoints.",
    ),
    "replay": (
        "tillstream.replay.commands",
        "replay",
        "Back to a savepoint and forward again.",
    ),
    "history": (
        "tillstream.history.commands",
        "history",
        "Parquet files on S3: list them, make small ones large.",
    ),
    "state": ("tillstream.cluster.state_commands", "state", "Bytes a key, from a savepoint."),
    "sim": ("tillstream.sim.commands", "sim", "Send simulated till transactions."),
    "check": ("tillstream.check.commands", "check", "Recompute every balance and compare."),
    "stock": ("tillstream.stock.commands", "stock", "What is there of a product in a store."),
    "streams": ("tillstream.stock.commands", "streams", "Corrections made in the stock table."),
    "dlq": ("tillstream.dead_letters.commands", "dlq", "List, show and redrive dead letters."),
    "shortages": (
        "tillstream.shortage.commands",
        "shortages",
        "Shelves that run out or are empty, and why.",
    ),
    "rules": (
        "tillstream.fraud.rules_commands",
        "rules",
        "Check, push, list, compare and try rule sets of the fraud job.",
    ),
    "fraud": ("tillstream.fraud.commands", "fraud", "Cases to review, and verdicts."),
    "explain": ("tillstream.fraud.commands", "explain", "Why a transaction was judged so."),
    "notify": (
        "tillstream.notify.commands",
        "notify",
        "Send notices once; decide what is uncertain.",
    ),
    "bench": (
        "tillstream.cli.bench",
        "bench",
        "Every job's speed here, beside what else could do it.",
    ),
    "size": ("tillstream.sizing.commands", "size", "What a shop's traffic takes on AWS."),
    "demo": ("tillstream.demo.commands", "demo", "The main job, live, with its proof."),
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, spec[2]) for name, spec in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main(**_: Any) -> None:
    """Tillstream: till transactions to loyalty balances, archives and live views, on Apache Flink."""
