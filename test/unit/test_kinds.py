# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of signals: every record is consistent, and one record is all that a new kind takes."""

import copy
import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.contract import (
    KINDS,
    Contract,
    Kind,
    ObservedTopic,
    Signal,
    contract_from_dict,
    messages,
)
from uncloning_ros.contract.kinds import values_by_name
from uncloning_ros.conversions import decode, encode
from uncloning_ros.demos.bags.episode import EpisodeMetadata
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.retargeting import obstacle
from uncloning_ros.errors import ContractError
from uncloning_ros.learning.normaliser import Normaliser
from uncloning_ros.runtime.watchdog import leap
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path

STORE = get_typestore(Stores.ROS2_JAZZY)
DATA: dict[str, Any] = yaml.safe_load((share_path('config') / 'contract.yaml').read_text())
JOINTS = ('shoulder', 'elbow')
REPOSITORY = Path(__file__).resolve().parents[2]


def signal_of(kind: str) -> Signal:
    record = KINDS[kind]
    if record.pictures:
        return Signal('signal', kind, record.unit, width=4, height=3, encoding='rgb8',
                      camera_size=(4, 3))
    return Signal('signal', kind, record.unit or 'm/s', '' if record.named else 'base',
                  JOINTS if record.named else ())


def values_of(signal: Signal) -> np.ndarray:
    """Return values that a signal may have: some times the smallest spreads, a pose upright."""
    if signal.kind == 'pose':
        return np.array([0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    if KINDS[signal.kind].pictures:
        return np.arange(36, dtype=np.uint8).reshape(3, 4, 3) + 50
    return np.array(KINDS[signal.kind].floors or (1.0,)) * np.arange(5, 5 + signal.dim)


@pytest.mark.parametrize('name', sorted(KINDS))
def test_a_record_is_consistent(name: str) -> None:
    kind, signal = KINDS[name], signal_of(name)
    assert kind.span[0] < kind.span[1]
    assert len(kind.floors) in (1 if kind.unit else 0, math.prod(signal.shape))
    assert min(kind.floors, default=1) > 0
    assert set(kind.speeds) <= set(kind.distances)
    assert {f'max_speed_{unit}_s' for unit in kind.speeds} <= {
        field.name for field in dataclasses.fields(ObservedTopic)}
    assert kind.dim is not None or kind.named
    values = values_of(signal)
    message = encode(signal, kind.observed_as[0], values, 7, STORE.types.__getitem__)
    np.testing.assert_allclose(decode(signal, message, 9).values, values, atol=1e-12)
    assert (message.header.stamp.nanosec, message.header.frame_id) == (7, signal.frame)
    ones = [*np.eye(signal.dim)] or [np.ones(signal.shape, np.uint8)]
    assert kind.distances[kind.unit](values, values + ones[0]) == pytest.approx(1.0)
    for distance in kind.distances.values():
        assert distance(values, values) == 0.0
        assert max(distance(values, values + one) for one in ones) > 0.0


def row_of(name: str) -> str:
    """Return the row of a kind in the table of docs/data.md."""
    kind = KINDS[name]
    values = ('a picture of `height` x `width` px' if kind.pictures
              else '`size`, or one for each of its `names`' if not kind.unit
              else 'one for each joint in `names`' if kind.dim is None
              else f'{kind.dim}, from the joints in `names`' if kind.named else str(kind.dim))
    unit = f'`{kind.unit}`' if kind.unit else 'its own'
    types = [', '.join(f'`{one}`' for one in found) or 'never'
             for found in (kind.observed_as, kind.commanded_as)]
    return f'| {" | ".join([f"`{name}`", unit, values, *types])} |'


def test_the_table_of_kinds_is_that_of_the_records() -> None:
    page = (REPOSITORY / 'docs' / 'data.md').read_text(encoding='utf-8')
    found = re.search(r'\| kind \|.*\n\|[-|]+\|\n((\|.*\n)+)', page)
    assert found is not None
    assert found[1].splitlines() == [row_of(name) for name in KINDS]


def test_a_pose_turns_without_moving_and_moves_without_turning() -> None:
    pose, place = values_of(signal_of('pose')), np.eye(9)[0]
    turned = np.concatenate([pose[:3], [0.0, 1.0, 0.0, -1.0, 0.0, 0.0]])
    distances = KINDS['pose'].distances
    assert (distances['m'](pose, turned), distances['rad'](pose, pose + place)) == (0.0, 0.0)
    assert distances['rad'](pose, turned) == pytest.approx(np.pi / 2)


def read_toys(signal: Signal, message: Any) -> np.ndarray:
    return np.array(values_by_name(signal, message.name, message.effort))


def build_toys(signal: Signal, values: np.ndarray, stamp_ns: int, classes: Any) -> Any:
    return messages.joint_state(classes, signal.names, stamp_ns, effort=values)


TOY = Kind(unit='N m', dim=None, named=True, observed_as=(messages.JOINT_STATE,),
           commanded_as=(), span=(-500.0, 500.0), floors=(0.05,), decode=read_toys,
           encode=build_toys, same_elsewhere=False,
           distances={'N m': lambda one, two: float(np.abs(one - two).max())})


@pytest.fixture
def contract(monkeypatch: pytest.MonkeyPatch) -> Contract:
    """Return a contract that observes toys, a kind that this test adds."""
    monkeypatch.setitem(KINDS, 'toy', TOY)
    return contract_from_dict(observing_toys())


def observing_toys() -> dict[str, Any]:
    data = copy.deepcopy(DATA)
    data['interface']['observations'].append(
        {'key': 'toys', 'kind': 'toy', 'unit': 'N m', 'names': list(JOINTS)})
    data['deployment']['observations']['toys'] = {
        'topic': 'joint_states', 'type': messages.JOINT_STATE, 'max_age_s': 0.1}
    return data


def test_a_new_kind_takes_one_record(contract: Contract) -> None:
    interface = contract.interface
    toys = interface.observations[-1]
    assert (toys.dim, toys.frame, interface.observation_dim) == (2, '', 33)
    assert contract_from_dict(plain(contract)) == contract
    message = encode(toys, messages.JOINT_STATE, [30.0, -4.0], 5, STORE.types.__getitem__)
    wire = STORE.deserialize_cdr(STORE.serialize_cdr(message, messages.JOINT_STATE),
                                 messages.JOINT_STATE)
    sample = decode(toys, wire, 9)
    assert (sample.values.tolist(), sample.stamp_ns) == ([30.0, -4.0], 5)
    wire.effort = np.array([30.0, 900.0])
    with pytest.raises(ContractError, match='toys: .* -500 to 500 N m.*900'):
        decode(toys, wire, 9)
    assert leap(toys, contract.deployment.observations['toys'], sample, sample, 1) is None


@pytest.mark.parametrize(('place', 'value', 'culprit'), [
    ('unit', 'Nm', "unit: .*'N m'.*'Nm'"), ('type', messages.POSE, 'toys.type: .*PoseStamped'),
    ('max_speed_rad_s', 1.0, "toys: .*'max_speed_rad_s'")])
def test_a_new_kind_is_checked_by_its_record(contract: Contract, place: str, value: object,
                                             culprit: str) -> None:
    data = observing_toys()
    part = (data['interface']['observations'][-1] if place == 'unit'
            else data['deployment']['observations']['toys'])
    part[place] = value
    with pytest.raises(ContractError, match=culprit):
        contract_from_dict(data)


def test_a_kind_that_is_not_commanded_is_refused_as_an_action(contract: Contract) -> None:
    data = observing_toys()
    data['interface']['actions'].append(
        {'key': 'push', 'kind': 'toy', 'unit': 'N m', 'names': list(JOINTS)})
    with pytest.raises(ContractError, match='push: .*commanded, pose or.*got .toy'):
        contract_from_dict(data)


def test_a_policy_observes_a_new_kind(contract: Contract) -> None:
    normaliser = Normaliser(contract.interface, contract.policy)
    observations = torch.zeros(4, contract.policy.history, contract.interface.observation_dim)
    assert torch.isfinite(normaliser.condition(observations)).all()


def test_a_new_kind_travels_through_a_bag(contract: Contract, tmp_path: Path) -> None:
    signals = (*contract.interface.observations, *contract.interface.actions)
    origin = EpisodeMetadata('monday', 0, 'Ada', None, '0')
    with EpisodeWriter(tmp_path / 'episode_000000', contract, origin) as writer:
        for signal in signals:
            writer.write_values(signal.key, values_of(signal), 5, 7)
        writer.commit()
    episode = read_episode(tmp_path / 'episode_000000')
    assert episode.contract == contract
    toys = contract.interface.observations[-1]
    np.testing.assert_array_equal(episode.samples['toys'][0].values, values_of(toys))


def test_a_kind_that_does_not_stay_elsewhere_is_not_retargeted(
        contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'toys is observed too' in obstacle(contract.interface)
    monkeypatch.setitem(KINDS, 'toy', dataclasses.replace(TOY, same_elsewhere=True))
    assert obstacle(contract.interface) == ''
