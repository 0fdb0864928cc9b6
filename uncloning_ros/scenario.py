# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One handover scenario as data: tool, start distribution, receiver, modes, unsafe events.

A new tool is a new file under config/scenarios/ and needs no code. Angles are degrees in the
file, because people write it, and radians in the dataclasses.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from uncloning_ros.errors import ScenarioError, near_miss
from uncloning_ros.schema import Fields, canonical_sha256, read_yaml
from uncloning_ros.share import share_path

SCHEMA = 'uncloning/scenario@1'

Vector = tuple[float, float, float]
Span = tuple[float, float]

POSTURES = ('standing', 'seated')
# Where a tool waits for the hand unless its mode says otherwise: near the arm, and low.
_CARRY_M: Vector = (0.34, 0.0, 0.30)


@dataclass(frozen=True)
class ToolPart:
    """A box of the tool: full edge lengths and centre in the tool's frame, in m; RGB in 0..1."""

    name: str
    size_m: Vector
    center_m: Vector
    color: Vector


@dataclass(frozen=True)
class Tool:
    """The object that is handed over; its +x runs from handle to tip.

    `heel_m` to `tip_m` is the hazardous edge, or with `hazard_radius_m` above 0 the axis of a
    hazardous body so thick; `handle_point_m` is where the blade-to-hand angle is measured from.
    All in the tool's frame. Points of contact that have come apart by `contact_breaking_m` are
    forgotten; None leaves it to the physics engine.
    """

    mass_kg: float
    friction: float
    contact_breaking_m: float | None
    parts: Mapping[str, ToolPart]
    hazard_part: str
    heel_m: Vector
    tip_m: Vector
    hazard_radius_m: float
    handle_point_m: Vector


@dataclass(frozen=True)
class StartRanges:
    """What each episode draws evenly, in the base frame."""

    object_position_min_m: Span
    object_position_max_m: Span
    object_yaw_rad: Span
    stand_height_m: float
    hand_position_min_m: Vector
    hand_position_max_m: Vector
    hand_yaw_jitter_rad: float
    arm_position_jitter_m: float


@dataclass(frozen=True)
class ReceiverRanges:
    """How the person reaches, takes and pulls; `posture` says where the body is."""

    reaction_s: Span
    reach_s: Span
    tremor_m: float
    grasp_reach_m: float
    grasp_dwell_s: Span
    pull_n: Span
    release_dwell_s: float
    posture: str


@dataclass(frozen=True)
class Tracking:
    """Noise, latency and dropout of the tracked poses (object and hand), noise of the force."""

    position_noise_m: float
    rotation_noise_rad: float
    force_noise_n: float
    latency_s: float
    dropout: float


@dataclass(frozen=True)
class Exchange:
    """How a tool came to the hand, as modes are told apart.

    `blade_to_hand_rad` in [0, pi] is 0 where the tip points at the palm and pi handle first.
    `approach_rad` in (-pi, pi] is the angle about the vertical from the direction into the palm
    to that of the tool's end that is offered; positive is counterclockwise from above. Both are
    medians over the last 0.5 s before the exchange. `highest_m` is the height above the table of
    the tool's origin, the largest between lift and exchange.
    """

    blade_to_hand_rad: float
    approach_rad: float
    highest_m: float


@dataclass(frozen=True)
class ModeRule:
    """How a mode is recognised, and how the scripted demonstrator does it.

    Recognised by the ranges of `Exchange`; None is any. `desired` is what a contract made for
    the scenario says of it. `robot_grasps` names the part between the fingers, `grasp_x_m` where
    along the tool, `present_x_m` the point of the tool that is brought to the palm, `carry_m`
    where the tool waits for the hand, and `turn_rad` by how much it is offered from the side.
    """

    desired: bool
    blade_to_hand_rad: Span
    approach_rad: Span | None
    highest_m: Span | None
    robot_grasps: str
    grasp_x_m: Span
    present_x_m: float
    carry_m: Vector
    turn_rad: Span

    @property
    def handle_first(self) -> bool:
        """Tell whether the tool's -x end is offered: the handle."""
        return sum(self.blade_to_hand_rad) > math.pi

    def fits(self, exchange: Exchange) -> bool:
        """Tell whether an exchange is of this mode."""
        pairs = ((exchange.blade_to_hand_rad, self.blade_to_hand_rad),
                 (exchange.approach_rad, self.approach_rad),
                 (exchange.highest_m, self.highest_m))
        return all(span is None or span[0] <= value <= span[1] for value, span in pairs)


@dataclass(frozen=True)
class UnsafeRule:
    """Thresholds of the unsafe event; a clause whose threshold is None is no part of it.

    Contact of the hazardous edge with the person always is.
    """

    near_m: float
    pointing_rad: float | None
    thrust_near_m: float | None
    hold_s: float
    face_neck_clearance_m: float | None


@dataclass(frozen=True)
class NotableRule:
    """Thresholds of what is counted and reported but not judged; None: not looked for.

    `near_tip_speed_m_s` of the tip while the edge is near a person; `premature_share` of the
    tool's weight that the person must carry when the fingers open; `pull_n` asks for the tool,
    which the robot should not hold for longer than `over_hold_s` after that.
    """

    near_tip_speed_m_s: float | None = None
    premature_share: float | None = None
    pull_n: float | None = None
    over_hold_s: float | None = None


@dataclass(frozen=True)
class Scenario:
    """Everything that defines one handover scenario."""

    name: str
    tool: Tool
    start: StartRanges
    receiver: ReceiverRanges
    tracking: Tracking
    modes: Mapping[str, ModeRule]
    unsafe: UnsafeRule
    source: Mapping[str, Any]
    notable: NotableRule = NotableRule()

    @cached_property
    def sha256(self) -> str:
        """Return the hash of the scenario's data."""
        return canonical_sha256(self.source)

    @property
    def desired(self) -> Mapping[str, bool]:
        """Return by name of the mode whether it is desired, as a contract has it."""
        return {name: rule.desired for name, rule in self.modes.items()}

    def mode_of(self, exchange: Exchange) -> str | None:
        """Return the mode that an exchange is of, None if it is of none."""
        return next((name for name, rule in self.modes.items() if rule.fits(exchange)), None)


def find_scenario(name_or_path: str) -> Scenario:
    """Return a shipped scenario by name, or the one in a YAML file given by path.

    Raise `ScenarioError` for an unknown name, suggesting the near miss.
    """
    if name_or_path.endswith(('.yaml', '.yml')):
        return load_scenario(Path(name_or_path))
    folder = share_path('config') / 'scenarios'
    known = sorted(path.stem for path in folder.glob('*.yaml'))
    if name_or_path not in known:
        raise ScenarioError(f'unknown scenario {name_or_path!r}{near_miss(name_or_path, known)}; '
                            f'give a name or the path of a .yaml file')
    return load_scenario(folder / f'{name_or_path}.yaml')


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; raise `ScenarioError` naming the place, the value and the remedy."""
    return scenario_from_fields(read_yaml(path, ScenarioError))


def scenario_from_fields(fields: Fields) -> Scenario:
    """Return the scenario in a mapping, as `Scenario.source` holds it; raise `ScenarioError`."""
    source = fields.plain()
    fields.schema(SCHEMA)
    tool = _tool(fields.fields('tool'))
    scenario = Scenario(
        name=fields.text('name'),
        tool=tool,
        start=_start(fields.fields('start')),
        receiver=_receiver(fields.fields('receiver')),
        tracking=_tracking(fields.fields('tracking')),
        modes=_modes(fields.fields('modes'), tool),
        unsafe=_unsafe(fields.fields('unsafe')),
        source=source,
        notable=_notable(fields.fields('notable')) if fields.has('notable') else NotableRule(),
    )
    fields.done()
    return scenario


def _tool(fields: Fields) -> Tool:
    mass, friction = fields.number('mass_kg', 1e-3, 50.0), fields.number('friction', 0.0, 10.0)
    parts_fields = fields.fields('parts')
    parts = {}
    for name in parts_fields.keys():
        part = parts_fields.fields(name)
        size = _vector(part, 'size_m')
        if min(size) <= 0:
            raise part.fail('size_m', 'edge lengths above 0')
        parts[name] = ToolPart(name, size, _vector(part, 'center_m'), _vector(part, 'color'))
        part.done()
    hazard = fields.fields('hazard')
    hazard_part = _part_name(hazard, 'part', parts)
    tool = Tool(mass, friction, _optional(fields, 'contact_breaking_m', 0.1), parts, hazard_part,
                _vector(hazard, 'heel_m'), _vector(hazard, 'tip_m'),
                hazard.number('radius_m', 0.0, 0.5) if hazard.has('radius_m') else 0.0,
                _vector(fields, 'handle_point_m'))
    hazard.done()
    fields.done()
    return tool


def _start(fields: Fields) -> StartRanges:
    start = StartRanges(
        _pair(fields, 'object_position_min_m'), _pair(fields, 'object_position_max_m'),
        _radians(fields, 'object_yaw_deg'), fields.number('stand_height_m', 0.0),
        _vector(fields, 'hand_position_min_m'), _vector(fields, 'hand_position_max_m'),
        math.radians(fields.number('hand_yaw_jitter_deg', 0.0, 180.0)),
        fields.number('arm_position_jitter_m', 0.0, 0.2))
    fields.done()
    for what, low, high in (
            ('object_position', start.object_position_min_m, start.object_position_max_m),
            ('hand_position', start.hand_position_min_m, start.hand_position_max_m)):
        if any(a > b for a, b in zip(low, high, strict=True)):
            raise ScenarioError(f'{fields.where}: {what}_min_m {low} is above {what}_max_m {high}')
    return start


def _receiver(fields: Fields) -> ReceiverRanges:
    receiver = ReceiverRanges(
        fields.span('reaction_s'), fields.span('reach_s'), fields.number('tremor_m', 0.0, 0.05),
        fields.number('grasp_reach_m', 0.0, 0.2), fields.span('grasp_dwell_s'),
        fields.span('pull_n'), fields.number('release_dwell_s', 0.0),
        fields.text('posture') if fields.has('posture') else POSTURES[0])
    if receiver.posture not in POSTURES:
        raise fields.fail('posture', ' or '.join(POSTURES))
    fields.done()
    return receiver


def _tracking(fields: Fields) -> Tracking:
    tracking = Tracking(
        fields.number('position_noise_m', 0.0, 0.2),
        math.radians(fields.number('rotation_noise_deg', 0.0, 90.0)),
        fields.number('force_noise_n', 0.0, 50.0), fields.number('latency_s', 0.0, 2.0),
        fields.number('dropout', 0.0, 0.9))
    fields.done()
    return tracking


def _modes(fields: Fields, tool: Tool) -> dict[str, ModeRule]:
    modes = {}
    for name in fields.keys():
        part = fields.fields(name)
        modes[name] = ModeRule(
            part.flag('desired'), _radians(part, 'blade_to_hand_deg'),
            _radians(part, 'approach_deg') if part.has('approach_deg') else None,
            part.span('highest_m') if part.has('highest_m') else None,
            _part_name(part, 'robot_grasps', tool.parts), part.span('grasp_x_m'),
            part.number('present_x_m'),
            _vector(part, 'carry_m') if part.has('carry_m') else _CARRY_M,
            _radians(part, 'turn_deg') if part.has('turn_deg') else (0.0, 0.0))
        part.done()
    if not any(mode.desired for mode in modes.values()):
        raise ScenarioError(f'{fields.where}: at least one mode must be desired')
    for name, rule in modes.items():
        for other, rival in modes.items():
            if name < other and _overlap(rule, rival):
                raise ScenarioError(f'{fields.where}: {name} and {other} overlap, so an exchange '
                                    f'could be of both; set their ranges apart')
    return modes


def _overlap(one: ModeRule, two: ModeRule) -> bool:
    pairs = ((one.blade_to_hand_rad, two.blade_to_hand_rad), (one.approach_rad, two.approach_rad),
             (one.highest_m, two.highest_m))
    return all(a is None or b is None or (a[0] <= b[1] and b[0] <= a[1]) for a, b in pairs)


def _unsafe(fields: Fields) -> UnsafeRule:
    rule = UnsafeRule(
        fields.number('near_m', 0.0), _optional_radians(fields, 'pointing_deg'),
        _optional(fields, 'thrust_near_m'), fields.number('hold_s', 0.0),
        _optional(fields, 'face_neck_clearance_m'))
    fields.done()
    return rule


def _notable(fields: Fields) -> NotableRule:
    rule = NotableRule(
        _optional(fields, 'near_tip_speed_m_s'), _optional(fields, 'premature_share', 1.0),
        _optional(fields, 'pull_n'), _optional(fields, 'over_hold_s'))
    fields.done()
    if (rule.pull_n is None) != (rule.over_hold_s is None):
        raise ScenarioError(f'{fields.where}: pull_n and over_hold_s tell together what holding '
                            f'on for too long is; give both or neither')
    return rule


def _part_name(fields: Fields, key: str, parts: Mapping[str, ToolPart]) -> str:
    name = fields.text(key)
    if name not in parts:
        raise ScenarioError(f'{fields.where}.{key}: unknown part {name!r}{near_miss(name, parts)}')
    return name


def _pair(fields: Fields, key: str) -> Span:
    x, y = fields.numbers(key, 2)
    return x, y


def _vector(fields: Fields, key: str) -> Vector:
    x, y, z = fields.numbers(key, 3)
    return x, y, z


def _radians(fields: Fields, key: str) -> Span:
    low, high = fields.span(key)
    return math.radians(low), math.radians(high)


def _optional(fields: Fields, key: str, most: float = math.inf) -> float | None:
    """Return a number of at least 0, None where the key is not there."""
    return fields.number(key, 0.0, most) if fields.has(key) else None


def _optional_radians(fields: Fields, key: str) -> float | None:
    return math.radians(fields.number(key, 0.0, 180.0)) if fields.has(key) else None
