# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The base of all policy classes: from observation, pictures and noise to an action chunk."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uncloning_ros.contract import Interface, PolicyTiming
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.encoder import FEATURES, Encoder
from uncloning_ros.learning.normaliser import Normaliser
from uncloning_ros.learning.windows import Windows

_VALIDATION_WINDOWS = 2048


class Policy(nn.Module, ABC):
    """A policy that can be trained, edited and exported.

    A subclass adds the network. Conditions (B, C) and flat clean chunks (B, D) are in the units
    of `normaliser`, which every policy has and no training changes. With cameras a condition
    has the features of their pictures behind it; `eyes` are the encoders, in the order of
    `cameras`, their keys. Training moves them, an edit does not.

    A policy that `chooses` picks one of several chunks, and `predicted` tells nothing of how
    likely each is. `likelihood` names what `surprise` returns: the `density` of chunks, or the
    probability of their `tokens`.
    """

    ROWS = 4096  # chunks that are predicted at once
    chooses = False
    likelihood = ''
    says_intent = False  # whether `forward` returns intents too

    def __init__(self, interface: Interface, timing: PolicyTiming) -> None:
        super().__init__()
        self.normaliser = Normaliser(interface, timing)
        self.cameras = tuple(camera.key for camera in interface.cameras)
        self.eyes = nn.ModuleList(Encoder(camera.shape) for camera in interface.cameras)
        self.condition_dim = self.normaliser.condition_dim + FEATURES * len(self.eyes)
        self.chunk_dim = math.prod(self.normaliser.chunk_shape)
        # From conditions (B, C) to doubts (B, 1): a head of exported policies, no part of a run.
        self.doubt: nn.Module | None = None

    def fit(self, windows: Windows, generator: torch.Generator) -> None:
        """Take from training windows what no step changes; most classes need nothing.

        With cameras the windows lack their features.
        """

    @classmethod
    def obstacles(cls, dataset: Dataset) -> dict[int, str]:
        """Return the reason for each episode, by its index, that the class cannot learn from."""
        return {}

    @property
    def episode_noise(self) -> int:
        """The number of values at the end of the noise that have to stay through an episode."""
        return 0

    @abstractmethod
    def losses(self, windows: Windows, picks: Tensor, generator: torch.Generator) -> Tensor:
        """Return the training loss (B,) of each picked window (B,)."""

    @abstractmethod
    def predicted(self, windows: Windows, picks: Tensor,
                  generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return one clean chunk (B, D) for each picked window as training predicts it.

        The second value is the share in [0, 1] of the chunk that was hidden from the network
        (B,). Reports sort the predictions by it; a policy that never sees the chunk returns 1.
        """

    @abstractmethod
    def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Return a clean chunk (B, D) for each condition (B, C) and standard normal noise (B, D).

        The same noise gives the same chunk.
        """

    def surprise(self, windows: Windows) -> Tensor | None:
        """Return the negative log-likelihood (N,) of windows in nats; None of most classes."""
        return None

    def features(self, pictures: Sequence[Tensor]) -> Tensor:
        """Return features (B, F) of a picture of each camera, (B, height, width, channels)."""
        return torch.cat([eye(seen) for eye, seen in zip(self.eyes, pictures, strict=True)], 1)

    def draw(self, conditions: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """Return `count` random clean chunks (B, count, D) for each condition (B, C)."""
        return self.own(conditions, count, generator)[0]

    @torch.no_grad()
    def own(self, conditions: Tensor, count: int,
            generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return chunks as `draw` does, and the intents of windows of them, None without any."""
        repeated = conditions.repeat_interleave(count, 0)
        noise = torch.randn(len(repeated), self.chunk_dim, generator=generator)
        shape, said = (len(conditions), count, -1), self.said(repeated, noise)
        return (self.plan(repeated, noise).view(shape),
                None if said is None else said.view(shape))

    def said(self, conditions: Tensor, noise: Tensor) -> Tensor | None:
        """Return the intents of windows of these plans, by their noise (B, D); None of most."""
        return None

    @torch.no_grad()
    def validation_loss(self, windows: Windows) -> float | None:
        """Return the mean loss on windows, always with the same randomness; None without any."""
        if not len(windows):
            return None
        generator = torch.Generator().manual_seed(0)
        picks = torch.randint(len(windows), (_VALIDATION_WINDOWS,), generator=generator)
        return float(self.losses(windows, picks, generator).mean())

    def forward(self, observation: Tensor, noise: Tensor,
                *pictures: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return action chunks (B, horizon, action_dim), float32, in the contract's units.

        `observation` is (B, history, obs_dim), oldest first; `noise` is standard normal,
        (B, horizon, action_dim); `pictures` are uint8 (B, height, width, channels), one of each
        camera. Behind the chunks come the intents of a policy that says them, then the doubts
        (B, 1) of one with a head for them. This is the graph that is exported.
        """
        condition = self.condition(observation, pictures)
        answer = self.answer(observation, condition, noise)
        if self.doubt is None:
            return answer if len(answer) > 1 else answer[0]
        return *answer, self.doubt(condition)

    def answer(self, observation: Tensor, condition: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """Return the chunks, and the intents of a policy that says them, at conditions (B, C)."""
        clean = self.plan(condition, noise.flatten(1))
        return (self.normaliser.restore(observation, clean),)

    def condition(self, observation: Tensor, pictures: Sequence[Tensor]) -> Tensor:
        """Return the condition (B, C) of inputs as `forward` takes them."""
        condition = self.normaliser.condition(observation)
        if self.cameras:
            condition = torch.cat([condition, self.features(pictures)], 1)
        return condition
