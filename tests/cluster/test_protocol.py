"""The contract of a cluster, on the one in memory that other tests use."""

from __future__ import annotations

import pytest

from tests.support.cluster_contract import ClusterContract
from tests.support.fake_cluster import FakeCluster
from tillstream.cluster.protocol import Cluster


class TestFakeCluster(ClusterContract):
    @pytest.fixture
    def cluster(self, tmp_path) -> Cluster:
        return FakeCluster(tmp_path, known=("loyalty",))

    @pytest.fixture
    def job(self) -> str:
        return "loyalty"
