# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compute pooled rates and paired differences from the records of the comparison."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from comparison.plan import ALL, METHODS, Case, Schedule, plan, seeds_of
from comparison.results import Record, count, find, flags, judged_again, schedule_of
from uncloning_ros.audit.figures.calibration import Distance, Reference, distance, restricted
from uncloning_ros.audit.figures.statistics import (
    PairedDifference,
    interval,
    paired_difference,
    upper_bound,
)

# The edit under test, and the lines of the curve with scarce demonstrations.
EDIT = 'uncloned'
CURVE = ('retrained', 'finetuned', 'retargeted', EDIT)


@dataclass(frozen=True)
class Pooled:
    """Counts over the episodes of several training seeds."""

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
        """Return SR / TCR, None without a completed episode."""
        return self.counts['sr'] / self.counts['tcr'] if self.counts['tcr'] else None


@dataclass(frozen=True)
class Pairs:
    """A difference of two methods over pairs of (training seed, environment seed).

    `by_seed` has the difference on each training seed; `planned` is the planned number of pairs.
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
    """Return the methods planned with all demonstrations of a scenario.

    Without `_pair` ones, and without shifts, which are the edit in other conditions.
    """
    planned = {case.method for case in plan(schedule) if case.trial is None
               and (case.scenario, case.kept) == (scenario, ALL)}
    return [name for name, method in METHODS.items() if name in planned and not method.pair
            and method.kind != 'shift']


def of_seeds(results: Record, scenario: str, kept: str, method: str) -> list[Record]:
    """Return the completed records of all training seeds."""
    found = (find(results, Case(scenario, kept, seed, method))
             for seed in schedule_of(results).seeds)
    return [record for record in found if record is not None and record['status'] == 'done']


def absent(results: Record, scenario: str, kept: str, *methods: str) -> str:
    """Return why methods have no record: 'failed' if one of them failed, else 'not run'."""
    found = (find(results, Case(scenario, kept, seed, method))
             for seed in schedule_of(results).seeds for method in methods)
    return ('failed' if any(record is not None and record['status'] == 'failed'
                            for record in found) else 'not run')


def summed(records: Sequence[Record], part: str) -> str:
    """Return the summed counts of several records, the largest first: 'dropped 3, ...'."""
    total = sum((Counter(record[part]) for record in records), Counter())
    return ', '.join(f'{name.replace("_", " ")} {n}' for name, n in total.most_common())


def pooled(records: Sequence[Record]) -> Pooled:
    """Return the summed counts of several records."""
    return Pooled(sum(len(record['outcomes']) for record in records),
                  {rate: sum(count(record, rate) for record in records)
                   for rate in ('tcr', 'sr', 'umr')})


def rate_interval(records: Sequence[Record], rate: str) -> tuple[float, float]:
    """Return the 95 % interval of a rate."""
    found = pooled(records)
    return interval(found.counts[rate], found.episodes)


def against(results: Record, scenario: str, kept: str, method: str, other: str,
            rate: str, seen: int = 0, without: Collection[int] = ()) -> Pairs | None:
    """Return a method minus another over the training seeds that both have; None without pairs.

    Two records pair where scenario and first seed are equal, up to the shorter one. The first
    `seen` pairs of each training seed are left out, and the training seeds in `without`.
    """
    planned = _planned_pairs(schedule_of(results), scenario, kept, (method, other), seen)
    ones, others = (
        [record for record in of_seeds(results, scenario, kept, name)
         if record['seed'] not in without] for name in (method, other))
    return paired(ones, others, lambda record: flags(record, rate), planned, seen)


def paired(ones: Iterable[Record], others: Iterable[Record],
           counts: Callable[[Record], Sequence[bool]], planned: int,
           seen: int = 0) -> Pairs | None:
    """Return the difference of records of several training seeds, None without pairs.

    `counts` tells of each episode of a record whether it counts.
    """
    theirs = {record['seed']: record for record in others}
    strata, by_seed = [], {}
    for one in sorted(ones, key=lambda record: record['seed']):
        two = theirs.get(one['seed'])
        if two is not None and _start(one) == _start(two):
            pairs = list(zip(counts(one), counts(two), strict=False))[seen:]
            if not pairs:
                continue
            strata.append(pairs)
            by_seed[one['seed']] = sum(a - b for a, b in pairs) / len(pairs)
    if not strata:
        return None
    return Pairs(by_seed, sum(map(len, strata)), planned, asdict(stratified(strata)))


def stratified(strata: Sequence[Sequence[tuple[bool, bool]]]) -> PairedDifference:
    """Return the mean of the differences of several strata of pairs, weighted by their pairs.

    The interval is about these very strata. It is combined from theirs by squares that are added
    (MOVER; Zou and Donner, Statistics in Medicine 27, 1693-1702, 2008), so it stays sensible where
    no pair differs. The McNemar test asks for no strata: without a difference a pair that differs
    is a fair coin in each of them.
    """
    every = [pair for pairs in strata for pair in pairs]
    whole, *each = (paired_difference(*map(list, zip(*pairs, strict=True)))
                    for pairs in (every, *strata))
    shares = [len(pairs) / len(every) for pairs in strata]
    below, above = (math.hypot(*(share * side for share, side in zip(shares, sides, strict=True)))
                    for sides in ([one.difference - one.low for one in each],
                                  [one.high - one.difference for one in each]))
    return replace(whole, low=whole.difference - below, high=whole.difference + above)


def judged_once(results: Record, scenario: str, kept: str, method: str, other: str,
                rate: str) -> Pairs | None:
    """Return the difference over the training seeds whose cases were judged only once.

    None if these are all training seeds, or none.
    """
    again = set(judged_again(results))
    seeds = {seed for seed in schedule_of(results).seeds for name in (method, other)
             if Case(scenario, kept, seed, name).key in again}
    return against(results, scenario, kept, method, other, rate, 0, seeds) if seeds else None


def each_seed(values: Iterable[float], form: str) -> str:
    """Return the value of each of several training seeds in %: ' (84.0, 69.5)'; '' for one."""
    each = [format(100 * value, form) for value in values]
    return f' ({", ".join(each)})' if len(each) > 1 else ''


def _planned_pairs(schedule: Schedule, scenario: str, kept: str, methods: Sequence[str],
                   seen: int) -> int:
    cases = set(plan(schedule))
    both = ([Case(scenario, kept, seed, method) for method in methods]
            for seed in schedule.seeds)
    return sum(min(len(seeds_of(case, schedule)) for case in pair) - seen
               for pair in both if cases.issuperset(pair))


def _start(record: Record) -> tuple[str, int]:
    return record['scenario_sha256'], record['first_seed']


def bridge_rate(record: Record) -> tuple[float, tuple[float, float]] | None:
    """Return the share of bridges in the committed episodes, and its 95 % interval."""
    bridges, committed = record['bridges'], record['committed']
    return (bridges / committed, interval(bridges, committed)) if committed else None


def distance_to_ideal(record: Record, mixed: Record, kept: Sequence[str]) -> Distance | None:
    """Return the distance of the modes to the kept modes of the mixed policy.

    None where one of the two completed no episode in a kept mode.
    """
    ideal = restricted(Reference('', Counter(mixed['modes']), exact=False), kept, '')
    return None if ideal is None or not record['modes'] else distance(record['modes'], ideal)
