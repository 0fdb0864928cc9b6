# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every test is alone: its own ROS domain, no packet off this machine, one thread each."""

import contextlib
import itertools
import os
import tempfile

import pytest

# What checks find is shown as in tests.
pytest.register_assert_rewrite('checks', 'fault_checks')

# Before anything imports numpy or torch; started processes inherit it. One thread each makes
# results repeatable and leaves the cores to the processes that a test starts.
os.environ['OMP_NUM_THREADS'] = '1'
# Tests import onnxruntime before the package, which turns its telemetry off.
os.environ['ORT_DISABLE_TELEMETRY'] = '1'

# The middleware may tell of a participant for a while after it has gone, so a test does not join
# the domain of the one before it.
_domains = itertools.cycle(range(1, 101))
_reserved = contextlib.ExitStack()


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
    resources.push(_reserved)
    for _ in range(os.getpid() % 100):  # nor that of the run before
        next(_domains)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Reserve the next domain, before any fixture starts a process."""
    try:
        import domain_coordinator
    except ImportError:
        return  # no ROS on this machine; the tests that need it skip or fail on their own
    _reserved.close()
    os.environ['ROS_DOMAIN_ID'] = str(_reserved.enter_context(
        domain_coordinator.domain_id(lambda: next(_domains))))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under `colcon test`, which passes a prefix for JUnit, run what needs no live graph."""
    if not config.getoption('junitprefix') or config.getoption('markexpr'):
        return
    left_out = [item for item in items if 'unit' not in item.path.parts
                or item.get_closest_marker('slow') or item.get_closest_marker('proof')]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
