# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Use a Ray cluster, running or started here, as the cluster of an audit.

Ray's usage statistics are off. A cluster that runs already was told so by its `ray start`.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

from uncloning_ros.audit.cluster.handing_out import Cluster, episodes_text
from uncloning_ros.errors import AuditError

LOCAL = 'local'  # address of a cluster that is started here


@contextlib.contextmanager
def ray_cluster(address: str, cores: int) -> Iterator[Cluster]:
    """Give the Ray cluster at an address, or one of `cores` on this machine for `LOCAL`.

    Raise `AuditError` if there is none.
    """
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'  # before the import
    import ray

    at_sigterm = signal.getsignal(signal.SIGTERM)
    own = {'num_cpus': cores, 'include_dashboard': False} if address == LOCAL else {}
    try:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except Exception as err:  # Ray's have no common base
            raise AuditError(f'expected a Ray cluster at {address!r}, got: {err}; start it with '
                             f'ray start, or run the audit without --on') from err
        finally:
            signal.signal(signal.SIGTERM, at_sigterm)  # Ray has one of its own
        yield _RayCluster(ray)
    finally:
        ray.shutdown()


class _RayCluster:
    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._call = ray.remote(num_cpus=1, max_retries=0)(episodes_text)
        lost = ray.exceptions
        self._lost = (lost.WorkerCrashedError, lost.NodeDiedError, lost.ObjectLostError,
                      lost.OutOfMemoryError)
        self.cores = max(1, int(ray.cluster_resources().get('CPU', 0)))

    def give(self, data: bytes) -> Any:
        return self._ray.put(data)

    def start(self, setting: str, model: Any, partner: Any, seeds: Sequence[int]) -> Any:
        return self._call.remote(setting, model, partner, list(seeds))

    def finished(self, started: Sequence[Any]) -> tuple[Any, str | None]:
        (handle, *_), _ = self._ray.wait(list(started), num_returns=1)
        try:
            return handle, self._ray.get(handle)
        except self._lost:
            return handle, None
        except self._ray.exceptions.RayError as err:
            raise AuditError(f'expected episodes from a Ray worker, got: '
                             f'{str(err).strip().splitlines()[-1]}; install uncloning_ros with '
                             f"'.[sim]' on every machine of the cluster") from err
