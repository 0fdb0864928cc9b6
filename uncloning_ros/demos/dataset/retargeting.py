# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Retarget demonstrations: move tool and hand to the places of other episodes.

A handover has two places that vary: where the tool lies, and where the hand is held out. Between
them the arm carries the tool and is at neither. So an episode has three marks:

    frame     0 ........... grasp .................. carry ................. release ..... n-1
    arm       as it was  -> with the tool's place -> as it was  -> with the hand's place
    tool      where the other episode had it, then as the arm carries it, then as the hand does
    hand      as it was until it comes; held out where the other episode had it; back again

Everything that moves with a place is turned and shifted as one rigid body, so the grasp in the
tool's frame, and the exchange in the hand's, are those that were demonstrated. Observations and
commands of the arm are retargeted alike. Forces and widths are copied unchanged; signals that
depend on the arm's posture cannot be retargeted.

Cutting demonstrations at such marks and moving the pieces with their objects is MimicGen's
(Mandlekar et al., CoRL 2023, arXiv 2310.17596), which plays them back in a simulator and keeps
those that succeed. Here nothing is played back or simulated: the retargeted episodes are training
data as they are, if the arm need not be faster in them than in any demonstration.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from uncloning_ros.contract import HAND_KEY, KINDS, OBJECT_KEY, TOOL_KEY, Interface
from uncloning_ros.demos.dataset.store import Dataset, EpisodeRecord
from uncloning_ros.geometry import (
    Array,
    part_of_turn,
    pose_from_parts,
    position_of,
    rotation_of,
)
from uncloning_ros.policy_io import Float32

_STILL_M = 0.03  # motion (m) of the tool before the grasp: pushed further, it has no one place
_LEAST_STROKE_M = 0.005  # change (m) of the commanded width: a smaller one is not a grasp
_OFFERED_S = 0.3  # time (s) before the release whose mean pose is the hand's place
_OUT = 0.9  # share of its way from which on the hand is out
_LEAST_WAY_M = 0.03  # length (m) of a way: a shorter one is not retargeted
_CLEAR = 1 / 3  # share of the way to the exchange from which on the tool is carried
_DRAWS = 50  # draws of places for each episode that is wanted
_PAST = (-0.25, 1.25)  # share of the way between two places at which a tool is put
_RIGID = 0.8  # share of a way from which on everything moves with the place as one body


@dataclass(frozen=True)
class Handover:
    """The marks of one episode and its two places: poses (9,) in the base frame."""

    grasp: int
    carry: int
    release: int
    object_pose: Array
    hand_pose: Array


@dataclass(frozen=True)
class _Layout:
    """Slices of the values that are read and retargeted."""

    arm: slice
    object: slice
    hand: slice
    target: slice
    width: slice


def obstacle(interface: Interface) -> str:
    """Return the reason why episodes of an interface cannot be retargeted, '' if they can."""
    if interface.cameras:
        return (f'{" and ".join(camera.key for camera in interface.cameras)} would see other '
                f'pictures at other places')
    poses = [signal.key for signal in interface.observations if signal.kind == 'pose']
    moved = (TOOL_KEY, OBJECT_KEY, HAND_KEY)
    lacking = [key for key in moved if key not in poses]
    if lacking:
        return f'{" and ".join(lacking)} is not observed'
    others = [signal.key for signal in interface.observations
              if signal.key not in moved and not KINDS[signal.kind].same_elsewhere]
    if others:
        return f'{" and ".join(others)} is observed too, and unknown at another place'
    if len({signal.frame for signal in (*interface.observations, *interface.actions)
            if signal.kind == 'pose'}) > 1:
        return 'the poses are not in one frame'
    kinds = sorted(signal.kind for signal in interface.actions)
    if kinds != ['gripper_width', 'pose']:
        return f'the actions are {" and ".join(kinds)}, not one pose and one gripper width'
    return ''


def retarget(dataset: Dataset, modes: Sequence[str], count: int,
             rng: np.random.Generator,
             on_done: Callable[[], object] = lambda: None,
             tools: Sequence[Array] = ()) -> tuple[Dataset, str]:
    """Return `count` retargeted training episodes of `modes` as a dataset; if fewer, the reason.

    Each is a random one of the episodes of `modes` with the tool where a random other had it, of
    any mode, and the hand where a third had it; where the arm would have to be faster (m/s) than
    in any demonstration, other places are drawn. So each usable episode has its share, and each
    mode; if one of the modes has no usable episode, no episode is retargeted. The dataset carries
    the `sha256` of the one it was made from. `on_done()` is called after each episode. With
    `tools`, poses (9,), the tool is at one of them, between two, or a little past.
    """
    interface = dataset.contract.interface
    reason = obstacle(interface)
    marked = {} if reason else _marked(dataset)
    sources: list[int] = []
    for mode in () if reason else modes:
        episodes = [i for i, one in enumerate(dataset.episodes)
                    if (one.mode, one.split) == (mode, 'train')]
        usable = [i for i in episodes if i in marked]
        if not usable:
            reason = (f'in no episode of {mode} the gripper closes once, at a tool that lay '
                      f'still, and opens once, at a hand that is out')
            break
        # As often as the mode has episodes, usable or not.
        sources += [i if i in marked else usable[k % len(usable)]
                    for k, i in enumerate(episodes)]
    places = list(marked.values())
    limit_m = max((fastest_m(interface, dataset.actions[_frames(dataset, i)]) for i in marked),
                  default=0.0)
    records: list[EpisodeRecord] = []
    observations, actions = [dataset.observations[:0]], [dataset.actions[:0]]
    for _ in range(0 if reason else count):
        source = sources[rng.integers(len(sources))]
        for draw in range(_DRAWS):
            if tools and draw:  # far from their own places few demonstrations are slow enough
                source = sources[rng.integers(len(sources))]
            frames = _frames(dataset, source)
            tool, hand = (places[i] for i in rng.integers(len(places), size=2))
            if tools:
                tool = replace(tool, object_pose=_between(tools, rng))
            observed, commanded = retarget_episode(
                interface, dataset.observations[frames], dataset.actions[frames], marked[source],
                replace(tool, hand_pose=hand.hand_pose))
            if fastest_m(interface, commanded) <= limit_m:
                one = dataset.episodes[source]
                records.append(replace(one, name=f'{one.name}_retargeted_{len(records):06d}'))
                observations.append(observed)
                actions.append(commanded)
                on_done()
                break
    if not reason and len(records) < count:
        reason = (f'{count - len(records)} of {count} episodes need, at {_DRAWS} places, a '
                  f'faster arm than any demonstration')
    return replace(dataset, episodes=tuple(records), observations=np.concatenate(observations),
                   actions=np.concatenate(actions)), reason


def tool_places(dataset: Dataset) -> list[Array]:
    """Return where the tool lay, pose (9,), in the training episodes that can be retargeted."""
    return ([] if obstacle(dataset.contract.interface) else
            [one.object_pose for one in _marked(dataset).values()])


def _between(poses: Sequence[Array], rng: np.random.Generator) -> Array:
    """Return a pose (9,) on the way from a random one to another, or a little past it."""
    one, other = (poses[i] for i in rng.integers(len(poses), size=2))
    share = np.array([rng.uniform(*_PAST)])
    return np.asarray(_moved(one[None], share, one, other)[0])


def fastest_m(interface: Interface, actions: Float32) -> float:
    """Return the longest way between two commands that follow each other, in m."""
    path = position_of(actions[:, _layout(interface).target])
    return float(_distance(path[1:], path[:-1]).max(initial=0.0))


def _frames(dataset: Dataset, episode: int) -> slice:
    return slice(int(dataset.bounds[episode]), int(dataset.bounds[episode + 1]))


def _marked(dataset: Dataset) -> dict[int, Handover]:
    """Return the marks of the labelled training episodes that have them, by their index."""
    found = {}
    for i, one in enumerate(dataset.episodes):
        frames = _frames(dataset, i)
        if one.split == 'train' and one.mode is not None:
            # An episode with an invalid rotation is taught as it is, not retargeted.
            with contextlib.suppress(ValueError):
                handover = find_handover(dataset.contract.interface, dataset.observations[frames],
                                         dataset.actions[frames],
                                         dataset.contract.policy.rate_hz)
                if handover is not None:
                    found[i] = handover
    return found


def find_handover(interface: Interface, observations: Float32, actions: Float32,
                  rate_hz: float) -> Handover | None:
    """Return the marks of an episode (n, obs_dim), (n, act_dim); None if it lacks one.

    The gripper closes and opens once (`held`); the tool is carried where the arm is clear of the
    grasp and the hand is out. Raise `ValueError` for an invalid rotation.
    """
    at = _layout(interface)
    for values, where in ((observations, at.arm), (observations, at.object),
                          (observations, at.hand), (actions, at.target)):
        rotation_of(values[:, where])
    stroke = held(actions[:, at.width][:, 0])
    if stroke is None:
        return None
    grasp, release = stroke
    object_pose = _mean_pose(observations[:max(grasp, 1), at.object])
    lying = position_of(observations[:grasp, at.object])
    if _distance(lying, position_of(object_pose)).max() > _STILL_M:
        return None
    first = max(grasp, release - max(1, round(_OFFERED_S * rate_hz)))
    hand_pose = _mean_pose(observations[first:release, at.hand])
    arm, hand = position_of(observations[:, at.arm]), position_of(observations[:, at.hand])
    clear = _distance(arm, arm[grasp]) >= _CLEAR * _distance(arm[release], arm[grasp])
    out = _coming(hand, hand[0], position_of(hand_pose)) >= _OUT
    ready = np.flatnonzero((clear & out)[grasp:release])
    if not len(ready):
        return None
    carry = grasp + int(ready[0])
    if min(_distance(arm[carry], arm[grasp]), _distance(arm[carry], arm[release])) < _LEAST_WAY_M:
        return None
    return Handover(grasp, carry, release, object_pose, hand_pose)


def held(width: Float32) -> tuple[int, int] | None:
    """Return the frames in which a gripper of commanded widths (n,) m closes, and opens again.

    That is where the width crosses the middle between its smallest and its largest; None unless
    it does both once.
    """
    closed = width < (width.min() + width.max()) / 2
    grasp = int(np.argmax(closed))
    if np.ptp(width) < _LEAST_STROKE_M or np.count_nonzero(np.diff(closed)) != 2 or grasp == 0:
        return None
    return grasp, grasp + int(np.argmin(closed[grasp:]))


def retarget_episode(interface: Interface, observations: Float32, actions: Float32,
                     here: Handover, there: Handover) -> tuple[Float32, Float32]:
    """Return an episode marked `here` as it would have been at the places of `there`."""
    at = _layout(interface)
    observed, commanded = observations.astype(np.float64), actions.astype(np.float64)
    tool_move = here.object_pose, there.object_pose
    hand_move = here.hand_pose, there.hand_pose

    arm = position_of(observed[:, at.arm])
    marks = arm[[0, here.grasp, here.carry, here.release]]
    with_tool, with_hand = _shares(arm, here, marks)
    target_with_tool, target_with_hand = _shares(position_of(commanded[:, at.target]), here, marks)
    hand, offer = position_of(observed[:, at.hand]), position_of(here.hand_pose)
    offered = _rigid(_coming(hand, hand[0], offer))
    # With the tool the hand goes back to where it came from.
    offered[here.release:] = _rigid(1.0 - _coming(hand[here.release:], offer, hand[0],
                                                  from_start=True))
    # The tool lies where the other lay, goes with the arm that grasped it, then with the hand.
    frames = np.arange(len(observed))
    lying = np.where(frames < here.grasp, 1.0, with_tool)
    carried = np.where(frames < here.release, with_hand, offered)

    for values, where, moves in (
            (observed, at.arm, ((with_tool, tool_move), (with_hand, hand_move))),
            (observed, at.object, ((lying, tool_move), (carried, hand_move))),
            (observed, at.hand, ((offered, hand_move),)),
            (commanded, at.target, ((target_with_tool, tool_move),
                                    (target_with_hand, hand_move)))):
        for share, (start, end) in moves:
            values[:, where] = _moved(values[:, where], share, start, end)
    return observed.astype(np.float32), commanded.astype(np.float32)


def _layout(interface: Interface) -> _Layout:
    observed, commanded = interface.observation_slices, interface.action_slices
    actions = {signal.kind: commanded[signal.key] for signal in interface.actions}
    return _Layout(observed[TOOL_KEY], observed[OBJECT_KEY], observed[HAND_KEY], actions['pose'],
                   actions['gripper_width'])


def _shares(path: Array, here: Handover, marks: Array) -> tuple[Array, Array]:
    """Return the share to which each point of a path (n, 3) moves with tool and hand: (n,) each.

    `marks` (4, 3) is where the arm was at the start, the grasp, the carry and the release.
    """
    start, at_grasp, at_carry, at_release = marks
    with_tool, with_hand = np.zeros(len(path)), np.zeros(len(path))
    before, lifted = slice(0, here.grasp), slice(here.grasp, here.carry)
    reaching = slice(here.carry, here.release)
    with_tool[before] = _rigid(_coming(path[before], start, at_grasp))
    with_tool[lifted] = 1.0 - _coming(path[lifted], at_grasp, at_carry, from_start=True)
    with_hand[reaching] = _rigid(_coming(path[reaching], at_carry, at_release))
    with_hand[here.release:] = 1.0
    return with_tool, with_hand


def _coming(path: Array, start: Array, end: Array, from_start: bool = False) -> Array:
    """Return the share of the way from `start` to `end` that a path (n, 3) has covered: (n,).

    It never falls. By the distance left to `end`, or by that from `start` if `from_start`. A very
    short way is covered at once, or never if `from_start`.
    """
    way = float(_distance(start, end))
    if way < _LEAST_WAY_M:
        return np.full(len(path), 0.0 if from_start else 1.0)
    covered = (_distance(path, start) if from_start else way - _distance(path, end)) / way
    return np.maximum.accumulate(np.clip(covered, 0.0, 1.0))


def _rigid(share: Array) -> Array:
    return np.minimum(share / _RIGID, 1.0)


def _distance(one: Array, two: Array) -> Array:
    return np.asarray(np.linalg.norm(one - two, axis=-1))


def _mean_pose(poses: Float32) -> Array:
    mean = poses.astype(np.float64).mean(0)
    return pose_from_parts(position_of(mean), rotation_of(mean))


def _moved(poses: Array, share: Array, start: Array, end: Array) -> Array:
    """Return poses (n, 9) that follow a share (n,) of a body's move from start to end."""
    turn = part_of_turn(rotation_of(end) @ rotation_of(start).T, share)
    centre, shift = position_of(start), position_of(end) - position_of(start)
    position = np.einsum('nij,nj->ni', turn, position_of(poses) - centre)
    return pose_from_parts(position + centre + share[:, None] * shift, turn @ rotation_of(poses))
