"""Which cluster the settings mean."""

from __future__ import annotations

from tillstream.cluster.local import LocalCluster
from tillstream.cluster.protocol import Cluster
from tillstream.conf import Conf


def open_cluster(conf: Conf) -> Cluster:
    """Today always the local stack's; Amazon's service is going to be the other one."""
    return LocalCluster(savepoints_at=conf.savepoints.location)
