# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures that follow from the records of the comparison: pooled rates, paired differences."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from uncloning_plan import ALL, METHODS, Cell, Schedule, plan, seeds_of
from uncloning_results import Record, count, find, flags, judged_again, schedule_of

from uncloning_ros.audit.figures.calibration import Distance, Reference, distance, restricted
from uncloning_ros.audit.figures.statistics import interval, paired_difference, upper_bound

# The edits that the aims are about, and the lines of the scarce curve.
EDIT = 'uncloned'
CURVE = ('retrained', 'finetuned', 'retargeted', EDIT)


@dataclass(frozen=True)
class Pooled:
    """Episodes of several training seeds, counted together."""

    episodes: int
    counts: Mapping[str, int]

    def rate(self, name: str) -> float:
        """Return a rate by its name in `RATES`."""
        return self.counts[name] / self.episodes

    @property
    def umr_at_most(self) -> float:
        """Return the one-sided 95 % upper bound of UMR."""
        return upper_bound(self.counts['umr'], self.episodes)

    @property
    def purity(self) -> float | None:
        """Return SR / TCR, None if nothing was completed."""
        return self.counts['sr'] / self.counts['tcr'] if self.counts['tcr'] else None


@dataclass(frozen=True)
class Pairs:
    """A difference of two methods over pairs of (training seed, environment seed).

    `by_seed` is the difference on each training seed alone; `planned` pairs are planned.
    """

    by_seed: Mapping[int, float]
    episodes: int
    planned: int
    difference: Mapping[str, float]

    @property
    def low(self) -> float:
        """Return the lower end of the 95 % interval."""
        return self.difference['low']

    @property
    def high(self) -> float:
        """Return the upper end of the 95 % interval."""
        return self.difference['high']


def headline_methods(schedule: Schedule, scenario: str) -> list[str]:
    """Return the methods planned for all demonstrations of a scenario, those with a pair apart."""
    planned = {cell.method for cell in plan(schedule) if cell.attempt is None
               and (cell.scenario, cell.desired) == (scenario, ALL)}
    return [name for name, method in METHODS.items() if name in planned and not method.pair]


def of_seeds(results: Record, scenario: str, desired: str, method: str) -> list[Record]:
    """Return the records of all training seeds that were judged."""
    found = (find(results, Cell(scenario, desired, seed, method))
             for seed in schedule_of(results).seeds)
    return [record for record in found if record is not None and record['status'] == 'done']


def absent(results: Record, scenario: str, desired: str, *methods: str) -> str:
    """Return why methods have nothing to show: 'failed' if that is what one did, or 'not run'."""
    found = (find(results, Cell(scenario, desired, seed, method))
             for seed in schedule_of(results).seeds for method in methods)
    return ('failed' if any(record is not None and record['status'] == 'failed'
                            for record in found) else 'not run')


def tallied(records: Sequence[Record], what: str) -> str:
    """Return counts of several records together, the most frequent first: 'dropped 3, ...'."""
    total = sum((Counter(record[what]) for record in records), Counter())
    return ', '.join(f'{name.replace("_", " ")} {n}' for name, n in total.most_common())


def pooled(records: Sequence[Record]) -> Pooled:
    """Count the episodes of several records together."""
    return Pooled(sum(len(record['outcomes']) for record in records),
                  {rate: sum(count(record, rate) for record in records)
                   for rate in ('tcr', 'sr', 'umr')})


def rate_interval(records: Sequence[Record], rate: str) -> tuple[float, float]:
    """Return the 95 % interval of a rate."""
    found = pooled(records)
    return interval(found.counts[rate], found.episodes)


def against(results: Record, scenario: str, desired: str, method: str, other: str,
            rate: str, seen: int = 0, without: Collection[int] = ()) -> Pairs | None:
    """Return a method less another over all training seeds that have both; None without pairs.

    Records pair where scenario and first seed are the same, as far as both go. The first `seen`
    pairs of each training seed are left out, and the training seeds in `without`.
    """
    ones = {record['seed']: record for record in of_seeds(results, scenario, desired, method)}
    others = {record['seed']: record for record in of_seeds(results, scenario, desired, other)}
    first, second, by_seed = [], [], {}
    for seed in sorted((ones.keys() & others.keys()) - set(without)):
        one, two = ones[seed], others[seed]
        if _start(one) == _start(two):
            pairs = list(zip(flags(one, rate), flags(two, rate), strict=False))[seen:]
            if not pairs:
                continue
            first += [a for a, _ in pairs]
            second += [b for _, b in pairs]
            by_seed[seed] = sum(a - b for a, b in pairs) / len(pairs)
    if not first:
        return None
    found = asdict(paired_difference(first, second))
    planned = _planned_pairs(schedule_of(results), scenario, desired, (method, other), seen)
    return Pairs(by_seed, len(first), planned, found)


def judged_once(results: Record, scenario: str, desired: str, method: str, other: str,
                rate: str) -> Pairs | None:
    """Return the difference over the training seeds whose cells were not judged, then made anew.

    None if these are all seeds, or none.
    """
    again = set(judged_again(results))
    seeds = {seed for seed in schedule_of(results).seeds for name in (method, other)
             if Cell(scenario, desired, seed, name).key in again}
    return against(results, scenario, desired, method, other, rate, 0, seeds) if seeds else None


def each_seed(values: Iterable[float], form: str) -> str:
    """Return what each training seed alone shows, in %, if there are several: ' (84.0, 69.5)'."""
    each = [format(100 * value, form) for value in values]
    return f' ({", ".join(each)})' if len(each) > 1 else ''


def _planned_pairs(schedule: Schedule, scenario: str, desired: str, methods: Sequence[str],
                   seen: int) -> int:
    cells = set(plan(schedule))
    both = ([Cell(scenario, desired, seed, method) for method in methods]
            for seed in schedule.seeds)
    return sum(min(len(seeds_of(cell, schedule)) for cell in pair) - seen
               for pair in both if cells.issuperset(pair))


def _start(record: Record) -> tuple[str, int]:
    return record['scenario_sha256'], record['first_seed']


def bridge_rate(record: Record) -> tuple[float, tuple[float, float]] | None:
    """Return the share of committed episodes that bridged, and its 95 % interval."""
    bridges, committed = record['bridges'], record['committed']
    return (bridges / committed, interval(bridges, committed)) if committed else None


def distance_to_ideal(record: Record, mixed: Record, kept: Sequence[str]) -> Distance | None:
    """Return how far the modes are from those of the mixed policy, the kept ones alone.

    None where one of the two completed nothing to compare.
    """
    ideal = restricted(Reference('', Counter(mixed['modes']), exact=False), kept, '')
    return None if ideal is None or not record['modes'] else distance(record['modes'], ideal)
