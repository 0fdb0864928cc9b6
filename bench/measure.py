# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure pairs of calls in turns, and report their ratios as a table and as JSON.

A time in milliseconds depends on the machine as much as on the code. So every benchmark measures a
thing and its reference in the same run, in turns, and reports their ratio first. It repeats this;
the brackets beside a ratio hold the smallest and the largest ratio of the repeats.

Import this module first: it limits every numeric library to one thread before numpy is loaded.
"""
# ruff: noqa: E402

import os
import sys

# This variable alone limits all of them, where it was set in time.
if 'numpy' in sys.modules and os.environ.get('OMP_NUM_THREADS') != '1':
    raise ImportError('import measure before numpy: it limits the threads')
for _variable in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ[_variable] = '1'

import argparse
import gc
import json
import platform
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import uncloning_ros
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import require_new, write_whole

SCHEMA = 'uncloning/bench@2'

Array = NDArray[np.float64]

_TICK_HZ = os.sysconf('SC_CLK_TCK')


@dataclass(frozen=True)
class Ratio:
    """A ratio over all repeats, with the smallest and the largest ratio of one repeat.

    `target` names the wanted value, '' without one; `met` tells whether `value` reaches it.
    """

    name: str
    value: float
    low: float
    high: float
    target: str = ''
    met: bool | None = None


@dataclass(frozen=True)
class Figure:
    """Values that are not ratios, by name; the name ends in the unit."""

    name: str
    values: Mapping[str, Any]


@dataclass
class Report:
    """The findings of one benchmark; `note` explains how to read them."""

    title: str
    ratios: list[Ratio] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    note: str = ''


def in_turns(calls: Mapping[str, Callable[[], object]], rounds: int,
             warm_up: int = 20) -> dict[str, Array]:
    """Return the duration of each call in ms (rounds,), measured in turns.

    Every round makes each call once. The first call changes from round to round, so that each
    finds the caches as different calls left them. Garbage collection is off meanwhile.
    """
    names = list(calls)
    taken = {name: np.empty(rounds) for name in names}
    for name in names:
        for _ in range(warm_up):
            calls[name]()
    gc.collect()
    gc.disable()
    try:
        for i in tqdm(range(rounds), desc=' / '.join(names), leave=False, disable=None):
            first = i % len(names)
            for name in names[first:] + names[:first]:
                call = calls[name]
                began_ns = time.perf_counter_ns()
                call()
                taken[name][i] = (time.perf_counter_ns() - began_ns) * 1e-6
    finally:
        gc.enable()
    return taken


def ratio(name: str, ones: Sequence[Array], others: Sequence[Array], below: float | None = None,
          percentile: float = 50.0) -> Ratio:
    """Return the ratio of a percentile of the durations `ones` to that of `others`.

    There is one array for each repeat. The target, if there is one, is a ratio `below` a number.
    """
    def of(one: Array, other: Array) -> float:
        return float(np.percentile(one, percentile) / np.percentile(other, percentile))

    value = of(np.concatenate(ones), np.concatenate(others))
    each = [of(one, other) for one, other in zip(ones, others, strict=True)]
    if below is None:
        return Ratio(name, value, min(each), max(each))
    return Ratio(name, value, min(each), max(each), f'below {below:.3g}', value < below)


def spread_ms(name: str, repeats: Sequence[Array]) -> Figure:
    """Return p50, p99 and worst of the durations in ms of all repeats."""
    taken_ms = np.concatenate(repeats)
    p50, p99, worst = np.percentile(taken_ms, (50, 99, 100))
    return Figure(name, {'p50_ms': round(float(p50), 4), 'p99_ms': round(float(p99), 4),
                         'worst_ms': round(float(worst), 4), 'n': len(taken_ms)})


def machine() -> dict[str, Any]:
    """Return processor, system, versions and load of the machine."""
    return {'processor': _processor(), 'cores': len(os.sched_getaffinity(0)),
            'system': platform.platform(), 'python': platform.python_version(),
            'numpy': np.__version__, 'software_version': uncloning_ros.__version__,
            'load_average': [round(part, 2) for part in os.getloadavg()]}


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(description=doc,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument('--short', action='store_true',
                      help='a quick look of some seconds instead of a measurement')
    made.add_argument('--json', type=Path, metavar='FILE',
                      help='also write the figures to this new file')
    return made


def run(measure: Callable[[argparse.Namespace], Report], args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON; return 0, 2 for bad input, 130 on Ctrl-C.

    SIGTERM counts as Ctrl-C, so that it also ends the processes that a benchmark started. A missed
    target stands in the table and does not fail the run: machines differ.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if args.json is not None:
            require_new(args.json)
        before = machine()
        report = measure(args)
        print(table(report), flush=True)
        if args.json is not None:
            write_whole(args.json, as_json(report, before).encode())
    except UncloningError as err:
        print(f'{Path(sys.argv[0]).stem}: error: {err}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def table(report: Report) -> str:
    """Return the report as text, ratios first."""
    names = [part.name for part in (*report.ratios, *report.figures)]
    wide = max(map(len, names), default=0)
    lines = [report.title]
    for item in report.ratios:
        target = (f'   target: {item.target}, {"met" if item.met else "MISSED"}' if item.target
                  else '')
        lines.append(f'  {item.name:<{wide}}  {item.value:6.3f}   '
                     f'[{item.low:.3f}, {item.high:.3f}]{target}')
    for figure in report.figures:
        shown = '  '.join(f'{key} {_short(value)}' for key, value in figure.values.items())
        lines.append(f'  {figure.name:<{wide}}  {shown}')
    return '\n'.join([*lines, *([f'  {report.note}'] if report.note else [])])


def as_json(report: Report, before: Mapping[str, Any]) -> str:
    """Return the report as JSON, with the state of the machine before and after."""
    return json.dumps({'schema': SCHEMA, **asdict(report), 'machine': before,
                       'load_average_after': machine()['load_average']},
                      indent=1, allow_nan=False) + '\n'


def cpu_s(process: subprocess.Popen[Any]) -> float:
    """Return the user and system time of a process with all its threads, in s.

    Raise `UncloningError` where the process has ended.
    """
    try:
        stat = Path(f'/proc/{process.pid}/stat').read_text(encoding='ascii')
    except OSError as err:
        raise UncloningError(f'process {process.pid} ended; the messages above tell why') from err
    user, system = stat.rpartition(')')[2].split()[11:13]
    return (int(user) + int(system)) / _TICK_HZ


def _short(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(':')[2].strip() for line in lines
                 if line.startswith('model name')), platform.processor())
