"""The contract of a cluster on Amazon's service, and savepoints with manifests there."""

from __future__ import annotations

import orjson
import pytest

from tests.support.cluster_contract import ClusterContract
from tillstream.cli.times import now_ms
from tillstream.cluster.protocol import Cluster, JobError, NotReady
from tillstream.cluster.savepoints import Savepoints
from tillstream.deploy.cluster import AmsfCluster
from tillstream.errors import Problem


@pytest.fixture
def cluster(amazon, monkeypatch) -> Cluster:
    return AmsfCluster(amazon.conf, amazon.office())


class TestAmsfCluster(ClusterContract):
    @pytest.fixture
    def job(self) -> str:
        return "loyalty"


def test_a_savepoint_has_a_manifest_and_is_gone_from_the_service_once_it_is_pruned(amazon, cluster):
    cluster.submit("loyalty", 2)
    savepoints = Savepoints(cluster, amazon.conf)
    first = savepoints.take("loyalty")
    assert first.flink_version == "1.20"
    assert first.parallelism == 2
    savepoints.take("loyalty")
    assert len(savepoints.kept("loyalty")) == 2
    hours = 24 * 60
    gone = savepoints.prune(
        "loyalty", first.taken_at_ms + hours * 3_600_000, False, lambda one: None
    )
    assert gone == 1
    assert len(amazon.app().snapshots) == 1


def test_settings_of_one_submission_are_not_those_of_the_next(amazon, cluster):
    run = cluster.submit(
        "loyalty", 2, {"source": {"start_ms": 5, "kafka": {"offsets": {"a.b/0": 7}}}}
    )
    given = amazon.newest.properties["tillstream"]
    assert given == {"environment": "prod", "source.start_ms": "5",
                     "source.kafka.offsets": '{"a.b/0": 7}'}  # fmt: skip
    cluster.stop(run)
    cluster.submit("loyalty", start_from="latest")
    assert amazon.newest.properties["tillstream"] == {"environment": "prod"}
    assert amazon.newest.parallelism == 2


def test_an_accepted_loss_is_whatever_intake_has_lost_until_then(amazon, cluster):
    amazon.package("intake")
    cluster.submit("intake", 2, accept_loss=True)
    given = amazon.newest.properties["tillstream"]["source.kafka.accepted_loss"]
    (place,) = orjson.loads(given).items()
    assert place[0] == "till-transactions/*"
    assert abs(place[1][1] - now_ms()) < 60_000


def test_a_job_that_the_service_has_stopped_is_lost_and_a_cancelled_one_is_not(amazon, cluster):
    cluster.submit("loyalty", 2)
    amazon.office().service.stop("prod.loyalty", force=True)
    amazon.clock.sleep(60)
    assert cluster.lost() == ["loyalty"]
    cluster.submit("loyalty", 2)
    cluster.cancel("loyalty")
    assert cluster.lost() == []


def test_why_a_job_does_not_start_is_said(amazon, cluster):
    amazon.engine.fault = lambda launch: "fails"
    with pytest.raises(JobError, match="loyalty does not start: the job could not be started"):
        cluster.submit("loyalty", 2)


def test_what_failed_is_read_from_the_log(amazon, cluster):
    amazon.engine.fault = lambda launch: "loops"
    run = cluster.submit("loyalty", 2)
    amazon.clock.sleep(120)
    assert "it broke" in cluster.exceptions(run)[0]
    assert cluster.logs(1) == ["loyalty: the job failed"]


def test_nothing_is_submitted_while_a_deployment_is_open(amazon, cluster):
    office = amazon.office()
    from tillstream.deploy import doing

    made, wanted, _ = doing.planned(office, "loyalty", amazon.asked())
    deployer = office.deployer("loyalty")
    deployer.journal.read()
    deployer.begin(made, wanted.config, None)
    with pytest.raises(NotReady, match="a deployment of loyalty is not through"):
        cluster.submit("loyalty")


def test_a_job_that_sums_starts_only_from_its_last_state(amazon, cluster):
    amazon.package("sales")
    run = cluster.submit("sales", 2)
    earlier = Savepoints(cluster, amazon.conf).take("sales").location
    cluster.stop(run)
    with pytest.raises(NotReady, match="sales has added up before, and started anew"):
        cluster.submit("sales", 2)
    with pytest.raises(NotReady, match=f"since {earlier}, and started from there"):
        cluster.submit("sales", 2, start_from=earlier)
    cluster.submit("sales", 2, start_from="latest")
    amazon.office().service.stop("prod.sales", force=True)
    amazon.clock.sleep(60)
    assert cluster.lost() == ["sales"]
    for start in (None, "latest"):
        with pytest.raises(NotReady, match="without leaving a state; --counted-again"):
            cluster.submit("sales", 2, start_from=start)
    with pytest.raises(Problem, match="--counted-again"):
        amazon.apply("sales")
    amazon.app("sales").snapshots.clear()
    with pytest.raises(Problem, match=r"no snapshot is left: started anew .*--counted-again"):
        amazon.apply("sales")
    run = cluster.submit("sales", 2, counted_again=True)
    cluster.cancel(run)
    cluster.submit("sales", 2, counted_again=True)


def test_a_job_whose_last_run_has_written_nothing_starts_as_it_likes(amazon, cluster):
    amazon.package("sales")
    amazon.engine.fault = lambda launch: "no checkpoints"
    run = cluster.submit("sales", 2)
    amazon.clock.sleep(180)
    cluster.cancel(run)
    amazon.engine.fault = lambda launch: ""
    cluster.submit("sales", 2)
