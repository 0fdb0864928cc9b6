# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plan of trials on a real robot, fixed and sealed with its digest before the first trial.

It says how many trials there are, from which starts, of which models, when they may end, and which
limits are claimed. Two models run in blocks of two trials from the same start, in random order,
under the labels A and B; a key in a file of its own tells which is which, and the plan has its
digest.
"""

import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from uncloning_ros.contract import Contract
from uncloning_ros.errors import TrialError, counted
from uncloning_ros.evidence import digest_of
from uncloning_ros.files import read_json
from uncloning_ros.runtime.inference import OnnxPolicy
from uncloning_ros.schema import (
    Count,
    Doc,
    Note,
    Positive,
    Range,
    Rate,
    Sha256,
    canonical_sha256,
    plain,
    read,
)
from uncloning_ros.trials.starts import Start

LABELS = ('A', 'B')
ALPHA = 0.05
_MOST_BYTES = 2**24
# Hexadecimal digits as letters: a spreadsheet takes 12e45678 for a number.
_LETTERS = str.maketrans('0123456789abcdef', 'abcdefghijklmnop')
_CODE = 8  # letters

Alpha = Annotated[float, Range(1e-6, 0.5)]
Stopping = Literal['fixed', 'anytime']
_Text = Annotated[str, Note.MAY_BE_EMPTY]


@dataclass(frozen=True)
class PlannedModel:
    """An exported policy by its digests, with the deployment part that runs on the robot."""

    model: Annotated[str, Doc('name of the file')]
    model_sha256: Annotated[Sha256, Doc('of the whole file')]
    interface_sha256: Annotated[Sha256, Doc("of the contract's interface")]
    policy_sha256: Annotated[Sha256, Doc("of the contract's policy timing")]
    deployment_sha256: Annotated[Sha256, Doc('of the deployment part that runs on the robot')]


@dataclass(frozen=True)
class Trial:
    """One trial: where it starts, and with two models the label of the one that runs."""

    trial: Annotated[Positive, Doc('its number')]
    start: Annotated[Mapping[str, _Text], Doc('each quantity of the start as it is set up')]
    label: Annotated[str, Doc('A or B, with two models')] = ''


@dataclass(frozen=True)
class TrialKey:
    """The model behind each label; the salt keeps its digest from being guessed."""

    SCHEMAS: ClassVar = ('uncloning/trial_key@1',)

    salt: Annotated[str, Doc('random')]
    labels: Annotated[Mapping[str, Sha256], Doc('sha256 of the model behind each label')]

    @property
    def sha256(self) -> str:
        """Return the digest that the plan has."""
        return canonical_sha256(plain(self))


@dataclass(frozen=True)
class TrialPlan:
    """All that is fixed before the first trial."""

    SCHEMAS: ClassVar = ('uncloning/trial_plan@1',)

    digest: Annotated[Sha256, Doc('of the canonical JSON without this field')]
    task: Annotated[_Text, Doc('the task in words')]
    stopping: Annotated[Stopping, Doc('fixed: all trials are run; anytime: any of them is the '
                                      'last')]
    max_umr: Annotated[Rate | None, Doc('the bound of UMR must not be above; null: not stated')]
    min_sr: Annotated[Rate | None, Doc('the bound of SR must not be below; null: not stated')]
    modes: Annotated[Mapping[str, bool], Doc('modes of the contract, whether each is desired')]
    models: Annotated[tuple[PlannedModel, ...], Doc('one or two, in the order of their digests')]
    seed: Annotated[Count, Doc('of the draw of starts and of the order in the blocks')]
    trials: Annotated[tuple[Trial, ...], Doc('in the order in which they are run')]
    alpha: Annotated[Alpha | None, Doc('chance to find a difference of two equal models')] = None
    key_sha256: Annotated[Sha256 | None, Doc('of the key to the labels')] = None
    simulated_digest: Annotated[Sha256 | None, Doc('of the evidence whose starts are used')] = None

    def as_read(self) -> 'TrialPlan':
        """Return the plan; raise `TrialError` where its trials are not in order."""
        if [one.trial for one in self.trials] != list(range(1, len(self.trials) + 1)):
            raise TrialError(f'trials: expected numbers from 1 to {len(self.trials)} in order, '
                             f'got others; make the plan again')
        blocks = [sorted(one.label for one in block) for block in self.blocks]
        labels = list(LABELS) if len(self.models) == 2 else ['']
        if len(self.models) > 2 or any(block != labels for block in blocks):
            raise TrialError(f'trials: expected blocks of {" and ".join(labels) or "one trial"}, '
                             f'got others; make the plan again')
        if len({self.alpha is None, self.key_sha256 is None, len(self.models) == 1}) > 1:
            raise TrialError('expected alpha and key_sha256 with two models, and only then, got '
                             'others; make the plan again')
        return self

    @property
    def code(self) -> str:
        """Return the beginning of the digest in letters, which results have to carry."""
        return self.digest[:_CODE].translate(_LETTERS)

    @property
    def blocks(self) -> list[tuple[Trial, ...]]:
        """Return the trials in blocks, which have one trial of each model."""
        size = len(self.models)
        return [self.trials[i:i + size] for i in range(0, len(self.trials), size)]

    @property
    def ending(self) -> str:
        """Return the stopping rule in words."""
        count = counted(len(self.trials), 'trial')
        return {'fixed': f'all {count} are run, then counted',
                'anytime': f'may end after any trial, at most {count}'}[self.stopping]


def planned_model(policy: OnnxPolicy, name: str, robot: Contract | None) -> PlannedModel:
    """Return a policy of a plan; `robot` brings the deployment part, None for the model's own."""
    contract = policy.contract
    deployment = (robot or contract).deployment
    return PlannedModel(name, policy.sha256, contract.interface.sha256, contract.policy.sha256,
                        deployment.sha256)


def make_key(models: Sequence[PlannedModel]) -> TrialKey:
    """Return a key that gives each of two models a random label."""
    digests = [one.model_sha256 for one in models]
    secrets.SystemRandom().shuffle(digests)
    return TrialKey(secrets.token_hex(16), dict(zip(LABELS, digests, strict=True)))


def trials_from(starts: Sequence[Start], models: int, rng: random.Random) -> tuple[Trial, ...]:
    """Return a block of trials for each start: one trial, or A and B in random order."""
    labels = [rng.sample(LABELS, 2) if models == 2 else [''] for _ in starts]
    both = [(start, label) for start, block in zip(starts, labels, strict=True) for label in block]
    return tuple(Trial(i, start, label) for i, (start, label) in enumerate(both, 1))


def sealed(plan: TrialPlan) -> TrialPlan:
    """Return a plan with its digest."""
    return replace(plan.as_read(), digest=digest_of(plain(plan)))


def read_plan(path: Path) -> TrialPlan:
    """Read a plan; raise `TrialError` for one that was changed."""
    data = read_json(path, TrialError, 'make it with uncloning evidence trial-plan', _MOST_BYTES)
    return plan_of(data, str(path))


def plan_of(data: object, where: str) -> TrialPlan:
    """Return the plan in plain data; raise `TrialError` for one that was changed."""
    plan = read(TrialPlan, data, where, TrialError)
    if plan.digest != (actual := digest_of(plain(plan))):
        raise TrialError(f'{where} was changed after it was made: expected the digest '
                         f'{plan.digest}, got {actual}; take the plan as it was made, or make a '
                         f'new one for new trials')
    return plan


def read_key(path: Path, plan: TrialPlan) -> TrialKey:
    """Read the key to the labels of a plan; raise `TrialError` for that of another one."""
    key = read(TrialKey, read_json(path, TrialError, 'give the key that was made with the plan',
                                   _MOST_BYTES), str(path), TrialError)
    require_key(key, plan, str(path))
    return key


def require_key(key: TrialKey, plan: TrialPlan, where: str) -> None:
    """Raise `TrialError` unless this is the key that was made with the plan."""
    if key.sha256 != plan.key_sha256:
        raise TrialError(f'{where}: expected the key {plan.key_sha256} of the plan {plan.code}, '
                         f'got {key.sha256}; give the key that was made with the plan')
    if (tuple(key.labels) != LABELS or sorted(key.labels.values())
            != [model.model_sha256 for model in plan.models]):
        raise TrialError(f'{where}: expected A and B as labels of the two models of the plan '
                         f'{plan.code}, got others; make the plan again')
