"""The one command. Each room brings its own commands; they are imported only when called for."""

from __future__ import annotations

import importlib
from typing import Any

import click

from tillstream.cli.errors import in_one_line

# Theme of --help -> rooms whose COMMANDS (in their __init__.py) it lists, in this order.
THEMES = {
    "The local stack": ("local", "demo"),
    "Jobs and their state": ("cluster", "replay"),
    "On Amazon's service": ("package", "deploy", "infra"),
    "Data": ("till", "sim", "intake", "check", "dead_letters", "history"),
    "Questions and decisions": ("stock", "shortage", "fraud", "notify"),
    "Measuring": ("sizing", "chaos"),
}


def offered(room: str) -> dict[str, tuple[str, str]]:
    """What a room offers: command -> (module in the room, one line for --help)."""
    return importlib.import_module(f"tillstream.{room}").COMMANDS


class RoomsGroup(click.Group):
    """The commands of all rooms; whatever fails outside the code ends in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for rooms in THEMES.values() for room in rooms for name in offered(room)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for room in (room for rooms in THEMES.values() for room in rooms):
            if cmd_name in offered(room):
                module = importlib.import_module(f"tillstream.{room}.{offered(room)[cmd_name][0]}")
                return getattr(module, cmd_name)
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, self.list_commands(ctx)))
        for theme, rooms in THEMES.items():
            with formatter.section(theme):
                formatter.write_dl(
                    [(f"{name:<{widest}}", line) for room in rooms
                     for name, (_, line) in offered(room).items()]
                )  # fmt: skip

    def invoke(self, ctx: click.Context) -> Any:
        with in_one_line():
            return super().invoke(ctx)


@click.command(cls=RoomsGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main(**_: Any) -> None:
    """Tillstream: till transactions to loyalty balances, archives and live views, on Apache Flink."""
