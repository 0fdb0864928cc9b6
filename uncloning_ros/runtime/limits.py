# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hardware limits of the commands: unusable ones are rejected, those beyond a limit clamped.

The limits do not steer: a policy that is fit for use runs with every count at zero.
"""

import math

import numpy as np

from uncloning_ros.contract import Contract, Limits, Signal
from uncloning_ros.geometry import (
    Array,
    pose_from_parts,
    quaternion_from_rotation,
    rotation_from_quaternion,
    single_rotation,
)

# The columns of a rotation have length 1; a network's are near that. Far above it the output
# is garbage, and squares of it could overflow.
_MOST_COLUMN = 1e3
# Rounding in a step of exactly the allowed length must not count as a violation.
_SLACK = 1e-9

COUNTS = ('rejected', 'workspace', 'jump', 'rotation_jump', 'speed', 'rotation_speed',
          'joint_limit', 'joint_jump', 'joint_speed')
_OF_VECTORS = 'vector_limit', 'vector_jump', 'vector_speed'


class Limiter:
    """Bring each command into the limits of the deployment, and count the changes.

    `counts` are the rejected commands (not finite, or without a rotation) and the clamped ones,
    by limit; vectors have limits of their own. Three bounds hold for a command, each stronger
    than the one before: the distance from the measured arm (an arm that is held back must not be
    pulled at ever harder), workspace, joint limits or the span of a vector, and the distance from
    the command before it (speed; successive commands are one command period apart). So no command
    leaps, and once within workspace, joint limits and spans commands stay there.
    """

    def __init__(self, contract: Contract) -> None:
        self._actions = contract.interface.actions
        self._slices = contract.interface.action_slices
        limits = contract.deployment.limits
        self._spans = {signal.key: allowed_spans(signal, limits) for signal in self._actions}
        self._jump_m, self._jump_rad = limits.jump_m, limits.jump_rad
        period_s = 1.0 / contract.deployment.command_rate_hz
        self._step_m = limits.speed_m_s * period_s
        self._step_rad = limits.rotation_speed_rad_s * period_s
        self._joint_step_rad = limits.joint_speed_rad_s * period_s
        self._vectors = {key: (math.inf if one.jump is None else one.jump,
                               one.step_per_s * period_s) for key, one in limits.vectors.items()}
        kinds = {action.kind for action in self._actions}
        self._names = (*(COUNTS[:1] if kinds == {'vector'} else COUNTS),
                       *(_OF_VECTORS if 'vector' in kinds else ()))
        self.counts: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        """Set every count to zero."""
        self.counts = dict.fromkeys(self._names, 0)

    def inside(self, signal: Signal, measured: Array) -> bool:
        """Tell whether a measured state (dim,) is where `signal` may be commanded to at all."""
        spans = self._spans[signal.key]
        if spans is None:
            return True
        low, high = spans
        measured = measured[:len(low)]
        return bool(np.all(measured >= low) and np.all(measured <= high))

    def apply(self, command: Array, previous: Array, measured: Array) -> Array | None:
        """Return the command (action_dim,) within the limits, None for a rejected one.

        `previous` is the command before it, `measured` the measured state in the layout of a
        command; the former is the latter for the first command. Both are finite. Poses come back
        with orthonormal rotation columns, widths not below 0.
        """
        if not np.isfinite(command).all():
            self.counts['rejected'] += 1
            return None
        limited = np.array(command, dtype=np.float64)
        for signal in self._actions:
            part = self._slices[signal.key]
            value = self._limit(signal, limited[part], previous[part], measured[part])
            if value is None:
                self.counts['rejected'] += 1
                return None
            limited[part] = value
        return limited

    def _limit(self, signal: Signal, value: Array, previous: Array,
               measured: Array) -> Array | None:
        spans = self._spans[signal.key]
        if spans is None:
            # A network says 'closed' with a width just below 0; that is not a violation.
            return np.maximum(value, 0.0)
        if signal.kind == 'pose':
            return self._limit_pose(value, previous, measured, *spans)
        kind, jump, step = 'joint', self._jump_rad, self._joint_step_rad
        if signal.kind == 'vector':
            kind, (jump, step) = 'vector', self._vectors[signal.key]
        value = self._clamp(f'{kind}_jump', value, measured - jump, measured + jump)
        value = self._clamp(f'{kind}_limit', value, *spans)
        return self._clamp(f'{kind}_speed', value, previous - step, previous + step)

    def _limit_pose(self, value: Array, previous: Array, measured: Array, low: Array,
                    high: Array) -> Array | None:
        if np.abs(value[3:]).max() > _MOST_COLUMN:
            return None
        try:
            rotation = single_rotation(value[3:].tolist())
        except ValueError:
            return None
        position = self._shorten('jump', value[:3], measured[:3], self._jump_m)
        position = self._clamp('workspace', position, low, high)
        position = self._shorten('speed', position, previous[:3], self._step_m)
        rotation = self._turn_less('rotation_jump', rotation,
                                   single_rotation(measured[3:].tolist()), self._jump_rad)
        rotation = self._turn_less('rotation_speed', rotation,
                                   single_rotation(previous[3:].tolist()), self._step_rad)
        return pose_from_parts(position, rotation)

    def _clamp(self, limit: str, value: Array, low: Array, high: Array) -> Array:
        clamped: Array = np.minimum(np.maximum(value, low), high)
        self._count(limit, float(np.abs(clamped - value).max()))
        return clamped

    def _shorten(self, limit: str, position: Array, origin: Array, most_m: float) -> Array:
        step = position - origin
        length = math.sqrt(float(step @ step))
        if not self._count(limit, length - most_m):
            return position
        shorter: Array = origin + step * (most_m / length)
        return shorter

    def _turn_less(self, limit: str, rotation: Array, origin: Array, most_rad: float) -> Array:
        # As `rotation_angle_between`, in a fraction of the time.
        cosine = (float(np.vdot(origin, rotation)) - 1.0) / 2.0
        angle = math.acos(min(1.0, max(-1.0, cosine)))
        if not self._count(limit, angle - most_rad):
            return rotation
        return _turn(origin, rotation, most_rad / angle)

    def _count(self, limit: str, excess: float) -> bool:
        """Count a violation if `excess` is above rounding, and tell whether it is."""
        violated = excess > _SLACK
        self.counts[limit] += violated
        return violated


def allowed_spans(signal: Signal, limits: Limits) -> Array | None:
    """Return the [low, high] (2, n) of an action's position or values, None without limits."""
    if signal.kind == 'pose':
        return np.array([limits.workspace_min_m, limits.workspace_max_m])
    if signal.kind == 'joint_positions':
        return np.array([limits.joint_limits_rad[name] for name in signal.names]).T
    if signal.kind == 'vector':
        return np.array([limits.vectors[signal.key].min, limits.vectors[signal.key].max])
    assert signal.kind == 'gripper_width', f'no limits for the kind {signal.kind!r}'
    return None


def _turn(start: Array, end: Array, fraction: float) -> Array:
    """Return the rotation `fraction` of the way from `start` to `end`, by the short way.

    Spherical interpolation of quaternions (Shoemake, SIGGRAPH 1985).
    """
    a, b = quaternion_from_rotation(start), quaternion_from_rotation(end)
    cosine = float(np.dot(a, b))
    if cosine < 0:
        b, cosine = -b, -cosine
    theta = math.acos(min(cosine, 1.0))
    q = (math.sin((1 - fraction) * theta) * a + math.sin(fraction * theta) * b) / math.sin(theta)
    return rotation_from_quaternion(q)
