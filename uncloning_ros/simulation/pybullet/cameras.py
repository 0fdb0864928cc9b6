# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cameras of a scenario: their pictures of an episode, with what differs between episodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from uncloning_ros.contract import Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array, rotation_of
from uncloning_ros.pictures import Pixels, picture_of_raw
from uncloning_ros.pictures import View as SeenPart
from uncloning_ros.scenario import PHYSICS_HZ, MountedCamera, Scenario, Sight
from uncloning_ros.simulation.pybullet.render import (
    PATTERNS,
    Backdrop,
    Light,
    Pattern,
    View,
    shoot,
)
from uncloning_ros.simulation.pybullet.stage import Colours, Moment, Stage
from uncloning_ros.simulation.receivers.receiver import Receiver

_STREAM = 0x516  # of the draws of a seed: those of start, person and sensors are others
_TINT = 0.3  # share of the variation of a colour by which its channels differ from each other
_LIGHT_TURN = 1.2  # most that the light's direction is moved by, at a share of 1
_LEAST_LIGHT_Z = 0.3
_WAVES_M = 0.02, 0.2  # lengths of the waves of a pattern on the table
_PATCH_LEVEL = 25  # grey level of what covers a part of the lens


@dataclass(frozen=True)
class _Mounted:
    """One camera in one episode: where it really is, its delay and what covers it.

    `moved_m` and `turned_rad` tell how far it is off its place.
    """

    camera: MountedCamera
    seen: SeenPart
    every: int
    view: View
    moved_m: float
    turned_rad: float
    latency_ns: int
    patch: tuple[slice, slice] | None
    backdrop: Backdrop
    rng: np.random.Generator

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the camera's pictures."""
        return self.camera.width, self.camera.height


class Cameras:
    """Take the pictures that a contract observes, at their own rates.

    With `whole_pictures` they are those of the camera, as it publishes them; else the part that
    the policy sees. The pictures are the same for a seed, whichever of the scenario's cameras a
    contract observes.
    """

    def __init__(self, scenario: Scenario, signals: Sequence[Signal],
                 whole_pictures: bool) -> None:
        self._scenario = scenario
        self._signals = {signal.key: signal for signal in signals}
        self._whole = whole_pictures
        self._mounted: dict[str, _Mounted] = {}
        self._stage = Stage(scenario, fine=False) if signals else None
        self._rest: dict[str, tuple[int, Pixels]] = {}

    def close(self) -> None:
        """Free the renderer."""
        if self._stage is not None:
            self._stage.close()

    def begin(self, seed: int, receiver: Receiver, palm: Array) -> None:
        """Draw light, colours and cameras of the episode of `seed`, and set its scene up."""
        if self._stage is None:
            return
        sight, cameras = self._scenario.sight, self._scenario.cameras
        first, *others = map(np.random.default_rng, np.random.SeedSequence(
            (seed, _STREAM)).spawn(1 + len(cameras)))
        self._light = _drawn_light(sight, first)
        colours = _drawn_colours(sight, first)
        self._pattern = _drawn_pattern(sight, first)  # last, so that it changes no other draw
        self._stage.begin(receiver, palm, colours)
        self._rest.clear()
        for (key, camera), rng in zip(sorted(cameras.items()), others, strict=True):
            signal = self._signals.get(key)
            if signal is not None:
                self._mounted[key] = self._mount(camera, signal, sight, colours, rng)

    @property
    def drawn(self) -> dict[str, float]:
        """Return the values drawn for the episode, by name; of several cameras the largest."""
        mounted = self._mounted.values()
        if not mounted:
            return {}
        return {'light': self._light.strength,
                'camera_moved_m': max(one.moved_m for one in mounted),
                'camera_turned_rad': max(one.turned_rad for one in mounted),
                'camera_latency_s': max(one.latency_ns for one in mounted) * 1e-9}

    def _mount(self, camera: MountedCamera, signal: Signal, sight: Sight, colours: Colours,
               rng: np.random.Generator) -> _Mounted:
        assert self._stage is not None
        turn, shift_m = _in_ball(rng, sight.camera_turn_rad), _in_ball(rng, sight.camera_shift_m)
        latency_s, left, top = rng.uniform(*sight.latency_s), *rng.uniform(size=2)
        size, eye = (camera.width, camera.height), np.array(camera.eye_m)
        view = View(eye + shift_m, np.array(camera.target_m) + shift_m, np.array(camera.up))
        seen = signal.view
        if self._whole:
            seen = replace(seen, crop=(0, 0, *seen.camera_size), size=seen.camera_size)
        return _Mounted(
            camera, seen, PHYSICS_HZ // camera.rate_hz, _turned(view, turn),
            float(np.linalg.norm(shift_m)), float(np.linalg.norm(turn)), round(latency_s * 1e9),
            _patch(size, sight.occlusion, left, top),
            Backdrop(camera.field_rad, size, self._stage.table_edge_m, colours, self._light,
                     self._pattern), rng)

    def measure(self, step: int, now_ns: int,
                moment: Callable[[], Moment]) -> list[tuple[str, Sample]]:
        """Return the samples (key, sample) of the pictures that are due at a physics step."""
        due = {key: one for key, one in self._mounted.items() if step % one.every == 0}
        if not due:
            return []
        now = moment()
        return [(key, Sample(pixels, now_ns, now_ns + one.latency_ns)) for key, one in due.items()
                if (pixels := self._picture(one, self._clean(one, now, one.rng), one.rng))
                is not None]

    def glance(self, now_ns: int, moment: Callable[[], Moment], rng: np.random.Generator,
               due: Callable[[int], bool]) -> list[tuple[str, Sample]]:
        """Return the due samples of a world at rest; noise comes from `rng` alone."""
        samples = []
        for key, one in self._mounted.items():
            if not due(one.every):
                continue
            rested_ns, clean = self._rest.get(key, (-1, None))
            if clean is None or rested_ns != now_ns or self._scenario.sight.shake_rad > 0:
                clean = self._clean(one, moment(), rng)
                self._rest[key] = now_ns, clean
            pixels = self._picture(one, clean, rng)
            if pixels is not None:
                samples.append((key, Sample(pixels, now_ns - one.latency_ns, now_ns)))
        return samples

    def _clean(self, one: _Mounted, moment: Moment, rng: np.random.Generator) -> Pixels:
        """Return the picture (height, width, 3) of a camera before noise and patches."""
        assert self._stage is not None
        view, shake_rad = one.view, self._scenario.sight.shake_rad
        if shake_rad > 0:
            view = _turned(view, rng.normal(0.0, shake_rad, size=3))
        if one.camera.mount == 'hand':
            rotation = rotation_of(moment.tcp)
            view = View(moment.tcp[:3] + rotation @ view.eye,
                        moment.tcp[:3] + rotation @ view.target, rotation @ view.up)
        self._stage.place(moment)
        pixels, depth = shoot(self._stage.client, view, one.camera.field_rad, one.size,
                              self._light, shadow=False)
        one.backdrop.paint(pixels, depth, view)
        return pixels

    def _picture(self, one: _Mounted, clean: Pixels, rng: np.random.Generator) -> Pixels | None:
        """Return a picture as it is delivered, None for one that a receiver would refuse."""
        levels = self._scenario.sight.noise_levels
        pixels = clean.copy()
        if one.patch is not None:
            pixels[one.patch] = _PATCH_LEVEL
        if levels > 0:
            noise = rng.standard_normal(pixels.shape, dtype=np.float32)
            pixels = np.clip(pixels + np.float32(levels) * noise + np.float32(0.5), 0.0,
                             255.0).astype(np.uint8)
        height, width, _ = pixels.shape
        try:
            return picture_of_raw(pixels.reshape(-1), 'rgb8', width, height, 3 * width, one.seen)
        except ContractError:  # black or saturated: the watchdog waits in vain for it
            return None


def _drawn_light(sight: Sight, rng: np.random.Generator) -> Light:
    strength = 1.0 + sight.light * rng.uniform(-1.0, 1.0)
    x, y, z = (np.array(Light().direction) / np.linalg.norm(Light().direction)
               + _LIGHT_TURN * sight.light * rng.uniform(-1.0, 1.0, size=3)).tolist()
    return Light(strength, (x, y, max(z, _LEAST_LIGHT_Z)))


def _drawn_colours(sight: Sight, rng: np.random.Generator) -> Colours:
    """Return the colours of an episode: lighter or darker, and a little of another hue."""
    usual = Colours()
    drawn: dict[str, tuple[float, float, float]] = {}
    for one in fields(usual):
        common, apart = rng.uniform(-1.0, 1.0), rng.uniform(-1.0, 1.0, size=3)
        colour = getattr(usual, one.name)
        if colour is not None:
            varied = np.array(colour) * (1 + sight.colour * ((1 - _TINT) * common + _TINT * apart))
            x, y, z = np.clip(varied, 0.0, 1.0).tolist()
            drawn[one.name] = (x, y, z)
    return replace(usual, **drawn, hand=sight.hand_colour)


def _drawn_pattern(sight: Sight, rng: np.random.Generator) -> Pattern:
    return Pattern(sorted(PATTERNS)[rng.integers(len(PATTERNS))], sight.texture * rng.uniform(),
                   rng.uniform(*_WAVES_M), *rng.uniform(0.0, 2 * np.pi, size=3).tolist())


def _in_ball(rng: np.random.Generator, radius: float) -> Array:
    """Return a place (3,) drawn evenly from a ball."""
    direction = rng.normal(size=3)
    return radius * rng.uniform() ** (1 / 3) * direction / np.linalg.norm(direction)


def _turned(view: View, turn: Array) -> View:
    """Return a view turned about its eye by axis times angle (3,)."""
    angle = float(np.linalg.norm(turn))
    if angle == 0.0:
        return view

    def rotated(vector: Array) -> Array:
        axis = turn / angle
        return (vector * np.cos(angle) + np.cross(axis, vector) * np.sin(angle)
                + axis * (axis @ vector) * (1 - np.cos(angle)))

    return View(view.eye, view.eye + rotated(view.target - view.eye), rotated(view.up))


def _patch(size: tuple[int, int], share: float, left: float,
           top: float) -> tuple[slice, slice] | None:
    """Return rows and columns of the patch on a lens; `left` and `top` are shares of the room."""
    sides = [round(share * length) for length in size]
    if min(sides) == 0:
        return None
    begins = [round(place * (length - side)) for place, length, side
              in zip((left, top), size, sides, strict=True)]
    columns, rows = (slice(begin, begin + side) for begin, side in zip(begins, sides, strict=True))
    return rows, columns
