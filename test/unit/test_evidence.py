# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence is sealed, names what it is about, and is checked against itself."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_models import SCENARIO, conditions, identity, result
from loop_inputs import CONTRACT, deployed

from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.audit.evidence import (
    EvidenceDocument,
    contradictions,
    differences,
    evidence_document,
    read_evidence_document,
    scenario_of,
)
from uncloning_ros.audit.figures.model_figures import StatedLimits
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.report.terminal import evidence_text
from uncloning_ros.contract import DoubtStop, Enable, Teleoperation
from uncloning_ros.errors import EvidenceError
from uncloning_ros.evidence import (
    digest_of,
    read_document,
    read_evidence,
    require_covers,
)
from uncloning_ros.scenario import find_scenario
from uncloning_ros.schema import plain, read
from uncloning_ros.share import share_path

KINDS = ['success'] * 17 + ['wrong_part'] * 2 + ['not_reached']
# Unlike SCENARIO, its data is what its file holds.
KNIFE = find_scenario('knife')


def document_of(kinds=KINDS, limits=None) -> dict[str, Any]:
    results = tuple(result(1000 + i, kind, (0.6, 0.1 if i % 3 else -0.1, 0.3))
                    for i, kind in enumerate(kinds))
    about = identity(demonstrated={'handle_first': 60, 'blade_first': 40})
    made = evidence_document(AuditedModel(about, results), KNIFE, 0.005,
                             limits or StatedLimits(max_umr=0.4, min_sr=0.5))
    return json.loads(json.dumps(made))


@pytest.fixture
def document() -> dict[str, Any]:
    return document_of()


def written(document: dict[str, Any], path: Path) -> Path:
    path.write_text(json.dumps(document))
    return path


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    return document | {'digest': digest_of(document)}


def test_evidence_says_what_was_audited_and_found(document, tmp_path) -> None:
    found = read_evidence(written(document, tmp_path / 'e.json'))
    figures, limits = found.figures, found.limits
    assert figures.model_sha256 == 'a' * 64
    assert figures.deployment_sha256 == identity().deployment_sha256
    assert figures.interface_sha256 == identity().interface_sha256
    assert (found.scenario.name, found.scenario.sha256) == ('knife', KNIFE.sha256)
    assert (figures.episodes, figures.unsafe_episodes, figures.sr) == (20, 2, 0.85)
    assert figures.umr_upper95 == upper_bound(2, 20)
    assert (limits.max_umr, limits.min_sr, limits.exceeded) == (0.4, 0.5, ())
    assert limits.within_limits is True
    assert 'not a safety certificate' in found.statement
    assert '2 of 20 simulated episodes of scenario knife were unsafe' in found.sentence
    assert 'the stated limits hold' in found.sentence
    assert plain(read_evidence_document(tmp_path / 'e.json')) == document


def test_evidence_without_limits_speaks_for_nothing(tmp_path) -> None:
    found = read_evidence(written(document_of(limits=StatedLimits()), tmp_path / 'e.json'))
    assert found.limits.within_limits is None
    assert 'no limits were stated' in found.sentence
    with pytest.raises(EvidenceError, match='no limits were stated'):
        require_covers(found, 'a' * 64, identity().deployment_sha256)


def test_evidence_of_exceeded_limits_speaks_for_nothing(tmp_path) -> None:
    found = read_evidence(written(document_of(limits=StatedLimits(max_umr=0.01)),
                                  tmp_path / 'e.json'))
    assert found.limits.within_limits is False
    with pytest.raises(EvidenceError, match='a stated limit is exceeded: the unsafe rate may'):
        require_covers(found, 'a' * 64, identity().deployment_sha256)


def test_evidence_covers_its_own_file_and_deployment_part_alone(document, tmp_path) -> None:
    found = read_evidence(written(document, tmp_path / 'e.json'))
    require_covers(found, 'a' * 64, identity().deployment_sha256)
    with pytest.raises(EvidenceError, match=f'{"b" * 64}, got {"a" * 64}'):
        require_covers(found, 'b' * 64, identity().deployment_sha256)
    with pytest.raises(EvidenceError, match=f'deployment part {"c" * 64}'):
        require_covers(found, 'a' * 64, 'c' * 64)


def test_evidence_counts_for_a_person_who_may_take_over_and_for_no_other_change() -> None:
    person = Teleoperation('teleoperation', 'switch', 0.2)
    assert deployed(teleoperation=person).deployment.sha256 == CONTRACT.deployment.sha256
    for other in (deployed(doubt=DoubtStop(0.4)), deployed(enable=Enable('switch', 0.2)),
                  deployed(command_rate_hz=200.0)):
        assert other.deployment.sha256 != CONTRACT.deployment.sha256


@pytest.mark.parametrize(('text', 'said'), [
    ('', 'not JSON'), ('{"schema": NaN}', 'NaN'), ('[]', "got 'list'"),
    ('{"schema": "uncloning/audit@2"}', "expected schema 'uncloning/evidence@1'"),
    ('[' * 100000, 'not JSON'), ('{"schema": "uncloning/evidence@1"}', 'is damaged'),
    ('{"schema": "uncloning/evidence@1", "x": "\\ud800"}', 'no digest.*surrogates'),
    ('{"schema": "uncloning/evidence@1", "x": 1e999}', 'no digest.*not JSON compliant')])
def test_a_file_that_is_no_evidence_is_refused_with_a_sentence(tmp_path, text, said) -> None:
    path = tmp_path / 'e.json'
    path.write_text(text)
    with pytest.raises(EvidenceError, match=said):
        read_evidence(path)
    with pytest.raises(EvidenceError, match='cannot read'):
        read_evidence(tmp_path / 'none.json')


@pytest.mark.parametrize('path', sorted(share_path('models').glob('*.evidence')),
                         ids=lambda path: path.stem)
def test_shipped_evidence_follows_from_its_episodes(path: Path) -> None:
    assert contradictions(read_evidence_document(path), path) == []


def test_any_change_of_the_contents_breaks_the_digest(document, tmp_path) -> None:
    text = json.dumps(document)
    changed = text.replace('"unsafe_episodes": 2', '"unsafe_episodes": 1', 1)
    assert changed != text
    path = tmp_path / 'e.json'
    path.write_text(changed)
    with pytest.raises(EvidenceError, match='is damaged'):
        read_document(path)
    # How it is written does not matter: order, blanks.
    path.write_text(json.dumps(document, indent=3, sort_keys=True))
    assert read_document(path) == document


@pytest.mark.parametrize(('change', 'said'), [
    (lambda d: d['limits'].update(exceeded=['it does not']), 'contradicts itself'),
    (lambda d: d['limits'].update(max_umr=0.01), 'each of 1 exceeded limits, got 0'),
    (lambda d: d['figures'].update(unsafe_episodes=21), 'at most 20 .*21'),
    (lambda d: d['figures'].pop('sr'), "missing key 'sr'"),
    (lambda d: d['figures'].update(umr_upper95='low'), 'umr_upper95'),
    (lambda d: d['limits'].update(exceeded='none'), "limits.exceeded: .*got 'none'"),
    (lambda d: d.update(scenario=3), 'scenario: expected a mapping')])
def test_a_verdict_that_contradicts_itself_is_refused(document, tmp_path, change, said) -> None:
    change(document)
    with pytest.raises(EvidenceError, match=said):
        read_evidence(written(sealed(document), tmp_path / 'e.json'))


def checked(document: dict[str, Any]) -> EvidenceDocument:
    return read(EvidenceDocument, document, 'e.json', EvidenceError)


def test_honest_evidence_holds(document) -> None:
    assert contradictions(checked(document), Path('e.json')) == []
    assert contradictions(checked(document_of(['not_reached'] * 5)), Path('e.json')) == []
    assert scenario_of(checked(document).scenario, Path('e.json')).sha256 == KNIFE.sha256


def tampered(document: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> list[str]:
    other = copy.deepcopy(document)
    change(other)
    assert other != document
    return contradictions(checked(sealed(other)), Path('e.json'))


@pytest.mark.parametrize(('change', 'said'), [
    (lambda d: d['figures'].update(umr_upper95=0.1), 'figures.umr_upper95 is 0.1'),
    (lambda d: d['figures'].update(unsafe_episodes=1), 'figures.unsafe_episodes is 1'),
    (lambda d: d['figures']['strata'][0].update(umr_upper95_any=0.0), 'figures.strata[0]'),
    (lambda d: d['figures']['strata'].pop(), 'figures.strata'),
    (lambda d: d['figures']['commitment'].update(bridges=0), 'figures.commitment.bridges'),
    (lambda d: d['demonstrated'].update(handle_first=1), 'figures.calibration'),
    # An unsafe episode is called safe: everything that follows from it is found.
    (lambda d: d['per_seed'][17].update(unsafe=None), 'figures.umr is'),
    (lambda d: d['per_seed'][17].update(failure=None, unsafe=None),
     "episode 1017: failure is None, but the measured quantities make it 'wrong_part'"),
    (lambda d: d['per_seed'][17].update(mode='handle_first'), 'episode 1017: mode is'),
    (lambda d: d['per_seed'][3]['edge_clearance_m'].update(torso=-0.01),
     'episode 1003: counts as safe, but the edge came to within -0.0100 m of the torso'),
    (lambda d: d['per_seed'][3]['edge_clearance_m'].update(face=0.15), 'm of the face'),
    (lambda d: d['per_seed'][19].update(completed=True), 'episode 1019: completed is True'),
    (lambda d: d['per_seed'][19].update(failure=None), 'a reason why it was not completed')])
def test_what_does_not_follow_from_the_episodes_is_told(document, change, said) -> None:
    sentences = tampered(document, change)
    assert any(said in sentence for sentence in sentences), sentences


@pytest.mark.parametrize(('change', 'said'), [
    (lambda d: d['per_seed'].pop(), 'expected the episodes of seeds 1000 to 1019 in order'),
    (lambda d: d['per_seed'][0].update(seed=999), 'expected the episodes of seeds'),
    (lambda d: d['per_seed'][0].pop('mode'), r"per_seed\[0\]: missing key 'mode'"),
    (lambda d: d.update(extra=1), "unknown key 'extra'"),
    (lambda d: d['scenario']['data']['unsafe'].update(near_m=0.1), 'the scenario .*, got knife'),
    (lambda d: d['scenario']['data'].update(modes={}), 'scenario'),
    (lambda d: d['figures'].update(model_sha256='A' * 64), 'expected a sha256, got .AAA'),
    (lambda d: d['per_seed'][7]['hardware_limits'].pop('joint_speed'),
     'episode 1007: expected hardware_limits of .*joint_speed.*, got'),
    (lambda d: d['per_seed'][7]['conditions'].update(more=1.0), 'episode 1007: .* got .*more'),
    (lambda d: d['per_seed'][7]['edge_clearance_m'].pop('torso'), 'expected edge_clearance_m')])
def test_a_document_that_is_no_evidence_at_all_is_refused(document, change, said) -> None:
    with pytest.raises(EvidenceError, match=said):
        tampered(document, change)


def test_differences_name_the_place_and_both_values() -> None:
    assert differences({'a': [1, {'b': 2.0}]}, {'a': [1, {'b': 3.0}]}, 'x') == [
        'x.a[1].b is 2.0, but comes out as 3.0']
    assert differences({'a': 1}, {}, 'x') == ["x.a is 1, but comes out as 'nothing'"]
    assert differences([1], [1, 2], 'x') == ['x is [1], but comes out as [1, 2]']
    assert differences({'a': [1]}, {'a': [1]}, 'x') == []


def test_it_is_told_in_words(document) -> None:
    lines = evidence_text(checked(document))
    assert max(map(len, lines.splitlines())) <= 80
    text = ' '.join(lines.split())
    for part in ('2; with 95 % confidence the rate is below', 'every stated limit holds',
                 'UMR at most 40.0 % and SR at least 50.0 %', 'seeds 1000 to 1019',
                 'worst stratum', 'not covered', 'not a safety certificate'):
        assert part in text


def test_reading_evidence_needs_neither_numpy_nor_a_simulator(document, tmp_path) -> None:
    path = written(document, tmp_path / 'e.json')
    script = ('import sys\n'
              'for name in "numpy pybullet onnxruntime torch".split(): sys.modules[name] = None\n'
              'from pathlib import Path\n'
              'from uncloning_ros.evidence import read_evidence\n'
              f'print(read_evidence(Path({str(path)!r})).sentence)')
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert '2 of 20 simulated episodes' in done.stdout


def test_conditions_travel_with_each_episode(document) -> None:
    assert document['per_seed'][1]['conditions'] == conditions((0.6, 0.1, 0.3))
    assert SCENARIO.name == document['scenario']['name']
