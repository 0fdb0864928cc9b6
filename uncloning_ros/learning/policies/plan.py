# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plan: first the mode, then the key poses of the arm given the mode, then the chunk given both.

A head predicts the probabilities of the modes at the condition, and noise draws one of them. A
second head predicts the key poses. The flow's denoiser sees mode and key poses beside the
condition. It is trained with the demonstrated mode, and with the key poses that the second head
predicts, for these it will be given. In demonstrations that the head has seen it is surer of them
than it ever will be, so they are made uncertain.

The mode is the first arrival of a race (exponential clocks): mode k takes E_k / p_k, where
2 E_k = z^2 + z'^2 of two standard normal values of the noise. Of the modes that the observation
leaves open, the first one stays the first while their odds stay, so fixed values draw one mode
through an episode, and late in it the one that the observation shows.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from uncloning_ros.contract import KINDS, Interface, PolicyTiming
from uncloning_ros.demos.dataset.key_poses import unplanned
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import ContractError
from uncloning_ros.learning.policies.flow import FlowPolicy
from uncloning_ros.learning.policies.network import Network
from uncloning_ros.learning.windows import Windows
from uncloning_ros.policy_io import KEY_POSES

_WIDTH, _DEPTH = 128, 1  # of both heads: larger ones cost time, and learn episodes by heart
# Spreads of the noise on conditions from which the heads learn: without it they know the start of
# each demonstration by heart, and what followed. Places have to be told more exactly than modes.
_MODE_BLUR, _POSE_BLUR = 0.6, 0.3
# Spread of the noise on key poses from which the denoiser learns: about their error in
# demonstrations that the head has not seen, a few cm. Without it two of forty episodes never
# went to the hand.
_DOUBT = 0.5
_WEIGHT = 0.1  # of the heads' losses: their gradients must not use up the limit of the chunk's
_LEAST_WAIT = 1e-6  # so that noise of zeros draws the most probable mode
_SHARPNESS = 1e6  # of the step that tells the first arrival


NEVER = -1e4  # bias of a mode that is never drawn: its probability is 0 in float32


class PlanPolicy(FlowPolicy):
    """A policy that says mode and key poses, and follows them."""

    says_intent = True
    pose_mean: Tensor
    pose_std: Tensor

    def __init__(self, interface: Interface, timing: PolicyTiming, width: int,
                 depth: int) -> None:
        modes, poses = len(interface.modes), 9 * len(KEY_POSES)
        super().__init__(interface, timing, width, depth, modes + poses)
        self.modes = modes
        self.mode_head = Network(self.condition_dim, self.modes, _WIDTH, _DEPTH)
        self.pose_head = _Poses(self.condition_dim + modes, poses)
        self.register_buffer('pose_mean', torch.zeros(poses))
        self.register_buffer('pose_std', torch.ones(poses))

    @classmethod
    def obstacles(cls, dataset: Dataset) -> dict[int, str]:
        """Return the reason for each episode without a mode or a key pose.

        Raise `ContractError` if a chunk has too few values of noise to draw the mode.
        """
        interface, timing = dataset.contract.interface, dataset.contract.policy
        needed, values = 2 * len(interface.modes), timing.horizon * interface.action_dim
        if needed > values:
            raise ContractError(f'expected a chunk of at least {needed} values, two for each of '
                                f'the {len(interface.modes)} modes that a plan policy draws, got '
                                f'{values}, horizon times the values of an action; give a longer '
                                f'horizon, or train another --policy')
        return unplanned(dataset)

    @property
    def episode_noise(self) -> int:
        """The number of values of the noise that draw the mode: the last ones of a chunk."""
        return 2 * self.modes

    def fit(self, windows: Windows, generator: torch.Generator) -> None:
        """Take mean and spread of the key poses."""
        assert windows.intents is not None, 'windows of a dataset with key poses'
        poses = windows.intents[:, self.modes:].double()
        poses = poses[~poses.isnan().any(1)]
        floors = torch.tensor(KINDS['pose'].floors).repeat(len(KEY_POSES))
        self.pose_mean.copy_(poses.mean(0))
        self.pose_std.copy_(torch.maximum(poses.std(0), floors))

    def losses(self, windows: Windows, picks: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss (B,) of modes, key poses and chunk of each picked window.

        A window without a mode or key poses has no loss of these.
        """
        conditions = windows.conditions[picks]
        modes, poses = self._known(windows, picks)
        blur = torch.randn(conditions.shape, generator=generator)
        of_mode = -(self.mode_head(conditions + _MODE_BLUR * blur).log_softmax(1)
                    * modes.nan_to_num()).sum(1)
        guided = self._guided(windows, picks, generator)
        followed = guided.conditions[:, self.condition_dim:self.condition_dim + self.modes]
        said = self.pose_head(torch.cat([conditions + _POSE_BLUR * blur, followed], 1))
        wanted = (poses - self.pose_mean) / self.pose_std
        of_poses = (said - wanted.where(~wanted.isnan(), said.detach())).square().mean(1)
        doubt = torch.zeros_like(guided.conditions)
        doubt[:, self.condition_dim + self.modes:].normal_(0.0, _DOUBT, generator=generator)
        guided = replace(guided, conditions=guided.conditions + doubt)
        chunks = super().losses(guided, torch.arange(len(picks)), generator)
        return chunks + _WEIGHT * (of_mode + of_poses)

    def predicted(self, windows: Windows, picks: Tensor,
                  generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return clean chunks (B, D) given the windows' own modes, and their noise levels (B,)."""
        return super().predicted(self._guided(windows, picks, generator),
                                 torch.arange(len(picks)), generator)

    def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Return clean chunks (B, D)."""
        return super().plan(torch.cat([conditions, *self._said(conditions, noise)[1:]], 1), noise)

    def said(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Return the drawn modes (B, modes + 27), no key poses: those of a plan may be wrong."""
        drawn = self._said(conditions, noise)[1]
        return torch.cat([drawn, torch.full((len(drawn), len(self.pose_mean)), torch.nan)], 1)

    def answer(self, observation: Tensor, condition: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """Return action chunks as the base does, and intents (B, 2 modes + 27), float32.

        An intent holds the probabilities of the modes, 1 for the drawn one and 0 for others, and
        the key poses in the contract's units.
        """
        flat = noise.flatten(1)
        probabilities, drawn, poses = self._said(condition, flat)
        clean = super().plan(torch.cat([condition, drawn, poses], 1), flat)
        intent = torch.cat([probabilities, drawn, poses * self.pose_std + self.pose_mean], 1)
        return self.normaliser.restore(observation, clean), intent

    def lock(self, mode: int) -> bool:
        """Never draw a mode again: its row of the head becomes zero, its bias very low.

        Return whether it was locked before, so that nothing changed.
        """
        last = self.mode_head[-1]
        assert isinstance(last, nn.Linear)
        before = bool(last.bias[mode] == NEVER) and not bool(last.weight[mode].any())
        with torch.no_grad():
            last.weight[mode] = 0.0
            last.bias[mode] = NEVER
        return before

    def _said(self, conditions: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return probabilities and drawn mode (B, modes), and normalised key poses (B, 27)."""
        probabilities = self.mode_head(conditions).softmax(1)
        drawn = first_arrival(probabilities, noise)
        return probabilities, drawn, self.pose_head(torch.cat([conditions, drawn], 1))

    def _known(self, windows: Windows, picks: Tensor) -> tuple[Tensor, Tensor]:
        """Return modes (B, modes) and key poses (B, 27) of windows, NaN where unknown."""
        if windows.intents is None:
            return (torch.full((len(picks), self.modes), torch.nan),
                    torch.full((len(picks), len(self.pose_mean)), torch.nan))
        found = windows.intents[picks]
        return found[:, :self.modes], found[:, self.modes:]

    def _guided(self, windows: Windows, picks: Tensor, generator: torch.Generator) -> Windows:
        """Return windows as the denoiser sees them: behind the condition mode and key poses.

        The mode is the window's own, a drawn one where it is unknown.
        """
        conditions, modes = windows.conditions[picks], self._known(windows, picks)[0]
        noise = torch.randn(len(picks), self.episode_noise, generator=generator)
        with torch.no_grad():
            drawn = first_arrival(self.mode_head(conditions).softmax(1), noise)
            followed = torch.where(modes.isnan(), drawn, modes)
            said = self.pose_head(torch.cat([conditions, followed], 1))
        return Windows(torch.cat([conditions, followed, said], 1), windows.clean[picks])


class _Poses(nn.Module):
    """A line and what it lacks: places of tool and hand are among the inputs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.line = nn.Linear(inputs, outputs)
        self.rest = Network(inputs, outputs, _WIDTH, _DEPTH)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return normalised key poses (B, outputs)."""
        found: Tensor = self.line(inputs) + self.rest(inputs)
        return found


def first_arrival(probabilities: Tensor, noise: Tensor) -> Tensor:
    """Return 1 for the mode (B, modes) that the last values of noise (B, D) draw, 0 for others.

    Of operators that an exported graph may have.
    """
    count = int(probabilities.shape[1])
    one, two = noise[:, -2 * count:-count], noise[:, -count:]
    pace = probabilities / (0.5 * (one * one + two * two) + _LEAST_WAIT)
    fastest = pace[:, :1]
    for mode in range(1, count):
        fastest = torch.maximum(fastest, pace[:, mode:mode + 1])
    return ((pace / fastest - 1.0) * _SHARPNESS + 1.0).clamp(0.0, 1.0)
