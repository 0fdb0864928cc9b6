# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of a training and of an edit, with their defaults; the command line is built on them.

This module imports no torch, so that `--help` is quick.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated

from uncloning_ros.errors import CheckpointError
from uncloning_ros.schema import Count, Note, Positive, Range, Rate

REGRESSION, MIXTURE, CATEGORICAL, FLOW, PLAN = (
    'regression', 'mixture', 'categorical', 'flow', 'plan')
# The classes of policies, keys of `policies.POLICIES`.
POLICY_KINDS = (REGRESSION, MIXTURE, CATEGORICAL, FLOW, PLAN)


@dataclass(frozen=True)
class NetworkOptions:
    """The network of a policy: its size, and its kind, one of `POLICY_KINDS`."""

    width: Positive
    depth: Positive
    kind: str = FLOW


@dataclass(frozen=True)
class PictureOptions:
    """How pictures are trained on.

    `draws` is the number of noise draws for each picture of a batch: a further one costs far less
    than a further picture. Each picture is moved by up to `shift_px`, and its light is changed by
    up to the share `light`.
    """

    draws: Positive
    shift_px: Count
    light: Rate


@dataclass(frozen=True)
class TrainingOptions:
    """How a run was trained; the same options and data give the same weights.

    `only_modes` is empty for all modes; `pictures` is None without cameras.
    """

    steps: Positive
    batch_size: Positive
    learning_rate: Annotated[float, Range(0.0)]
    seed: Count
    threads: Positive
    only_modes: Annotated[tuple[str, ...], Note.DISTINCT, Note.MAY_BE_EMPTY]
    pictures: PictureOptions | None = None


# About a million parameters: 13 ms for an update of 256 windows on two cores, and an exported
# file of 4 MiB.
NETWORK = NetworkOptions(width=256, depth=6)
# Defaults; with cameras the command line replaces `threads` by the number of cores.
TRAINING = TrainingOptions(steps=15000, batch_size=256, learning_rate=1e-3, seed=0, threads=1,
                           only_modes=())

# Defaults with cameras. On 360 demonstrations the validation loss rises once pictures are not
# varied any more (from 0.0536 to 0.0549 in 2000 steps), so they are to the end.
CAMERA_TRAINING = replace(TRAINING, steps=10000, batch_size=64,
                          pictures=PictureOptions(draws=4, shift_px=2, light=0.1))

SELF_DISTILLATION, REDIRECT, FINE_TUNE = 'self-distillation', 'redirect', 'fine-tune'
# The method without steps, of policies that draw their mode.
LOCK = 'lock'


@dataclass(frozen=True)
class Method:
    """The defaults of a method of the edit; the fields are those of `EditOptions`."""

    gamma: float
    tau: float | None
    retarget: float


# The other methods are references: they retarget nothing, as published.
METHODS: Mapping[str, Method] = MappingProxyType({
    SELF_DISTILLATION: Method(gamma=0.5, tau=None, retarget=0.75),
    REDIRECT: Method(gamma=0.02, tau=0.5, retarget=0.0),
    FINE_TUNE: Method(gamma=0.0, tau=None, retarget=0.0)})

# Number of kept demonstrations up to which they are retargeted; with 50 nothing was gained.
FEW_DEMONSTRATIONS = 30


@dataclass(frozen=True)
class EditOptions:
    """How to edit a policy.

    `gamma` is the weight of the method's loss, beside the loss on kept modes; 0 for a fine-tune.
    `tau` belongs to the redirect, None for others: a sample of a removed mode is redirected
    while the classifier gives its own mode a lower probability. `retarget` in [0, 1) is the
    largest share of retargeted demonstrations in a batch of kept modes. With `trust_labels` the
    labels are taken as they are, and episodes without one take no part. Raise `CheckpointError`
    for an unknown method and for a value that does not go with the method.
    """

    remove: tuple[str, ...]
    method: str
    gamma: float
    tau: float | None
    retarget: float
    steps: int
    batch_size: int
    learning_rate: float
    seed: int
    threads: int
    trust_labels: bool = False

    def __post_init__(self) -> None:
        if self.method not in (*METHODS, LOCK):
            raise CheckpointError(f'expected a method of {", ".join((*METHODS, LOCK))}, got '
                                  f'{self.method!r}')
        if not 0.0 <= self.retarget < 1.0:
            raise CheckpointError(f'expected retarget in [0, 1), got {self.retarget}; '
                                  f'choose a share below 1')
        if self.method == REDIRECT and self.tau is None:
            raise CheckpointError('expected a tau with the method redirect, got None')
        if self.method != REDIRECT and self.tau is not None:
            raise CheckpointError(f'--tau belongs to --method redirect, got {self.tau:g} with '
                                  f'{self.method}; leave it out')
        if self.method == FINE_TUNE and self.gamma != 0.0:
            raise CheckpointError(f'--method fine-tune has no loss of its own for --gamma to '
                                  f'weigh, got {self.gamma:g}; leave it out')


# Nothing but `remove` has a meaning.
LOCKED = EditOptions(remove=(), method=LOCK, gamma=0.0, tau=None, retarget=0.0, steps=0,
                     batch_size=0, learning_rate=0.0, seed=0, threads=1)
EDIT = EditOptions(remove=(), method=FINE_TUNE, gamma=0.0, tau=None, retarget=0.75, steps=450,
                   batch_size=256, learning_rate=3e-4, seed=0, threads=1)
# From incidents alone there are no demonstrations to retarget. Own chunks are all that moves the
# policy: on knife, with a gamma of 1 three times as many plans of the removed mode were left.
# Turning back is a long motion that nothing before has shown: 450 steps taught it to few.
FROM_CORRECTIONS = replace(EDIT, retarget=0.5, steps=1500)
FROM_INCIDENTS = replace(EDIT, method=SELF_DISTILLATION, gamma=4.0, retarget=0.0)
