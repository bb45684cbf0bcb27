"""tillstream package."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from tillstream import catalog
from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.cli.tables import Column, Table
from tillstream.package.archive import mib
from tillstream.package.build import Package, packer
from tillstream.package.settings import pack

LARGEST = 3  # parts that are named


@click.command()
@click.argument("names", metavar="[JOB]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every job.")
@click.option("--env", "environment", default=settings.PRODUCTION, show_default=True,
              help="Whose settings: conf/ENV.yaml, or that of $TILLSTREAM_CONF_DIR.")  # fmt: skip
@click.option("--conf", "pairs", metavar="KEY=VALUE", multiple=True,
              help="A setting as a property of the application, over those in the zip.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for the zips; default: packages/ENV where the jars are.")  # fmt: skip
def package(
    names: tuple[str, ...], every: bool, environment: str, pairs: tuple[str, ...], out: Path | None
) -> None:
    """A job as a zip for Amazon Managed Service for Apache Flink.

    Writes JOB.zip, the application's code, and JOB.properties.json, what CreateApplication takes as its
    EnvironmentProperties. The same release and settings give the same bytes. docs/deploy.md
    """
    chosen = catalog.names() if every else sorted(set(names))
    if not chosen:
        raise click.UsageError("name a job, or --all")
    for name in chosen:
        catalog.job(name)
    began = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - began:5.0f} s  {text}", err=True)

    folder = out or settings.own_folder() / "packages" / environment
    with tempfile.TemporaryDirectory() as aside:
        make = packer(pack(environment, pairs, Path(aside).resolve()), say)
        made = [make.package(name, folder) for name in chosen]
    _show(made)


def _show(made: list[Package]) -> None:
    table = Table("job", Column("size", right=True), Column("file", below=True),
                  Column("SHA-256", below=True))  # fmt: skip
    for one in made:
        table.add(one.job, mib(one.size), str(one.file), one.sha256)
    tables.console().print(table)
    largest = ", ".join(f"{name} {mib(size)}" for name, size in made[0].parts[:LARGEST])
    tables.say(f"\nlargest parts: {largest}")
    tables.say(f"run-time properties of each: {made[0].file.parent}/JOB.properties.json")
