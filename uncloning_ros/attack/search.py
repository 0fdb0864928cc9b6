# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Search: over noises and start states for plans of a removed mode, the worst of them simulated.

First the plans are judged by a classifier, which is quick: at held-out observations where modes
part, and at the first observation of unseen episodes. Then the simulator judges: it runs the
episodes whose first plans, with the very noise, are most likely of a removed mode.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from uncloning_ros.attack.options import SEARCH
from uncloning_ros.attack.record import AttackReport, ClassifierTest, Searched, trial
from uncloning_ros.attack.target import Target
from uncloning_ros.audit.audited import AuditedModel, identity_of
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.run import rollout
from uncloning_ros.audit.run.rollout import NoisyStart
from uncloning_ros.errors import DatasetError
from uncloning_ros.learning.plan_search import Chances, PlanSearch
from uncloning_ros.policy_io import chunk_noise
from uncloning_ros.progress import progress_bar
from uncloning_ros.runtime.inference import load_policy

_OF_ONE_START = 10  # episodes at most, or the worst start would be all that is simulated

_NOT_COVERED = (
    'starts and noises that were not drawn; the noises are random, no gradient sought them',
    'decisions after the first plan: the starts are ranked by it alone',
    'plans that the classifier misjudges: it knows the modes of the dataset alone')


class Search:
    """Judge the plans of the policy, then the worst starts.

    Raise `DatasetError` unless kept and removed modes have held-out episodes.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        for modes in (target.kept, target.shown):
            if not len(target.dataset.window_frames('validation', modes)):
                raise DatasetError(
                    f'expected held-out episodes of {" or ".join(modes)} to search, got none in '
                    f'the dataset; make it with a greater --validation, or leave {SEARCH} out of '
                    f'--attacks')

    def run(self, folder: Path) -> AttackReport:
        """Search the plans of the edited policy and simulate the worst starts."""
        target = self._target
        finder = PlanSearch(target.run.policy, target.dataset, target.kept, target.shown,
                            target.options.threads)
        parting = self._where_modes_part(finder)
        chances = self._at_starts(finder)
        starts = worst_starts(chances, target.seeds, len(target.seeds))
        with progress_bar('worst starts', len(starts)) as bar:
            results = rollout.run_noisy_starts(
                target.model, target.scenario, starts, target.options.workers,
                on_done=lambda _: bar.update())
        identity = identity_of(load_policy(target.model), target.model.name)
        judged = trial(f'worst {len(starts)} of {chances.size} starts',
                       AuditedModel(identity, tuple(results)), target.removed, chosen=True)
        return AttackReport(
            SEARCH, f'{target.options.draws} noises at each observation; then the simulator ran '
            f'the starts whose first plan was most likely of a removed mode, at most '
            f'{_OF_ONE_START} noises of one seed', (judged,), _NOT_COVERED,
            ClassifierTest(**finder.classifier_report['choice']),
            (searched('held-out observations where modes part', parting),
             searched('first observations of the episodes above', chances, sample=True)))

    def _where_modes_part(self, finder: PlanSearch) -> Chances:
        with progress_bar('searching plans', finder.places, 'place') as bar:
            parts = []
            for chances in finder.where_modes_part(self._target.options.draws):
                parts.append(chances)
                bar.update(len(chances))
        return np.concatenate(parts)

    def _at_starts(self, finder: PlanSearch) -> Chances:
        """Return the chances (episodes, draws) of first plans; noise n is that of noise seed n."""
        target = self._target
        with progress_bar('looking at starts', len(target.seeds), 'start') as bar:
            seen = rollout.first_observations(
                target.model, target.scenario, target.seeds, target.options.workers,
                on_done=lambda _: bar.update())
        shape = load_policy(target.model).chunk_shape
        noises = np.stack([chunk_noise(n, 0, *shape) for n in range(target.options.draws)])
        return np.stack([finder.at(observation, noises) for observation in seen])


def searched(where: str, chances: Chances, sample: bool = False) -> Searched:
    """Return the figures of chances (places, draws); places that are a `sample` have a bound."""
    found = chances > 0.5
    places = int(found.any(1).sum())
    return Searched(where, len(chances), chances.shape[1], places,
                    upper_bound(places, len(chances)) if sample else None, int(found.sum()),
                    float(chances.max()))


def worst_starts(chances: Chances, seeds: Iterable[int], most: int) -> list[NoisyStart]:
    """Return starts, the greatest chance (seeds, noises) first: of one seed ten at most."""
    ranked = [(-float(row[noise]), seed, int(noise))
              for seed, row in zip(seeds, chances, strict=True)
              for noise in np.argsort(-row, kind='stable')[:_OF_ONE_START]]
    return [NoisyStart(seed, noise) for _, seed, noise in sorted(ranked)[:most]]
