"""What every Cluster has to do, said once. A subclass gives ``cluster`` and ``job``, a job it knows."""

from __future__ import annotations

import pytest

from tillstream.clients.wait import wait_until
from tillstream.cluster.protocol import Cluster, JobError, NotReady


class ClusterContract:
    """``cluster`` and ``job`` are fixtures. No job runs before or after a test."""

    def test_a_run_from_its_submission_to_its_savepoint_and_on(self, cluster: Cluster, job: str):
        assert cluster.running(job) is None
        first = cluster.submit(job, 1)
        run = cluster.running(job)
        assert run is not None
        assert (run.job_id, run.name, run.ended) == (first, job, False)
        assert cluster.running(first) == run
        assert cluster.run(first).parallelism == 1
        assert job in cluster.submitted()
        with pytest.raises(NotReady, match="runs already"):
            cluster.submit(job, 1)
        before = cluster.checkpoints(first).completed
        cluster.checkpoint(first)
        wait_until(lambda: cluster.checkpoints(first).completed > before, 20, "it is not counted")
        wait_until(lambda: cluster.checkpoints(first).last, 10, "no checkpoint")

        taken = cluster.savepoint(job)
        assert taken.run.job_id == first
        assert taken.triggered_ms <= taken.completed_ms
        assert cluster.running(job) is not None
        stopped = cluster.stop(job)
        assert stopped.location != taken.location
        assert cluster.running(job) is None
        assert cluster.run(first).ended
        assert cluster.lost() == []

        said: list[str] = []
        assert cluster.locate(job, "latest-savepoint") == cluster.locate(job, stopped.location)
        second = cluster.submit(job, start_from="latest-savepoint", progress=said.append)
        assert second != first
        assert cluster.started_from(first) is None
        assert cluster.started_from(second) == cluster.locate(job, stopped.location)
        assert cluster.run(second).parallelism == 1  # as it had, whatever conf says
        assert [r.job_id for r in cluster.runs()][:2] == [second, first]
        assert cluster.figures(second).state == "RUNNING"
        assert cluster.exceptions(second) == []
        assert cluster.cancel(job) == second
        assert cluster.running(job) is None

    def test_what_does_not_run_cannot_be_stopped(self, cluster: Cluster, job: str):
        for act in (cluster.stop, cluster.cancel, cluster.savepoint):
            with pytest.raises(JobError, match=f"no job {job} runs"):
                act(job)

    def test_a_job_without_a_name_it_knows_is_refused_before_anything_starts(
        self, cluster: Cluster, job: str
    ):
        with pytest.raises(NotReady, match="no-such-job"):
            cluster.submit("no-such-job", 1)
        with pytest.raises(JobError, match="no-such-job has left no"):
            cluster.locate("no-such-job", "latest")
        assert cluster.last_checkpoint("0" * 32) is None
