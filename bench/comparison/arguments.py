# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line that all comparisons share: the cases to make, and how a command ends."""

import argparse
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from comparison.plan import Case, matches
from comparison.processes import STOPPED
from uncloning_ros.cli.arguments import count
from uncloning_ros.errors import UncloningError, near_miss

_FIELDS = ('scenario', 'kept', 'seed', 'method')


def add_cases(parser: argparse.ArgumentParser, pages: str = 'page') -> None:
    """Add the options that choose cases, and how many are made at the same time."""
    parser.add_argument('--only', action='append', default=[], metavar='FIELD=VALUE[,...]',
                        help=f'make only the cases with these values of {", ".join(_FIELDS)}, the '
                             f'parts of their names; several values of a field '
                             f'(method=flow,plan), and several --only, are alternatives')
    parser.add_argument('--workers', type=count(64), default=2, metavar='N',
                        help='number of cases made at the same time, one thread each '
                             '(default: %(default)s)')
    parser.add_argument('--list', action='store_true',
                        help='print the missing cases and make none')
    parser.add_argument('--page', action='store_true',
                        help=f'write the {pages} and make no case')


def wanted_cases(cases: list[Case], only: list[str]) -> list[Case]:
    """Return the cases that pass at least one filter, all of them without a filter."""
    if not only:
        return cases
    filters = [_filter_of(text) for text in only]
    found = [case for case in cases if any(matches(case, wanted) for wanted in filters)]
    if not found:
        raise UncloningError(f'--only {" --only ".join(only)} leaves no case; see --list for '
                             f'their names')
    return found


def _filter_of(text: str) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = defaultdict(set)
    field = ''
    for part in text.split(','):
        # A part without a field is one more value of the field before it.
        name, equals, value = part.rpartition('=')
        field = name if equals else field
        if field not in _FIELDS or not value:
            raise UncloningError(f'--only: expected FIELD=VALUE, got {part!r}'
                                 f'{near_miss(field, _FIELDS)}')
        wanted[field].add(value)
    return wanted


def add_case(parser: argparse.ArgumentParser, parts: str, schedules: Collection[str],
             usual: str) -> None:
    """Add the arguments of a process that makes one case; `parts` are those of its name."""
    parser.add_argument('case', help=parts)
    parser.add_argument('--work', type=Path, required=True, help='folder for all files')
    parser.add_argument('--schedule', choices=schedules, default=usual,
                        help='schedule of the case (default: %(default)s)')
    parser.add_argument('--out', type=Path, required=True, help='file for the record')


def case_of(parser: argparse.ArgumentParser, name: str, cases: Sequence[Case]) -> Case:
    """Return the case of a name; end the process with the status 2 if there is none."""
    known = {case.key: case for case in cases}
    if name not in known:
        parser.error(f'expected a case such as {next(iter(known))}, got {name}')
    return known[name]


def take_signals() -> None:
    """End by `KeyboardInterrupt` on SIGINT, which background jobs of a shell ignore, and TERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def run(name: str, command: Callable[[], int]) -> int:
    """Run a command; return its status, 2 for bad input, 130 on Ctrl-C."""
    take_signals()
    try:
        return command()
    except UncloningError as err:
        print(f'{name}: error: {err}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'\n{name}: stopped; the same command continues it', file=sys.stderr)
        return STOPPED
