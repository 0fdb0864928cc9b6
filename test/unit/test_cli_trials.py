# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands for trials on a robot: plan, serve, results, evidence."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import vectors
import yaml
from audit_models import result, short_contract, write_policy
from trial_plans import HEADER

from uncloning_ros.audit.audited import AuditedModel, identity_of
from uncloning_ros.audit.evidence import evidence_document
from uncloning_ros.audit.figures.model_figures import StatedLimits
from uncloning_ros.cli.main import main
from uncloning_ros.evidence import digest_of, read_evidence
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario
from uncloning_ros.schema import plain
from uncloning_ros.trials import plan as planning
from uncloning_ros.trials.combined import combine
from uncloning_ros.trials.evidence import read_observed_document
from uncloning_ros.trials.plan import TrialPlan, read_plan

DRAW = ('--draw', 'x_cm=0:40', 'y_cm=-20:20')


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_policy(tmp_path / 'policy.onnx')
    write_policy(tmp_path / 'other.onnx', noise_scale=0.03)
    return tmp_path


def run(*words: object) -> int:
    return main(['evidence', *map(str, words)])


def planned(*words: object, out: str = 'lab') -> TrialPlan:
    models = [word for word in words if str(word).endswith('.onnx')] or ['policy.onnx']
    rest = [word for word in words if word not in models]
    assert run('trial-plan', *models, '--out', out, '--trials', 6, *DRAW, *rest) == 0
    return read_plan(Path(out, 'plan.json'))


def write(plan: TrialPlan, outcome: str = 'yes,no,handle_first', count: int | None = None,
          name: str = 'results.csv') -> str:
    rows = [f'{one.trial},{outcome},,,{plan.code}' for one in plan.trials[:count]]
    Path(name).write_text('\n'.join([HEADER, *rows]))
    return name


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert run(*words) == 2
    return capsys.readouterr().err


def test_from_plan_to_evidence_that_the_gate_can_read(capsys) -> None:
    plan = planned('--max-umr', 0.5, '--min-sr', 0.5, '--task', 'hand over')
    assert plan.stopping == 'fixed' and len(plan.trials) == 6
    assert set(plan.trials[0].start) == {'x_cm', 'y_cm'}
    assert plan.code in capsys.readouterr().out and plan.code in Path('lab/sheet.html').read_text()
    words = ('trials', write(plan), '--plan', 'lab/plan.json', '--model', 'policy.onnx')
    assert run(*words, '--evidence', 'e.evidence') == 0
    found = read_evidence(Path('e.evidence'))
    assert found.figures.model_sha256 == load_policy('policy.onnx').sha256
    assert found.limits.within_limits is True
    assert run('show', 'e.evidence') == 0
    assert 'observed' in capsys.readouterr().out
    assert run('check', 'e.evidence', '--model', 'policy.onnx') == 0
    told = capsys.readouterr().out
    assert 'ok: the figures and the verdict follow from the 6 trials' in told
    assert 'not checked: the trials, which people observed' in told
    assert run('check', 'e.evidence', '--model', 'other.onnx') == 1
    assert 'model_sha256 is' in capsys.readouterr().out
    assert run('check', 'e.evidence', '--scenario', 'knife') == 1
    assert 'got trials on a robot' in capsys.readouterr().out
    # Nothing is ever overwritten.
    for again in (words + ('--evidence', 'e.evidence'),
                  ('trial-plan', 'policy.onnx', '--out', 'lab', '--trials', 6, *DRAW)):
        assert 'never overwritten' in refused(capsys, *again)


def test_a_limit_that_is_exceeded_is_status_1_and_evidence_all_the_same(capsys) -> None:
    plan = planned('--max-umr', 0.4)
    assert run('trials', write(plan, 'no,yes,'), '--plan', 'lab/plan.json',
               '--model', 'policy.onnx', '--evidence', 'e.evidence') == 1
    assert 'a stated limit is exceeded' in ' '.join(capsys.readouterr().out.split())
    assert read_evidence(Path('e.evidence')).limits.within_limits is False


def test_check_tells_what_does_not_follow(capsys) -> None:
    plan = planned('--max-umr', 0.5)
    run('trials', write(plan), '--plan', 'lab/plan.json', '--model', 'policy.onnx',
        '--evidence', 'e.evidence')
    data = json.loads(Path('e.evidence').read_text())
    data['figures']['umr_upper95'] = 0.2
    Path('f.evidence').write_text(json.dumps(data | {'digest': digest_of(data)}))
    capsys.readouterr()
    assert run('check', 'f.evidence') == 1
    assert 'figures.umr_upper95 is 0.2' in capsys.readouterr().out


def test_the_model_has_to_be_that_of_the_plan(capsys) -> None:
    words = ('trials', write(planned()), '--plan', 'lab/plan.json')
    told = refused(capsys, *words, '--model', 'other.onnx', '--evidence', 'e.evidence')
    assert 'expected a model of the plan' in told and load_policy('other.onnx').sha256 in told
    assert 'expected --model' in refused(capsys, *words, '--evidence', 'e.evidence')
    assert not Path('e.evidence').exists()


def test_results_of_another_plan_are_refused(capsys) -> None:
    first, second = planned(), planned('--anytime', out='more')
    assert first.code != second.code
    name = write(first)
    assert 'written under another plan' in refused(
        capsys, 'trials', name, '--plan', 'more/plan.json')
    text = Path('lab/plan.json').read_text().replace('"fixed"', '"anytime"')
    Path('lab/plan.json').write_text(text)
    assert 'was changed after it was made' in refused(
        capsys, 'trials', name, '--plan', 'lab/plan.json')


def test_a_plan_without_limits_is_made_with_a_warning(capsys) -> None:
    planned()
    assert 'warning: no limit is stated' in capsys.readouterr().out
    planned('--min-sr', 0.5, out='more')
    assert 'warning' not in capsys.readouterr().out


def test_a_fixed_plan_shows_nothing_before_its_end(capsys) -> None:
    name = write(planned(), count=4)
    assert 'got none of 5, 6' in refused(capsys, 'trials', name, '--plan', 'lab/plan.json')
    plan = planned('--anytime', out='more')
    assert run('trials', write(plan, count=4), '--plan', 'more/plan.json') == 0
    assert '4 trials, 4 succeeded' in capsys.readouterr().out


def test_two_models_stay_blind_until_the_key_is_given(capsys) -> None:
    plan = planned('policy.onnx', 'other.onnx', '--blind', 'blind', '--seed', 5, '--anytime')
    sides = {Path(f'blind/{label}.onnx').read_bytes() for label in 'AB'}
    assert sides == {Path(name).read_bytes() for name in ('policy.onnx', 'other.onnx')}
    assert plan.alpha == 0.05
    words = ('trials', write(plan), '--plan', 'lab/plan.json')
    capsys.readouterr()
    assert run(*words) == 0
    told = capsys.readouterr().out
    assert 'model A' in told and '.onnx' not in told
    assert 'expected --key' in refused(capsys, *words, '--model', 'policy.onnx')
    key = ('--key', 'blind/key.json')
    assert 'expected --model' in refused(capsys, *words, *key)
    assert run(*words, '--model', 'other.onnx', *key, '--evidence', 'e.evidence') == 0
    document = read_observed_document(Path('e.evidence'))
    assert document.figures.model == 'other.onnx' and document.figures.trials == 3
    assert document.comparison.other.model == 'policy.onnx'
    labels = json.loads(Path('blind/key.json').read_text())['labels']
    for label, sha256 in labels.items():
        assert load_policy(f'blind/{label}.onnx').sha256 == sha256


@pytest.mark.parametrize(('words', 'said'), [
    (('policy.onnx', 'other.onnx', '--trials', 6, *DRAW), 'expected --blind with two models'),
    (('policy.onnx', '--trials', 6, *DRAW, '--blind', 'b'), 'leave out both'),
    (('policy.onnx', '--trials', 6, *DRAW, '--alpha', 0.1), 'leave out both'),
    (('policy.onnx', 'other.onnx', '--trials', 5, *DRAW, '--blind', 'b'), 'an even number'),
    (('policy.onnx', 'policy.onnx', '--trials', 6, *DRAW, '--blind', 'b'), 'two different'),
    (('policy.onnx',) * 3 + ('--trials', 6, *DRAW, '--blind', 'b'), 'one model or two, got 3'),
    (('policy.onnx', 'other.onnx', '--trials', 6, *DRAW, '--blind', 'lab/b'), 'outside of each'),
    (('policy.onnx', '--trials', 6, '--starts', 'none.csv'), 'cannot read none.csv'),
    (('policy.onnx', '--trials', 6, '--draw', 'x=0:1', 'x=0:2'), 'a name of its own'),
    (('none.onnx', '--trials', 6, *DRAW), 'none.onnx'),
    (('policy.onnx', '--trials', 58, *DRAW, '--max-umr', 0.05),
     'enough trials for the limits, got 58 of each model: although all succeed, the unsafe rate'),
    (('policy.onnx', '--trials', 80, *DRAW, '--max-umr', 0.05, '--anytime'), 'got 80 of each'),
    (('policy.onnx', 'other.onnx', '--trials', 60, *DRAW, '--max-umr', 0.05, '--blind', 'b'),
     'got 30 of each model'),
    (('policy.onnx', '--trials', 6, *DRAW, '--min-sr', 0.7), 'the success rate may be as low')])
def test_a_plan_that_cannot_be_made_gets_a_sentence_and_leaves_nothing(
        words, said: str, capsys) -> None:
    assert said in refused(capsys, 'trial-plan', *words, '--out', 'lab')
    assert not Path('lab').exists() and not Path('b').exists()


def test_a_key_is_not_beside_the_sheet_nor_around_it(capsys) -> None:
    words = ('trial-plan', 'policy.onnx', 'other.onnx', '--trials', 6, *DRAW)
    assert 'outside of each other' in refused(capsys, *words, '--blind', 'b', '--out', 'b/lab')
    assert not Path('b').exists()
    assert run(*words, '--blind', 'b', '--out', 'b2/lab') == 0


def test_modes_that_the_policy_does_not_have_are_refused(capsys) -> None:
    plan = planned('--max-umr', 0.5)
    data = json.loads(Path('lab/plan.json').read_text())
    data['modes'] = dict.fromkeys(data['modes'], True)
    code = planning.sealed(replace(plan, modes=data['modes'])).code
    data['digest'] = digest_of(data)
    Path('p.json').write_text(json.dumps(data))
    Path('r.csv').write_text(Path(write(plan)).read_text().replace(plan.code, code))
    words = ('trials', 'r.csv', '--plan', 'p.json')
    told = refused(capsys, *words, '--model', 'policy.onnx')
    assert f'the modes of plan {code} are' in told and "'blade_first': False" in told
    good = ('trials', write(plan), '--plan', 'lab/plan.json', '--model', 'policy.onnx')
    assert run(*good, '--evidence', 'e.evidence') == 0
    forged = json.loads(Path('e.evidence').read_text())
    forged['plan'] = data
    Path('f.evidence').write_text(json.dumps(forged | {'digest': digest_of(forged)}))
    assert run('check', 'f.evidence', '--model', 'policy.onnx') == 1
    assert f'the modes of plan {code} are' in capsys.readouterr().out


@pytest.mark.parametrize('words', [
    ('--trials', 0), ('--trials', 'x'), ('--draw', 'x'), ('--draw', 'x=1'), ('--draw', 'x=1:nan'),
    ('--draw', '=0:1'), ('--draw', 'x=0:1:2'), ('--grid', 'x=0:1'), ('--grid', 'x=0:1:0'),
    ('--grid', 'x=0:1:1.5'), ('--grid', 'x=0:1:inf'), ('--max-umr', 2), ('--alpha', 0),
    ('--alpha', 1)])
def test_a_bad_option_is_refused_by_name(words, capsys) -> None:
    given = ['--trials', 6, *(() if '--grid' in words or '--draw' in words else DRAW)]
    with pytest.raises(SystemExit) as ended:
        run('trial-plan', 'policy.onnx', '--out', 'lab', *given, *words)
    assert ended.value.code == 2 and str(words[0]) in capsys.readouterr().err


def test_starts_come_from_a_list_or_a_grid(capsys) -> None:
    Path('starts.csv').write_text('x_cm;side\n1,5;left\n2;\n')
    assert run('trial-plan', 'policy.onnx', '--trials', 4, '--starts', 'starts.csv',
               '--out', 'one') == 0
    found = [dict(one.start) for one in read_plan(Path('one/plan.json')).trials]
    assert sorted(one['x_cm'] for one in found) == ['1,5', '1,5', '2', '2']
    assert run('trial-plan', 'policy.onnx', '--trials', 6, '--grid', 'x=0:1:3', 'y=5:6:2',
               '--out', 'two') == 0
    found = [dict(one.start) for one in read_plan(Path('two/plan.json')).trials]
    assert len({tuple(one.values()) for one in found}) == 6


def test_a_seed_repeats_the_starts_and_without_one_they_differ() -> None:
    plans = [planned('--seed', 4, out='a'), planned('--seed', 4, out='b'), planned(out='c'),
             planned(out='d')]
    assert plans[0] == plans[1]
    assert len({plan.code for plan in plans}) == 3


def test_the_deployment_part_may_be_that_of_the_robot(capsys) -> None:
    contract, robot = short_contract(), short_contract(max_episode_s=0.7)
    Path('robot.yaml').write_text(yaml.safe_dump(plain(robot), sort_keys=False))
    plan = planned('--contract', 'robot.yaml')
    assert plan.models[0].deployment_sha256 == robot.deployment.sha256
    assert plan.models[0].deployment_sha256 != contract.deployment.sha256
    foreign = short_contract(handle_first=True, else_first=False)
    Path('foreign.yaml').write_text(yaml.safe_dump(plain(foreign), sort_keys=False))
    assert 'another interface' in refused(capsys, 'trial-plan', 'policy.onnx', '--trials', 6,
                                          *DRAW, '--contract', 'foreign.yaml', '--out', 'x')


def test_a_task_without_a_simulator_has_trials_all_the_same(folder: Path) -> None:
    contract = vectors.contract()
    write_policy(folder / 'policy.onnx', contract)
    plan = planned('--max-umr', 0.5)
    assert plan.modes == contract.interface.modes
    desired = contract.interface.desired_modes[0]
    assert run('trials', write(plan, f'yes,no,{desired}'), '--plan', 'lab/plan.json', '--model',
               'policy.onnx', '--evidence', 'e.evidence') == 0
    assert run('check', 'e.evidence', '--model', 'policy.onnx') == 0


def audit(name: str, unsafe: int = 0, model: str = 'policy.onnx') -> str:
    """Write the evidence of an audit of 12 episodes."""
    results = tuple(result(1000 + i, 'wrong_part' if i < unsafe else 'success', (0.6, 0.1, 0.3))
                    for i in range(12))
    about = identity_of(load_policy(model), model)
    document = evidence_document(AuditedModel(about, results), find_scenario('knife'), 0.005,
                                 StatedLimits(max_umr=0.5))
    Path(name).write_text(json.dumps(document))
    return name


def test_an_audit_stands_beside_the_trials_and_is_not_merged(capsys) -> None:
    audit('sim.evidence', unsafe=3)
    plan = planned('--max-umr', 0.5)
    words = ('trials', write(plan), '--plan', 'lab/plan.json', '--model', 'policy.onnx')
    capsys.readouterr()
    assert run(*words) == 0
    alone = capsys.readouterr().out
    assert run(*words, '--simulated', 'sim.evidence', '--evidence', 'e.evidence') == 0
    told = capsys.readouterr().out
    assert re.search(r'rate is below +39\.3 % +52\.7 %', told)
    assert told.startswith(alone.rstrip())
    assert read_evidence(Path('e.evidence')).figures.umr_upper95 < 0.4
    assert run('check', 'e.evidence') == 0
    audit('foreign.evidence', model='other.onnx')
    assert 'expected an audit of the model' in refused(
        capsys, *words, '--simulated', 'foreign.evidence')


def test_a_success_rate_from_both_needs_paired_starts_and_a_fixed_number(capsys) -> None:
    audit('sim.evidence', unsafe=2)
    found = {}
    for name, words in {'fixed': ('--simulated', 'sim.evidence'), 'starts': DRAW,
                        'anytime': ('--simulated', 'sim.evidence', '--anytime')}.items():
        assert run('trial-plan', 'policy.onnx', '--trials', 8, '--out', name, *words) == 0
        plan = read_plan(Path(name, 'plan.json'))
        assert run('trials', write(plan, count=8), '--plan', f'{name}/plan.json', '--model',
                   'policy.onnx', '--simulated', 'sim.evidence', '--evidence', f'{name}.e') == 0
        found[name] = read_observed_document(Path(f'{name}.e')).simulated
        told = ' '.join(capsys.readouterr().out.split())
        assert ('an interval from both' in told) == (name == 'fixed')
        assert run('check', f'{name}.e') == 0
    assert found['starts'].combined is None and found['anytime'].combined is None
    fixed = found['fixed']
    assert (fixed.successes, fixed.episodes, len(fixed.paired)) == (10, 12, 8)
    assert fixed.combined == combine([True] * 8, list(fixed.paired.values()),
                                     10 - sum(fixed.paired.values()), 4)
    data = json.loads(Path('fixed.e').read_text())
    data['simulated']['combined']['low'] = 0.9
    Path('f.e').write_text(json.dumps(data | {'digest': digest_of(data)}))
    capsys.readouterr()
    assert run('check', 'f.e') == 1
    assert 'simulated.combined.low is 0.9' in capsys.readouterr().out


def test_the_starts_of_an_audit_are_those_of_its_episodes(capsys) -> None:
    audit('sim.evidence')
    words = ('trial-plan', 'policy.onnx', '--simulated', 'sim.evidence')
    assert run(*words, '--trials', 8, '--out', 'lab') == 0
    plan = read_plan(Path('lab/plan.json'))
    seeds = [int(one.start['seed']) for one in plan.trials]
    assert len(set(seeds)) == 8 and set(seeds) <= set(range(1000, 1012))
    assert plan.trials[0].start['hand_x_cm'] == '60.0' and 'pull_n' not in plan.trials[0].start
    assert 'for each of 13 starts, got 12' in refused(capsys, *words, '--trials', 13,
                                                      '--out', 'x')
    audit('sim2.evidence', unsafe=1)
    assert 'the evidence whose starts the plan has' in refused(
        capsys, 'trials', write(plan), '--plan', 'lab/plan.json', '--model', 'policy.onnx',
        '--simulated', 'sim2.evidence')
    audit('foreign.evidence', model='other.onnx')
    assert 'expected evidence about policy.onnx' in refused(
        capsys, 'trial-plan', 'policy.onnx', '--simulated', 'foreign.evidence', '--trials', 2,
        '--out', 'x')


def test_serve_saves_answers_until_ctrl_c(folder: Path) -> None:
    plan = planned()
    words = [sys.executable, '-m', 'uncloning_ros.cli.main', 'evidence', 'serve', 'lab/plan.json',
             '--results', 'lab/results.csv', '--port', '0', '--token', 'abcdefgh']
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as server:
        assert server.stdout is not None and server.stderr is not None
        assert server.stdout.readline() == '0 of 6 trials are answered\n'
        address = server.stdout.readline().split()[1]
        assert re.fullmatch(r'http://127\.0\.0\.1:\d+/abcdefgh/', address)
        form = b'completed=yes&unsafe=no&mode=handle_first&notes=&video=&seen='
        with urllib.request.urlopen(f'{address}trial/1', form) as page:  # noqa: S310
            assert page.url == f'{address}trial/2?saved=1'
        assert server.stdout.readline() == 'trial 1: completed, safe, handle_first\n'
        port = address.split(':')[2].split('/')[0]
        second = subprocess.run([*words[:-4], '--port', port], capture_output=True, text=True)
        assert second.returncode == 2 and 'with a free port' in second.stderr
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 130
        assert 'nothing half-written' in server.stderr.read()
    assert f'1,yes,no,handle_first,,,{plan.code}' in Path('lab/results.csv').read_text()


@pytest.mark.parametrize(('words', 'said'), [
    (('--results', 'no.csv/x.csv'), 'not a folder'), (('--results', 'bad.csv'), 'bad.csv')])
def test_serve_refuses_results_that_it_could_not_write_or_read(words, said: str, capsys) -> None:
    planned()
    Path('no.csv').write_text('')
    Path('bad.csv').write_text('x')
    assert said in refused(capsys, 'serve', 'lab/plan.json', *words, '--port', 0)


@pytest.mark.parametrize('words', [('--port', 'x'), ('--port', 65536), ('--port', '-1'),
                                   ('--token', 'short'), ('--token', 'a/b/c/d/e/f')])
def test_serve_refuses_bad_options(words, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        run('serve', 'plan.json', '--results', 'r.csv', *words)
    assert ended.value.code == 2 and words[0] in capsys.readouterr().err


@pytest.mark.parametrize('action', ['trial-plan', 'serve', 'trials'])
def test_help_fits_a_terminal(action: str, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '80')
    with pytest.raises(SystemExit):
        run(action, '--help')
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
