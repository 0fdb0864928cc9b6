# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Intents: in a policy's file, against what an episode did, and in an audit's figures."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from audit_models import SCENARIO, identity, result
from inputs import CONTRACT
from model_mutations import small_policy, with_digest
from traces import HZ, handed_over, make_trace

from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.audit.figures.intent import said_and_done
from uncloning_ros.audit.figures.model_figures import StatedLimits, figures
from uncloning_ros.audit.record.audit_record import audit_record
from uncloning_ros.audit.report.page import html_report
from uncloning_ros.audit.report.terminal import audit_text
from uncloning_ros.audit.run.rollout import run_rollouts
from uncloning_ros.errors import ModelError
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.judging.said import Said, said_of
from uncloning_ros.policy_io import KEY_POSES, Intent, Observation, intent_size
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario
from uncloning_ros.schema import plain, read

MODES = ('handle_first', 'blade_first')


def intent(mode: str, x_m: float = 0.4) -> Intent:
    pose = np.array([x_m, 0.0, 0.3, 1, 0, 0, 0, 1, 0], np.float32)
    return Intent(mode, dict.fromkeys(MODES, 0.5), dict.fromkeys(KEY_POSES, pose))


def written(path: Path, change: Any = lambda model: None, **records: str) -> Path:
    """Write a policy that says an intent, changed."""
    model = small_policy(CONTRACT, intent=True)
    change(model)
    texts = {part.key: part.value for part in model.metadata_props} | records
    onnx.helper.set_model_props(model, {key: text for key, text in texts.items() if text})
    path.write_bytes(with_digest(model.SerializeToString(deterministic=True)))
    return path


class TestFile:
    """The further output of a policy's file."""

    def asked(self, path: Path) -> Intent | None:
        policy = load_policy(path)
        return policy(Observation(np.zeros(policy.observation_shape, np.float32)),
                      np.zeros(policy.chunk_shape, np.float32)).intent

    def test_a_policy_with_the_output_says_its_intent(self, tmp_path: Path) -> None:
        policy = load_policy(written(tmp_path / 'said.onnx'))
        assert (policy.says_intent, policy.episode_noise) == (True, 4)
        found = self.asked(tmp_path / 'said.onnx')
        assert found is not None and found.mode in MODES
        assert tuple(found.key_poses) == KEY_POSES

    def test_a_policy_without_it_says_none(self, tmp_path: Path) -> None:
        path = tmp_path / 'plain.onnx'
        path.write_bytes(with_digest(small_policy(CONTRACT).SerializeToString(
            deterministic=True)))
        policy = load_policy(path)
        assert (policy.says_intent, policy.episode_noise, self.asked(path)) == (False, 0, None)

    def test_an_intent_of_another_size_is_refused(self, tmp_path: Path) -> None:
        def wider(model: onnx.ModelProto) -> None:
            weight = next(one for one in model.graph.initializer if one.name == 'w4')
            array = onnx.numpy_helper.to_array(weight)
            weight.CopyFrom(onnx.numpy_helper.from_array(np.hstack([array, array]), 'w4'))
            model.graph.output[1].type.tensor_type.shape.dim[1].dim_value *= 2
        with pytest.raises(ModelError, match=r'expected inputs and output .*intent'):
            load_policy(written(tmp_path / 'wide.onnx', wider))

    def test_another_output_is_refused(self, tmp_path: Path) -> None:
        def renamed(model: onnx.ModelProto) -> None:
            model.graph.output[1].name = model.graph.node[-1].output[0] = 'more'
        with pytest.raises(ModelError, match=r'expected inputs and output .*more'):
            load_policy(written(tmp_path / 'more.onnx', renamed))

    @pytest.mark.parametrize('said', ['-1', '1000', '1.5', 'true', '"4"', '[4]', '{'])
    def test_noise_that_cannot_stay_is_refused(self, tmp_path: Path, said: str) -> None:
        with pytest.raises(ModelError, match='episode_noise'):
            load_policy(written(tmp_path / 'wrong.onnx', episode_noise=said))

    @pytest.mark.parametrize('wrong', [np.nan, np.inf])
    def test_values_that_are_no_intent_are_an_error(self, wrong: float) -> None:
        values = np.zeros(intent_size(MODES), np.float32)
        values[2] = 1.0
        assert Intent.of(values, MODES).mode == MODES[0]
        for place, value in ((10, wrong), (0, -0.1), (2, 0.0)):
            broken = values.copy()
            broken[place] = value
            with pytest.raises(ValueError, match='expected an intent'):
                Intent.of(broken, MODES)


class TestEpisode:
    """The intents of one episode against its trace, whose tool is at x = 0.4 m throughout."""

    def traced(self, grasp_s: float) -> Any:
        trace = handed_over()
        contact = trace.finger_contact.copy()
        contact[:round(grasp_s * HZ)] = False
        return dataclasses.replace(trace, finger_contact=contact)

    def test_the_first_plan_counts_and_the_mode_is_read_since_it_stayed(self) -> None:
        plans = [(0.0, intent('blade_first', 0.43)), (0.2, intent('handle_first', 0.9)),
                 (0.4, intent('handle_first')), (0.9, intent('blade_first'))]
        found = said_of(plans, self.traced(0.5), 'handle_first')
        assert found is not None
        assert (found.mode, found.grasp_apart_m, found.read_s) == (
            'blade_first', pytest.approx(0.03), pytest.approx(0.3))

    def test_a_mode_that_was_not_said_before_the_grasp_was_not_read(self) -> None:
        plans = [(0.0, intent('handle_first')), (0.4, intent('blade_first'))]
        found = said_of(plans, self.traced(0.5), 'handle_first')
        assert found is not None and found.read_s is None

    def test_without_a_lift_nothing_is_measured(self) -> None:
        trace = make_trace()
        trace = dataclasses.replace(trace, finger_contact=np.zeros_like(trace.finger_contact))
        assert said_of([(0.0, intent('handle_first'))], trace, None) == Said(
            'handle_first', None, None)

    def test_a_policy_that_says_nothing_has_no_record(self) -> None:
        assert said_of([], make_trace(), None) is None


def results() -> tuple[EpisodeResult, ...]:
    said = [('success', Said('handle_first', 0.01, 1.5)), ('success', Said('blade_first', 0.03,
                                                                           None)),
            ('wrong_part', Said('blade_first', 0.02, 1.2)),
            ('not_reached', Said('handle_first', None, None))]
    return tuple(result(i, kind, said=one) for i, (kind, one) in enumerate(said))


def test_agreement_counts_completed_episodes_alone() -> None:
    found = said_and_done(results(), MODES)
    assert found is not None
    assert found.said == {'handle_first': 2, 'blade_first': 2}
    assert (found.completed, found.agreed, found.agreement, found.unread) == (3, 2, 2 / 3, 1)
    assert found.grasp_apart_m is not None and found.read_s is not None
    assert (found.grasp_apart_m.median, found.grasp_apart_m.count) == (0.02, 3)
    assert (found.read_s.least, found.read_s.most, found.read_s.count) == (1.2, 1.5, 2)


def test_without_intents_files_are_as_before() -> None:
    without = result(1)
    assert said_and_done([without], MODES) is None
    assert 'said' not in plain(without)
    found = figures(AuditedModel(identity(), (without,)), SCENARIO, StatedLimits())
    assert 'said_and_done' not in plain(found)


def test_json_terminal_and_page_tell_what_was_said() -> None:
    models = [AuditedModel(identity(), results()),
              AuditedModel(identity('other.onnx', 'b' * 64), (result(0), *[
                  result(i) for i in range(1, 4)]))]
    record = audit_record(models, SCENARIO, 0.005, StatedLimits())
    data = plain(record)
    assert data['said_and_done']['agreed'] == 2
    assert 'said_and_done' not in data['against']
    again = read(EpisodeResult, json.loads(json.dumps(data['per_seed'][0])), '', ModelError)
    assert again.said == Said('handle_first', 0.01, 1.5)
    text, page = audit_text(record), html_report(record, SCENARIO, [])
    assert max(map(len, text.splitlines())) <= 80
    for shown in (' '.join(text.split()), page):
        assert '2 of 3 completed episodes in the mode that was said' in shown
        assert '1.20 s (least) before the grasp, in 1 not at all' in shown
    alone = audit_record(models[1:], SCENARIO, 0.005, StatedLimits())
    assert 'Said and done' not in html_report(alone, SCENARIO, [])
    assert 'said and done' not in audit_text(alone)


@pytest.mark.slow
def test_an_episode_of_an_audit_has_its_intents(tmp_path: Path) -> None:
    scenario = find_scenario('knife')
    model = written(tmp_path / 'said.onnx')
    first, = run_rollouts(model, scenario, [3], 1)
    assert first.said is not None and first.said.mode in MODES
    assert run_rollouts(model, scenario, [3], 1) == [first]
