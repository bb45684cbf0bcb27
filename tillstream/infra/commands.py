"""``tillstream infra``: template, diff, policy, topics, snapshots, cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tillstream import catalog
from tillstream import conf as settings
from tillstream.catalog import tables as hot
from tillstream.catalog import topics as kafka
from tillstream.cli import tables
from tillstream.cli.numbers import Finite
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import now_ms
from tillstream.errors import Problem
from tillstream.infra import data, jobs, policy
from tillstream.infra.names import Json, exported

PARTS = ("data", "jobs")
STACK_POLICY = "stack-policy"
part_argument = click.argument("part", type=click.Choice(PARTS))


def written(part: str) -> Json:
    """The template of ``data`` or ``jobs`` for the settings of now."""
    conf = settings.load()
    if part == "data":
        return data.template(conf, hot.HOT)
    return jobs.template(conf, catalog.jobs())


def text(document: Json) -> str:
    return json.dumps(document, indent=1)


def stack_name(conf: settings.Conf, part: str) -> str:
    """The stack's usual name."""
    return exported(conf, f"tillstream-{part}")


@click.group()
def infra() -> None:
    """What the jobs need on AWS, from the catalogue and the settings.

    Without TILLSTREAM_ENV or --conf it is production's.
    """


@infra.command()
@click.argument("part", type=click.Choice((*PARTS, STACK_POLICY)))
def template(part: str) -> None:
    """Print a CloudFormation template.

    `data` is what keeps data: the stream, tables, buckets, keys. `jobs` is roles, logs, alarms, the
    dashboard; create it second. `stack-policy` keeps CloudFormation from replacing anything of `data`.
    """
    click.echo(text(data.stack_policy() if part == STACK_POLICY else written(part)))


@infra.command("kubernetes")
@click.argument("names", metavar="[JOB]...", nargs=-1)
@click.option(
    "--image",
    required=True,
    help="That of docker/Dockerfile, or one made from it, in your registry.",
)
def kubernetes_(names: tuple[str, ...], image: str) -> None:
    """Print manifests for the Flink Kubernetes Operator, of all jobs or these.

    A service account, its binding and a FlinkDeployment for each: `| kubectl apply -f -`.
    """
    import yaml

    from tillstream.infra import kubernetes

    conf = settings.load()
    chosen = [catalog.job(name) for name in names] or catalog.jobs()
    click.echo(yaml.safe_dump_all(kubernetes.manifests(conf, chosen, image), sort_keys=False))


@infra.command("diff")
@part_argument
@click.argument(
    "deployed", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option(
    "--stack", metavar="NAME", help="Of another name than <deployment>-tillstream-<part>."
)
def diff_(part: str, deployed: Path | None, stack: str | None) -> None:
    """What would change: against the stack on AWS, or a template in a file.

    Exit code 1 where something that keeps data would be replaced or removed.
    """
    from tillstream.infra import diff

    conf = settings.load()
    before = _read(deployed) if deployed else _deployed(conf, stack or stack_name(conf, part))
    found = diff.changes(before, written(part))
    if not found:
        tables.say("Nothing would change.")
        return
    table = Table(
        "", "resource", "type", Column("what differs", prose=True), Column("data", prose=True)
    )
    for one in found:
        lost = "is lost or left behind" if one.loses else ""
        table.add(one.what, one.name, one.type, ", ".join(one.properties), lost)
    tables.show(table)
    if any(one.loses for one in found):
        raise Problem(
            "something that keeps data would be replaced or removed: give it its old name back, or move its "
            "data first"
        )


def _read(file: Path) -> Json:
    try:
        found: Json = json.loads(file.read_text())
        found["Resources"]
    except (ValueError, LookupError, TypeError):
        raise Problem(f"{file} is not a template of `tillstream infra template`") from None
    return found


def _deployed(conf: settings.Conf, stack: str) -> Json:
    from botocore.exceptions import ClientError

    from tillstream.clients import aws

    client = aws.client("cloudformation", None, conf.region, basic=False)
    try:
        answer: dict[str, Any] = client.get_template(StackName=stack)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            raise Problem(
                f"there is no stack {stack} in {conf.region}: name it by --stack"
            ) from None
        raise
    body = answer["TemplateBody"]
    return dict(body) if isinstance(body, dict) else json.loads(body)


@infra.command("policy")
@click.argument("job")
@click.option(
    "--json", "as_json", is_flag=True, help="As IAM has it, with the template's functions."
)
def policy_(job: str, as_json: bool) -> None:
    """What a job's role may do, and what each permission is there for."""
    conf, entry = settings.load(), catalog.job(job)
    if as_json:
        click.echo(text(policy.document(conf, entry)))
        return
    table = Table("statement", Column("actions", prose=True), Column("because of", prose=True),
                  Column("on", below=True))  # fmt: skip
    for grant in policy.grants(conf, entry):
        on = " ".join(_shown(one) for one in grant.resources)
        table.add(grant.name, " ".join(grant.actions), ", ".join(grant.because), on)
    tables.show(table)


def _shown(resource: Json | str) -> str:
    if isinstance(resource, str):
        return resource
    (value,) = resource.values()
    return str(value)


@infra.command("topics")
@click.option("--apply", "do", is_flag=True, help="Make what is missing and set what differs.")
@click.option(
    "--grow", is_flag=True, help="More partitions too; keys move to other partitions then."
)
def topics_(do: bool, grow: bool) -> None:
    """Compare the Kafka topics of the catalogue with those of the cluster.

    Shows what would be done, unless --apply. Never deletes a topic, and never takes partitions away.
    """
    from tillstream.infra import kafka_topics

    conf = settings.load()
    cluster = kafka_topics.Cluster(conf)
    wanted = kafka_topics.wanted(conf, kafka.ALL)
    found = kafka_topics.steps(wanted, cluster.there(one.name for one in wanted))
    table = Table("topic", "", Column("differs", prose=True))
    for step in found:
        differs = ", ".join(
            f"{name} {now} should be {should}" for name, (now, should) in step.differs.items()
        )
        left = step.what == "grow" and not (grow and kafka_topics.grows(step))
        table.add(step.topic.name, "left as it is" if left else step.what, differs)
        if do and step.what != "fine":
            cluster.take(step, grow)
    tables.show(table)
    if not do and any(step.what != "fine" for step in found):
        tables.say("\nNothing was changed. --apply does it.")


@infra.command()
def snapshots() -> None:
    """Report to CloudWatch how old each application's newest snapshot is.

    Run it every hour at least: the alarm rings where nobody reports for three.
    """
    from tillstream.clients import aws
    from tillstream.infra import snapshots as figures

    conf = settings.load()
    flink = aws.client("kinesisanalyticsv2", None, conf.region, basic=False)
    found = figures.ages(flink, conf, catalog.names(), now_ms())
    figures.report(aws.client("cloudwatch", None, conf.region, basic=False), conf, found)
    table = Table(
        "job", Column("newest snapshot is old", right=True), Column("problem", prose=True)
    )
    for age in found:
        old = "" if age.seconds is None else f"{age.seconds / 3600:.1f} h"
        table.add(age.job, old, age.problem or ("" if old else "there is none"))
    tables.show(table)


@infra.command()
@click.option(
    "--tx-per-second", type=Finite(0, min_open=True), required=True, help="At the busiest time."
)
@click.option("--customers", type=click.IntRange(1), required=True)
@click.option("--stores", type=click.IntRange(1), required=True)
@click.option("--products", type=click.IntRange(1), default=30_000, show_default=True,
              help="Products per store.")  # fmt: skip
@click.option("--tx-per-day", type=Finite(0, min_open=True),
              help="On average; default: each customer visits once in eight days.")  # fmt: skip
@click.option("--region", help="Default: the region of the settings.")
@click.option("--months", type=click.IntRange(1, 600), default=12, show_default=True,
              help="Of files that are kept.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True)
def cost(
    tx_per_second: float, customers: int, stores: int, products: int, tx_per_day: float | None,
    region: str | None, months: int, as_json: bool,
) -> None:  # fmt: skip
    """What a shop's traffic costs on AWS in a month, in US dollars.

    From the quantities of `tillstream size` and a dated file of prices.
    """
    from tillstream.infra import cost as costs
    from tillstream.sizing.model import Shop

    conf = settings.load()
    prices = costs.load(region or conf.region)
    shop = Shop(tx_per_second, customers, stores, products, tx_per_day)
    found = costs.lines(shop, conf, catalog.jobs(), prices, months)
    if as_json:
        rows = [
            {"service": one.service, "what": one.what, "quantity": str(one.quantity),
             "per": one.price.per, "price": str(one.price.usd), "status": one.price.status,
             "source": one.price.source, "cost": str(one.usd)}
            for one in found
        ]  # fmt: skip
        answer = {"region": prices.region, "prices_as_of": prices.as_of, "currency": prices.currency,
                  "lines": rows, "total": str(costs.total(found))}  # fmt: skip
        click.echo(text(answer))
        return
    table = Table("service", Column("what", prose=True), Column("quantity", right=True),
                  Column("of", prose=True), Column("USD", right=True), "price is")  # fmt: skip
    for one in found:
        table.add(one.service, one.what, f"{one.quantity:,.1f}", one.price.per, f"{one.usd:,.2f}",
                  one.price.status)  # fmt: skip
    tables.show(table)
    sums: dict[str, Any] = {}
    for one in found:
        sums[one.service] = sums.get(one.service, 0) + one.usd
    tables.say("\n" + ", ".join(f"{service} {usd:,.2f}" for service, usd in sums.items()))
    tables.say(f"Together {costs.total(found):,.2f} {prices.currency} a month in {prices.region}, "
               f"prices as of {prices.as_of}")  # fmt: skip
    doubtful = costs.total(one for one in found if one.price.status == costs.UNVERIFIED)
    tables.say(f"Of that {doubtful:,.2f} by prices that nobody has verified: {costs.PRICES.name} says "
               "which, and how to put in your own\n\nAssumed:")  # fmt: skip
    for assumed in prices.assumed.values():
        tables.say(f"- {assumed['says'].format(**assumed)}")
