"""The contract of a cluster, on the local stack's."""

from __future__ import annotations

import pytest

from tests.support.cluster_contract import ClusterContract
from tillstream.cluster.local import LocalCluster
from tillstream.cluster.protocol import Cluster


class TestLocalCluster(ClusterContract):
    @pytest.fixture
    def cluster(self, jobs: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
        monkeypatch.setenv("TILLSTREAM_CONF", '{"source": {"kind": "kafka"}}')
        return jobs

    @pytest.fixture
    def job(self) -> str:
        return "promotions"  # the lightest
