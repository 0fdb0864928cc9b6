# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutated inputs of every kind end in a sentence or in a right result."""

import signal
from collections import Counter
from pathlib import Path

import mutations
import numpy as np
import pytest
from inputs import CAMERA_CONTRACT
from mutated_bags import Bag, Labels
from mutated_loops import driven, valid_model
from mutation_kind import REFUSED, require_sentence, try_one
from mutations import FAILED, KINDS, Child, run, shares, table, try_all
from mutators import TRAPS, mutated_json, mutated_yaml

from uncloning_ros.errors import BagError
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.share import share_path

COUNT, SEED = 1000, 7


@pytest.mark.slow
@pytest.mark.parametrize('name', KINDS)
def test_mutated_inputs_end_in_a_sentence_or_in_a_right_result(name: str) -> None:
    found = run([name], shares([*KINDS], COUNT)[name], SEED)
    tally = found[name]
    assert not tally.failures, table(found, SEED)
    total, refused = tally.ends.total(), sum(tally.ends[end] for end in REFUSED)
    assert refused >= total / 10
    # No model with other bytes is right, and hardly a take with such messages.
    assert refused < total or name in ('ModelBytes', 'RecordedTake', 'TakeOfPictures')


@pytest.mark.proof
@pytest.mark.timeout(7200)
def test_ten_thousand_mutations(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutations.main(['--count', '10000', '--seed', '7']) == 0, capsys.readouterr().out


def test_live_messages_are_refused_obeyed_and_found_stale() -> None:
    ends = run(['LiveMessage'], 200, SEED)['LiveMessage'].ends
    assert ends['refused_input'] > 20 and ends['policy'] > 10
    assert ends['stale_stamp'] + ends['future_stamp'] > 1


def test_the_model_that_is_mutated_commands_before_it_is(tmp_path: Path) -> None:
    policy = load_policy(valid_model(tmp_path / 'small.onnx'))
    policy.warm_up()
    assert driven(policy) == 'commanded'
    sees = load_policy(valid_model(tmp_path / 'sees.onnx', CAMERA_CONTRACT))
    sees.warm_up()
    assert [*sees.picture_shapes] == ['scene_camera', 'wrist_camera']


def test_a_mutation_is_a_function_of_kind_seed_and_number(tmp_path: Path) -> None:
    text = (share_path('config') / 'contract.yaml').read_text()
    one, same, other = (mutated_yaml(np.random.default_rng(seed), text) for seed in (3, 3, 4))
    assert one.data == same.data != other.data
    assert mutated_json(np.random.default_rng(3), '{"a": 1}') == mutated_json(
        np.random.default_rng(3), '{"a": 1}')
    for folder in ('one', 'two'):
        (tmp_path / folder).mkdir()
    assert [try_one(Labels(tmp_path / folder), SEED, 5) for folder in ('one', 'two')] == [
        'refused', 'refused']


def test_traps_are_what_yaml_is_misread_by() -> None:
    assert len({trap for trap, _ in TRAPS}) == len(TRAPS)


@pytest.mark.parametrize('text', ['', 'two\nlines', 'x' * 1000, '<class int>', '\ud800'])
def test_what_is_not_a_sentence_is_found(text: str) -> None:
    with pytest.raises((AssertionError, UnicodeError)):
        require_sentence(text)


def test_a_wrong_end_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'labels').mkdir()
    labels = Labels(tmp_path / 'labels')
    number = next(n for n in range(100) if try_one(labels, SEED, n) != 'refused')
    # A reader that loses a label, one that ends in a traceback, and one that deletes a bag.
    monkeypatch.setattr(Labels, 'read', lambda self, changed: ())
    with pytest.raises(AssertionError):
        try_one(labels, SEED, number)
    monkeypatch.setattr(Labels, 'read', lambda self, changed: [][0])
    with pytest.raises(IndexError):
        try_one(labels, SEED, number)
    (tmp_path / 'bag').mkdir()
    bag = Bag(tmp_path / 'bag')

    def delete(self: Bag, changed: Path) -> None:
        for path in changed.iterdir():
            path.unlink()
        raise BagError('it is gone; record it again')

    monkeypatch.setattr(Bag, 'read', delete)
    with pytest.raises(AssertionError, match='a recording is lost'):
        try_one(bag, SEED, 0)


def test_a_process_that_an_input_ends_is_a_failure_of_that_input_alone(tmp_path: Path) -> None:
    child = Child('Labels', SEED, tmp_path)
    child.number = 7
    child.connection.send(None)  # which ends it
    assert child.answer() == (7, f'{FAILED}it ended the process: 0')
    # One that says nothing is given up.
    assert child.give_up() == (7, f'{FAILED}it ended the process: {-signal.SIGKILL}')
    [(number, end)] = try_all([child], [1])
    child.end()
    assert number == 1 and not end.startswith(FAILED)


def test_a_failure_is_shown_with_the_command_that_repeats_it() -> None:
    tally = mutations.Tally(Counter(refused=3, read=1), {12: 'KeyError in x.py:3: y'})
    shown = table({'Bag': tally}, 9)
    assert shown.splitlines()[1].split()[:5] == ['Bag', '5', '3', '1', '1']
    assert 'python test/mutations.py --seed 9 --kind Bag --only 12' in shown
