"""Every release's savepoints restore into today's jobs, with every balance; and what would lose them
is found here, with a word on what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.savepoints import releases
from tests.support.shop import Shop
from tests.support.wait import wait_for
from tillstream.check.platform import Platform
from tillstream.cluster.local import LocalCluster
from tillstream.cluster.protocol import JobError
from tillstream.cluster.restoring import advice
from tillstream.cluster.state_report import report, values
from tillstream.local.stack import Stack
from tillstream.state_schemas.keyed import loyalty_account
from tillstream.state_schemas.keyed.versioned import UnknownVersion

JOBS = Path(__file__).parent / "jobs"
LOYALTY = [release for release, job in releases.releases() if job == "loyalty"]
ARCHIVE = [release for release, job in releases.releases() if job == "archive"]
TO_DO = (
    "{job} of release {release} does not go on from its savepoint with the same {what}. If a uid, a "
    "key, a state's name or its bytes changed: put it back, or add a state version with an upgrade "
    "(docs/state.md). If the rules changed on purpose: say so in CHANGELOG and in the check's rules. "
)


@pytest.fixture(scope="module")
def sent(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The topic as it was when the savepoints were made, and what came after; all of it through the door."""
    stack.up()
    to = releases.shop(stack, tmp_path_factory.mktemp("history"), "history-sent")
    to.submit("intake")
    pass_on(to, "before", "after")


def pass_on(to: Shop, *parts: str) -> None:
    """Sends them, has the front door read all, and stops it with a savepoint."""
    for part in parts:
        releases.send(to, part)
    to.wait_until_read("intake")
    to.run("job", "stop", "intake")


@pytest.fixture
def opened(stack: Stack, tmp_path: Path, sent: None) -> Iterator[Callable[[str], Shop]]:
    shops: list[Shop] = []

    def opener(outputs: str) -> Shop:
        shops.append(releases.shop(stack, tmp_path, f"history-{outputs}"))
        return shops[-1]

    yield opener
    for shop in shops:
        shop.jobs = ["loyalty", "archive"]
        shop.close()


def restore(
    shop: Shop,
    job: str,
    savepoint: str | Path,
    file: Path | None = None,
    dropping: bool = False,
    **over,
) -> str:
    """Submits ``file`` (jobs/<job>.py) from ``savepoint``; its id. A savepoint of 0.1.0 has positions of the
    tills' own stream, which the job reads no more."""
    return LocalCluster(shop.stack).submit(
        job, 1, shop.overrides | over, str(savepoint), job_file=file, timeout_s=120,
        allow_dropped_state=dropping or "0.1.0" in str(savepoint),
    )  # fmt: skip


def expect_balances(
    shop: Shop, release: str, *parts: str, others: bool = False, timeout_s: float = 60
) -> None:
    """Hot items of everyone whom the last part changes, and, unless ``others``, of nobody else."""
    wanted = releases.changed(*parts)
    platform = Platform(shop.conf())

    def wrong() -> dict[str, tuple[Any, Any]]:
        """(found, expected) of the customers that differ."""
        found = platform.balances()
        missing = {c: (found.get(c), b) for c, b in wanted.items() if found.get(c) != b}
        strangers = {} if others else {c: (b, None) for c, b in found.items() if c not in wanted}
        return missing | strangers

    what = TO_DO.format(job="loyalty", release=release, what="balances")
    wait_for(wrong, timeout_s, f"equal balances. {what}", lambda found: not found, every_s=0.5)


@pytest.mark.parametrize("release", LOYALTY)
def test_the_loyalty_job_of_every_release_goes_on_with_its_balances(opened, release):
    shop = opened(f"loyalty-{release}")
    restore(shop, "loyalty", releases.savepoint(release, "loyalty"))
    expect_balances(shop, release, "before", "after")


@pytest.mark.parametrize("release", ARCHIVE)
def test_the_archive_of_every_release_remembers_what_it_has(opened, release):
    shop = opened(f"archive-{release}")
    restore(shop, "archive", releases.savepoint(release, "archive"))
    wanted = releases.ids("after") - releases.ids("before")
    found = wait_for(
        lambda: Platform(shop.conf()).archive(["transaction_id"])["transaction_id"].to_pylist(),
        60, "what came after the savepoint", lambda ids: len(ids) >= len(wanted), every_s=0.5,
    )  # fmt: skip
    assert sorted(found) == sorted(wanted), TO_DO.format(
        job="archive", release=release, what="marks of what it has archived"
    )


def test_todays_reader_finds_every_account_of_the_first_savepoint():
    savepoint = str(releases.savepoint("0.1.0", "loyalty"))
    (size,) = report(savepoint).states
    expected = releases.balances("before")
    assert (size.job, size.uid, size.name) == ("loyalty", "loyalty-ledger", "loyalty-account")
    assert size.keys == len(expected)
    assert size.versions == {"1": len(expected)}
    accounts = [
        loyalty_account.decode(data)
        for data in values(savepoint, "loyalty-ledger", "loyalty-account")
    ]
    assert sorted((a.balance, a.version) for a in accounts) == sorted(expected.values())


@pytest.mark.parametrize("change", ["uid", pytest.param("type", marks=pytest.mark.long)])
def test_a_change_that_loses_state_is_refused_with_what_to_do(opened, change, monkeypatch):
    monkeypatch.setenv("TILLSTREAM_CHANGE", change)
    shop = opened(f"changed-{change}")
    restore(shop, "loyalty", releases.savepoint("0.1.0", "loyalty"))
    made = LocalCluster(shop.stack).stop("loyalty").location
    with pytest.raises(JobError) as refused:
        # As text, the ledger stands alone: what is before it is gone too.
        restore(shop, "loyalty", made, JOBS / "loyalty_changed.py", dropping=change == "type")
    remedy = {"uid": "Put the uid back", "type": "Put the type of its descriptor back"}[change]
    assert remedy in (advice(str(refused.value)) or ""), str(refused.value)


@pytest.mark.long
def test_another_key_of_the_same_type_goes_unseen_by_the_engine_but_not_by_us(opened, monkeypatch):
    monkeypatch.setenv("TILLSTREAM_CHANGE", "key")
    shop = opened("changed-key")
    restore(shop, "loyalty", releases.savepoint("0.1.0", "loyalty"), JOBS / "loyalty_changed.py")
    wait_for(lambda: Platform(shop.conf()).balances(), 60, "its first items")
    with pytest.raises(AssertionError, match="a key, a state's name or its bytes changed: put it"):
        expect_balances(shop, "0.1.0", "before", "after", timeout_s=3)


@pytest.mark.long
def test_what_the_next_release_writes_as_its_own_is_refused_by_this_one(opened):
    shop = opened("v2-only")
    restore(shop, "loyalty", releases.savepoint("0.1.0", "loyalty"), JOBS / "loyalty_next.py")
    expect_balances(shop, "0.1.0", "before", "after")
    made = LocalCluster(shop.stack).stop("loyalty").location
    stored = list(values(made, "loyalty-ledger", "loyalty-account"))
    newer = [data for data in stored if data[0] == loyalty_account.CURRENT + 1]
    assert len(newer) == len(releases.changed("before", "after"))
    assert len(stored) == len(releases.balances("before", "after"))
    for data in newer:
        with pytest.raises(UnknownVersion, match="restore with the release that"):
            loyalty_account.decode(data)


def test_a_made_up_next_release_goes_on_from_the_first_and_can_be_rolled_back(opened):
    """Last here: it sends the third part to the topic."""
    shop = opened("v2")
    restore(
        shop,
        "loyalty",
        releases.savepoint("0.1.0", "loyalty"),
        JOBS / "loyalty_next.py",
        state={"write_versions": {"loyalty_account": 1}},
    )
    expect_balances(shop, "0.1.0", "before", "after")
    made = LocalCluster(shop.stack).stop("loyalty").location
    (size,) = [one for one in report(made).states if one.name == "loyalty-account"]
    assert size.versions == {"1": len(releases.balances("before", "after"))}

    shop.run("job", "restore", "intake")
    pass_on(shop, "later")
    restore(shop, "loyalty", made)
    expect_balances(shop, "0.1.0", *releases.PARTS, others=True)
