"""What goes wrong outside the code: one base, shown by every command as a line that names the fix."""

from __future__ import annotations

from typing import IO, Any

import click


class Problem(click.ClickException):
    """Something a person can act on: the message says what is wrong and what to do.

    Raised anywhere below a command it ends the command with ``exit_code`` and its lines on stderr.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.notes: list[str] = []  # shown after the message

    def lines(self) -> list[str]:
        """What is shown, each as a line of its own."""
        return [f"error: {self.message}"]

    def show(self, file: IO[Any] | None = None) -> None:
        for line in (*self.lines(), *self.notes):
            click.echo(line, file=file, err=file is None)


class Problems(Problem):
    """Several at once: a line for each, exit code 2."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def lines(self) -> list[str]:
        return [f"error: {problem}" for problem in self.problems]


class Unreachable(Problem):
    """A broker, a cluster, a table or a bucket does not answer, or has not what was asked for."""
