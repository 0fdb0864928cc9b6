# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every test run is alone: its own ROS domain, no packet off this machine, one thread each."""

import contextlib
import os
import tempfile

import pytest

# What checks find is shown as in tests.
pytest.register_assert_rewrite('checks', 'fault_checks')

# Before anything imports numpy or torch; started processes inherit it. One thread each makes
# results repeatable and leaves the cores to the processes that a test starts.
os.environ['OMP_NUM_THREADS'] = '1'


def pytest_configure(config: pytest.Config) -> None:
    with contextlib.suppress(ImportError):
        from hypothesis import HealthCheck, settings
        # How long an example takes says how busy the machine is, not whether the code is right.
        settings.register_profile('unclocked', deadline=None,
                                  suppress_health_check=[HealthCheck.too_slow])
        settings.load_profile('unclocked')
    resources = contextlib.ExitStack()
    config.add_cleanup(resources.close)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_PYTHON_CHECK_FIELDS'] = '1'  # messages refuse values of a wrong type
    os.environ['ROS_LOG_DIR'] = resources.enter_context(
        tempfile.TemporaryDirectory(prefix='uncloning_ros_log_'))
    try:
        import domain_coordinator
    except ImportError:
        return  # no ROS on this machine; the tests that need it skip or fail on their own
    os.environ['ROS_DOMAIN_ID'] = str(resources.enter_context(domain_coordinator.domain_id()))
