# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of the pages that train, edit and serve run, on small inputs of their names."""

import itertools
import re
import shutil
import sys
import threading
from pathlib import Path

import episodes
import foreign_bags
import numpy as np
import pytest
import test_pages
import test_pages_run
import yaml
from outside.demonstrations import make
from outside.push_t import PushT
from test_outside import circling, t_file
from test_pages import DOCS, command_lines, section, small
from test_pages_run import SAMPLES, run_page
from trial_plans import HEADER

from uncloning_ros.cli.main import main
from uncloning_ros.contract import load_contract
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.answers import Answer, Shown, add_answer
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.page_server import PageServer
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path
from uncloning_ros.trials.plan import read_plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NOON = '2026-01-31T12:00:00+00:00'
folder = test_pages_run.folder


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with demos, their dataset, and a run before and after an edit."""
    found = tmp_path_factory.mktemp('made')
    shutil.copytree(SAMPLES / 'knife', found / 'demos')
    for words in (['dataset', 'demos', '--scenario', 'knife', '--out', 'data'],
                  ['train', 'data', '--out', 'runs/mixed'],
                  ['unclone', 'runs/mixed', '--data', 'data', '--remove', 'blade_first',
                   '--out', 'runs/uncloned'],
                  ['export', 'runs/mixed', '--out', 'mixed.onnx'],
                  ['export', 'runs/uncloned', '--out', 'policy.onnx']):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(found)
            assert main(small(words)) == 0, words
    return found


def take(made: Path, *names: str) -> None:
    """Copy what a page's commands begin with from where it was made."""
    for name in names:
        Path(name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (made / name).is_dir() else shutil.copy)(made / name, name)


@pytest.fixture
def nobody_comes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a page server end as by Ctrl-C as soon as it would serve; return its addresses."""
    addresses: list[str] = []

    served = PageServer.run

    def run(self: PageServer) -> None:
        addresses.append(self.address)
        threading.Thread(target=self.shutdown).start()
        served(self)

    monkeypatch.setattr(PageServer, 'run', run)
    return addresses


def test_cloning(made: Path) -> None:
    take(made, 'data')
    run_page('cloning.md', 4)


def test_plan_policies(made: Path) -> None:
    take(made, 'data')
    run_page('plan_policies.md', 4)


def test_uncloning(made: Path) -> None:
    take(made, 'data', 'runs/mixed', 'runs/uncloned')
    page = (DOCS / 'plan_policies.md').read_text('utf-8')
    for words in command_lines(page)[:2]:
        assert main(small(words)) == 0

    def locked(words: list[str]) -> None:
        if words[0] == 'diff':
            assert main(['export', 'runs/locked', '--out', 'locked.onnx']) == 0

    run_page('uncloning.md', 3, locked)
    assert Path('sweep/index.html').is_file()


def test_attack(made: Path) -> None:
    take(made, 'data', 'runs/uncloned')
    run_page('attack.md', 1)
    assert Path('attack/attack.json').is_file()


def test_doubt(made: Path) -> None:
    take(made, 'data', 'runs/uncloned')
    shutil.copytree('runs/uncloned', 'runs/mine')

    def written_before(words: list[str]) -> None:
        if '--recordings' in words:
            Path('asking.onnx').rename('simulated.onnx')

    run_page('doubt.md', 3, written_before)


def test_incidents(made: Path) -> None:
    take(made, 'data')
    # It needs a policy that has another plan, so its training is not small.
    assert main(['train', 'data', '--out', 'runs/mixed', '--steps', '400']) == 0
    Path('tuesday').mkdir()
    for one in load_dataset(Path('data')).episodes:
        if one.mode == 'blade_first':
            shutil.copytree(made / 'demos' / one.name, Path('tuesday') / one.name)
    run_page('incidents.md', 3)


def test_corrections_and_take_over(made: Path) -> None:
    take(made, 'data', 'runs/uncloned')
    shutil.copy(share_path('models') / 'knife_uncloned.onnx', 'uncloned.onnx')
    shutil.copy(share_path('config') / 'scenarios' / 'knife.yaml', 'shifted.yaml')
    page = (DOCS / 'corrections.md').read_text('utf-8')
    taken = [words for words in command_lines(page) if '--take-over-from' in words]
    assert len(taken) == 1 and main(small(taken[0])) == 0
    corrections = sorted(Path('corrections').glob('episode_*[0-9]'))
    for day, one in zip(('monday', 'tuesday'), corrections, strict=True):
        shutil.copytree(one, Path(day) / one.name)

    def begin(words: list[str]) -> None:
        if words in taken:
            shutil.rmtree('corrections')

    run_page('corrections.md', 3, begin)
    run_page('take_over.md', 2)


def test_cameras() -> None:
    page = (DOCS / 'cameras.md').read_text('utf-8')
    demos, *_ = [words for words in command_lines(page) if words[0] == 'demos']
    assert main(small(demos)) == 0

    def begin(words: list[str]) -> None:
        if words == demos:
            shutil.rmtree('demos')

    run_page('cameras.md', 9, begin)


def test_two_arms() -> None:
    shutil.copytree(share_path('config'), 'config')
    run_page('two_arms.md', 11)


def test_studio(made: Path, nobody_comes: list[str]) -> None:
    take(made, 'demos')
    run_page('studio.md', 1)
    assert len(nobody_comes) == 1


def test_learning_from_people(made: Path, nobody_comes: list[str]) -> None:
    take(made, 'demos', 'data', 'runs/mixed')

    def answered(words: list[str]) -> None:
        if words[0] == 'unclone':
            shown = {mode: [Shown(one.name, one.digest)
                            for one in load_dataset(Path('data')).episodes if one.mode == mode]
                     for mode in ('handle_first', 'blade_first')}
            handles, blades = shown.values()
            answers = [(('left', (handle, blade)) for handle in handles for blade in blades),
                       (('good', (one,)) for one in handles), (('bad', (one,)) for one in blades)]
            for said, about in itertools.chain(*answers):
                add_answer(Path('demos/preferences.json'), Answer(about, said, 'Anna', NOON))
            Path('live').mkdir()
            shutil.copy('demos/preferences.json', 'live')

    run_page('learning-from-people.md', 2, answered)
    assert len(nobody_comes) == 1


def test_trials(made: Path, nobody_comes: list[str]) -> None:
    take(made, 'mixed.onnx', 'policy.onnx')
    shutil.copy(share_path('models') / 'knife_uncloned.evidence', 'policy.evidence')

    def begin(words: list[str]) -> None:
        if '--simulated' in words and words[1] == 'trial-plan':
            shutil.copy(share_path('models') / 'knife_uncloned.onnx', 'policy.onnx')
            shutil.rmtree('lab')
            Path('lab.evidence').unlink()
        if words[1] == 'trials':
            plan = read_plan(Path(words[4]))
            rows = [f'{one.trial},yes,no,handle_first,,,{plan.code}' for one in plan.trials]
            Path(words[2]).write_text('\n'.join([HEADER, *rows]))

    run_page('trials.md', 10, begin)
    assert len(nobody_comes) == 1


def test_outside(folder: Path) -> None:
    page = (DOCS / 'outside.md').read_text('utf-8')
    contract = re.search(r'```yaml\n(.*?)```', page, re.DOTALL)[1]
    Path('contract.yaml').write_text(contract)
    asked = load_contract(Path('contract.yaml'))
    rng = np.random.default_rng(0)
    for mode, side in (('left', 1), ('right', -1)):
        for i in range(4):
            way = np.stack([np.linspace(-0.2, 0.2, 30), side * np.sin(np.linspace(0, 3, 30)) / 5],
                           1) + rng.normal(0, 0.01, 2)
            samples = {key: [Sample(one, ns := episodes.BEGIN_NS + k * 10**8, ns)
                             for k, one in enumerate(way)] for key in ('cube_xy', 'target_xy')}
            foreign_bags.write(Path(f'bags/{mode}_{i:02d}'),
                               foreign_bags.messages_of(samples, asked))
    run_page('outside.md', 7, text=section(DOCS / 'outside.md', 'A task that is not a handover'))
    ends = 60 * (1 + np.arange(8))
    states = np.concatenate([circling(side * (80.0 + k)) for k in range(4) for side in (1, -1)])
    make(PushT(t_file(folder, s=states.astype(np.float32), a=states[:, :2].astype(np.float32),
                      e=ends)), Path('push_t'), {})
    run_page('outside.md', 3, text=section(DOCS / 'outside.md', 'Commands'))


def test_data() -> None:
    """Run the command for bags of others; the labels of the page run with those of the README."""
    Path('my_contract.yaml').write_text(yaml.safe_dump(plain(episodes.CONTRACT)))
    for name, way in (('monday/one', episodes.HANDLE_FIRST), ('monday/two', episodes.BLADE_FIRST),
                      ('rosbag2_2026_01_31', episodes.HANDLE_FIRST)):
        foreign_bags.write(Path(name), [
            one._replace(topic='/tracker/hand') if one.topic == '/hand_pose' else one
            for one in foreign_bags.messages_of(episodes.handover(way))])
    taken = [words for words in command_lines((DOCS / 'data.md').read_text('utf-8'))
             if '--topic' in words]
    assert [main(words) for words in taken] == [0]


def test_audit(made: Path) -> None:
    take(made, 'policy.onnx')
    text = (DOCS / 'audit.md').read_text('utf-8')
    lines = [re.sub(r'\s+', ' ', one) for one in re.findall(r'`(uncloning [^`]+ -[^`]+)`', text)]
    run_page('audit.md', 3, text='```\n' + '\n'.join(lines) + '\n```')


def test_every_page_with_commands_has_a_test_that_runs_them() -> None:
    run = {name.removeprefix('test_') for module in (sys.modules[__name__], test_pages_run)
           for name in vars(module) if name.startswith('test_')}
    run |= {'README', 'take_over', 'corrections', 'commands'}
    pages = {page.stem.replace('-', '_') for page in test_pages.PAGES
             if command_lines(page.read_text('utf-8'))}
    assert pages - run == set()
