# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plan of trials states starts, blocks and models beforehand, and any change of it is seen."""

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trial_plans import MODES, model, plan_of, two_models

from uncloning_ros.errors import TrialError
from uncloning_ros.evidence import digest_of
from uncloning_ros.schema import plain
from uncloning_ros.trials import plan as planning
from uncloning_ros.trials import starts
from uncloning_ros.trials.plan import TrialKey, read_key, read_plan


def write(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data))
    return path


def test_a_plan_reads_back_as_it_was_made(tmp_path: Path) -> None:
    plan = plan_of()
    assert read_plan(write(tmp_path / 'plan.json', plain(plan))) == plan
    assert plan.code.isalpha() and len(plan.code) == 8
    assert plan_of(task='another').code != plan.code


@pytest.mark.parametrize('change', [
    lambda d: d.update(stopping='anytime'), lambda d: d.update(max_umr=0.9),
    lambda d: d['trials'].pop(), lambda d: d['trials'][0]['start'].update(x_cm='7'),
    lambda d: d['models'][0].update(model_sha256='c' * 64)])
def test_a_plan_that_was_changed_is_refused(change, tmp_path: Path) -> None:
    data = json.loads(json.dumps(plain(plan_of())))
    change(data)
    with pytest.raises(TrialError, match='was changed after it was made'):
        read_plan(write(tmp_path / 'plan.json', data))


@pytest.mark.parametrize(('change', 'said'), [
    (lambda d: d['trials'].reverse(), 'numbers from 1 to 6 in order'),
    (lambda d: d['trials'][2].update(label='A'), 'blocks of one trial'),
    (lambda d: d['models'].append(plain(model('b' * 64))), 'blocks of A and B'),
    (lambda d: d['models'].extend([plain(model('b' * 64))] * 2), 'blocks'),
    (lambda d: d.update(alpha=0), r'alpha: .* in \[1e-06, 0.5\]'),
    (lambda d: d.update(alpha=0.05), 'alpha and key_sha256 with two models'),
    (lambda d: d.update(stopping='sometime'), 'stopping'),
    (lambda d: d.update(extra=1), "unknown key 'extra'")])
def test_a_plan_that_contradicts_itself_is_refused(change, said, tmp_path: Path) -> None:
    data = json.loads(json.dumps(plain(plan_of())))
    change(data)
    data['digest'] = digest_of(data)
    with pytest.raises(TrialError, match=said):
        read_plan(write(tmp_path / 'plan.json', data))


@pytest.mark.parametrize('data', ['', '[]', '{}', 'null', '{"schema": 3}', '[' * 9999])
def test_a_file_that_is_not_a_plan_is_refused(data: str, tmp_path: Path) -> None:
    (tmp_path / 'plan.json').write_text(data)
    with pytest.raises(TrialError, match=r'plan\.json'):
        read_plan(tmp_path / 'plan.json')


def test_two_models_run_in_blocks_from_the_same_start_in_random_order() -> None:
    plan, _ = two_models(400)
    assert all(one.start == two.start for one, two in plan.blocks)
    orders = Counter(one.label + two.label for one, two in plan.blocks)
    assert set(orders) == {'AB', 'BA'} and min(orders.values()) > 60


def test_the_labels_are_random_and_the_plan_does_not_give_them_away() -> None:
    keys = [two_models()[1] for _ in range(40)]
    assert {key.labels['A'][0] for key in keys} == {'a', 'b'}
    assert all(sorted(key.labels.values()) == ['a' * 64, 'b' * 64] for key in keys)
    # The order of the models is that of their digests, and the salt is new in each key.
    assert len({key.sha256 for key in keys}) == 40


def test_the_key_of_another_plan_is_refused(tmp_path: Path) -> None:
    plan, key = two_models()
    assert read_key(write(tmp_path / 'key.json', plain(key)), plan) == key
    swapped = TrialKey(key.salt, {'A': key.labels['B'], 'B': key.labels['A']})
    with pytest.raises(TrialError, match='expected the key'):
        read_key(write(tmp_path / 'other.json', plain(swapped)), plan)


def test_starts_are_dealt_in_random_order_none_twice_before_all_were_taken() -> None:
    listed = [{'x': str(i)} for i in range(5)]
    found = starts.dealt(listed, 12, random.Random(3))
    assert sorted(one['x'] for one in found[:5]) == sorted(one['x'] for one in found[5:10])
    assert [one['x'] for one in found[:5]] != list('01234')
    assert len(found) == 12 and found == starts.dealt(listed, 12, random.Random(3))


def test_a_grid_has_every_combination_and_a_draw_stays_within_its_range() -> None:
    axes = [starts.Axis('x', 0, 40, 5), starts.Axis('side', 1, 1, 1)]
    assert [one['x'] for one in starts.grid(axes)] == ['0', '10', '20', '30', '40']
    assert {one['side'] for one in starts.grid(axes)} == {'1'}
    values = [float(one['x']) for one in starts.drawn(axes, 200, random.Random(1))]
    assert 0 <= min(values) < 4 and 36 < max(values) <= 40
    with pytest.raises(TrialError, match='at most 10000 starts'):
        starts.grid([starts.Axis(name, 0, 1, 10**6) for name in 'xyz'])


@pytest.mark.parametrize(('low', 'high', 'written'), [
    (1000, 1004, ['1000', '1001', '1002', '1003', '1004']), (0, 2e-5, ['0', '0.000005']),
    (-20, 20, ['-20', '-10', '0']), (0, 4e6, ['0', '1000000']), (-1e-9, 100, ['0', '25'])])
def test_a_start_is_written_without_an_exponent_and_tells_its_values_apart(low, high,
                                                                           written) -> None:
    found = [one['x'] for one in starts.grid([starts.Axis('x', low, high, 5)])]
    assert found[:len(written)] == written


def test_a_grid_that_is_finer_than_its_starts_are_written_is_refused() -> None:
    with pytest.raises(TrialError, match='got 2000 of x from 0 to 1; give fewer'):
        starts.grid([starts.Axis('x', 0, 1, 2000)])


def test_the_limits_and_the_modes_are_part_of_the_plan() -> None:
    plan = plan_of()
    assert (plan.max_umr, plan.min_sr, plan.modes) == (0.6, 0.2, MODES)
    assert planning.sealed(replace(plan, max_umr=0.5)).digest != plan.digest
