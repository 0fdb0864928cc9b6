# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hidden information is doubt where the outcome depends on it; a free choice is none."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learning_toys import toy_config, toy_contract, toy_dataset

from uncloning_ros.contract import Contract, DoubtStop, contract_from_dict
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning import hidden
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.doubt import lacks_for_hidden, recorded_scores, with_doubt
from uncloning_ros.learning.export import export
from uncloning_ros.learning.policies import build_policy
from uncloning_ros.learning.windows import tensors_of_frames
from uncloning_ros.policy_io import Observation
from uncloning_ros.runtime.doubt import HIDDEN_FROM, Hidden
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.schema import plain

FRAMES, CHOICE, SHOWN_AT = 24, 6, 14  # the arm sets off at the choice, the late hand is shown then
STOP = DoubtStop(0.2, 5.0)


def hand_contract() -> Contract:
    """Return the contract of the toys with a hand in place of the tool."""
    return contract_from_dict(json.loads(
        json.dumps(plain(toy_contract())).replace('object_pose', 'hand_pose')))


def demonstrations(folder: Path, knows: bool) -> Dataset:
    """Return demonstrations in which the arm goes to one side, and the hand to one side.

    A teacher who knows goes to the side of the hand, which every other episode shows only later;
    else the arm's side is free.
    """
    data = toy_dataset(folder, episodes=120, contract=hand_contract())
    rng = np.random.default_rng(0)
    rows, commands = [], []
    for i in range(len(data.episodes)):
        side = 1.0 if i // 2 % 2 else -1.0
        way = side if knows else rng.choice((-1.0, 1.0))
        frames = np.arange(FRAMES + 1)
        seen = np.tile([0.3, 0, 0.2, 1, 0, 0, 0, 1, 0, 0.9, 0, 0.1, 1, 0, 0, 0, 1, 0],
                       (FRAMES + 1, 1))
        seen[:, 0] += 0.01 * np.minimum(frames, CHOICE)
        seen[:, 1] += way * 0.03 * np.maximum(frames - CHOICE, 0)
        shown = SHOWN_AT if i % 2 else 1
        seen[:, 10] = side * 0.2 * np.clip((frames - shown) / 2, 0, 1)
        seen[:, :3] += rng.normal(0, 0.002, (FRAMES + 1, 3))
        seen[:, 9:12] += rng.normal(0, 0.003, (FRAMES + 1, 3))
        rows.append(seen[:-1])
        commands.append(np.concatenate([seen[1:, :9], np.full((FRAMES, 1), 0.04)], 1))
    return replace(data, episodes=tuple(replace(one, frames=FRAMES) for one in data.episodes),
                   observations=np.concatenate(rows).astype(np.float32),
                   actions=np.concatenate(commands).astype(np.float32))


def run_of(data: Dataset) -> Run:
    """Return an untrained run on the demonstrations."""
    torch.manual_seed(0)
    config = toy_config(data, 10)
    policy = build_policy(config.contract, config.network)
    observations, chunks = tensors_of_frames(data, data.window_frames('train'))
    policy.normaliser.fit(observations, chunks)
    return Run(config, policy.eval().requires_grad_(False), observations[:4], {}, '0' * 64)


def told(run: Run, data: Dataset, late: bool, frame: int) -> np.ndarray:
    """Return the doubts at a frame of the held-out episodes of a kind."""
    frames = [int(data.bounds[i]) + frame for i, one in enumerate(data.episodes)
              if one.split == 'validation' and i % 2 == late]
    observations, _ = tensors_of_frames(data, np.array(frames))
    assert run.policy.doubt is not None
    found: np.ndarray = run.policy.doubt(run.policy.condition(observations, ()))[:, 0].numpy()
    return found


@pytest.fixture(scope='module')
def known(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return demonstrations(tmp_path_factory.mktemp('known') / 'data', knows=True)


def test_a_choice_that_follows_what_only_the_teacher_knew_is_doubt(known: Dataset) -> None:
    run, record = with_doubt(run_of(known), known, STOP)
    assert record.hidden is not None and record.hidden.key == 'hand_pose'
    assert 12.0 < record.hidden.saved_cm < 28.0  # the hand goes 20 cm to one side
    assert np.median(told(run, known, late=True, frame=CHOICE - 1)) > HIDDEN_FROM
    assert told(run, known, late=False, frame=CHOICE - 1).max() < HIDDEN_FROM, 'it was shown'
    assert told(run, known, late=True, frame=FRAMES - 4).max() < HIDDEN_FROM, 'it is shown now'
    assert np.median(told(run, known, late=True, frame=CHOICE + 5)) < HIDDEN_FROM, 'it is chosen'


def test_hardly_an_observation_lies_on_the_slope_where_rounding_decides(known: Dataset) -> None:
    run, _ = with_doubt(run_of(known), known, STOP)
    late, early = (next(i for i, one in enumerate(known.episodes) if i % 2 == kind)
                   for kind in (1, 0))
    ends, _ = tensors_of_frames(known, known.bounds[[late, early]] + CHOICE - 1)
    assert run.policy.doubt is not None
    found = run.policy.doubt(run.policy.condition(
        torch.lerp(ends[:1], ends[1:], torch.linspace(0, 1, 4000)[:, None, None]), ()))
    assert found.max() > HIDDEN_FROM > found.min()
    assert not ((found > 1e4) & (found < 1.2 * HIDDEN_FROM)).any()


def test_a_free_choice_of_the_way_is_no_doubt(tmp_path: Path) -> None:
    data = demonstrations(tmp_path / 'data', knows=False)
    run, record = with_doubt(run_of(data), data, STOP)
    assert record.hidden is None and 'hidden' not in plain(record)
    assert told(run, data, late=True, frame=CHOICE - 1).max() < HIDDEN_FROM


def test_what_a_look_for_it_lacks_is_said(known: Dataset, tmp_path: Path) -> None:
    run = run_of(known)
    assert lacks_for_hidden(run, known) == ''
    few = replace(known, episodes=tuple(replace(one, split='train' if i < 15 else 'validation')
                                        for i, one in enumerate(known.episodes)))
    assert 'it takes 32 training episodes, got 15' in lacks_for_hidden(run, few)
    assert with_doubt(run, few, STOP)[1].hidden is None
    without = toy_dataset(tmp_path / 'without')
    assert 'no pose hand_pose is observed' in lacks_for_hidden(run_of(without), without)


def test_the_page_names_the_limits_of_the_search() -> None:
    page = ' '.join((Path(__file__).parents[2] / 'docs' / 'doubt.md').read_text('utf-8').split())
    assert f'differences of more than {hidden._LEAST_CM:g} cm' in page
    assert f'by more than {hidden._SURE:g} standard errors' in page
    assert f'fewer than {hidden._EPISODES} training episodes' in page
    assert f'doubt is {HIDDEN_FROM:,.0f} or more' in page


def test_the_file_tells_it_and_recordings_judge_the_strange_alone(
        known: Dataset, tmp_path: Path) -> None:
    run, record = with_doubt(run_of(known), known, STOP)
    export(run, tmp_path / 'policy.onnx', doubt=record)
    policy = load_policy(tmp_path / 'policy.onnx')
    assert policy.doubt == record and isinstance(record.hidden, Hidden)
    late = next(i for i, one in enumerate(known.episodes) if i % 2)
    seen, _ = known.gather(known.bounds[late:late + 1] + CHOICE - 1)
    plan = policy(Observation(seen[0]), np.zeros(policy.chunk_shape, np.float32))
    assert run.policy.doubt is not None and plan.doubt is not None
    ours = run.policy.doubt(run.policy.condition(torch.from_numpy(seen), ())).item()
    assert plan.doubt == pytest.approx(ours, rel=1e-3) and plan.doubt > HIDDEN_FROM
    assert max(recorded_scores(run, known, STOP.after_s)) < 5.0
    strange = policy(Observation(seen[0] + 1e3), np.zeros(policy.chunk_shape, np.float32))
    assert strange.doubt is not None and strange.doubt > 100.0
