# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The views name topics and frames that exist, for every shipped contract."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from uncloning_ros.contract import load_contract

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / 'scripts'))

from viewer_files import CONTROL, foxglove_layout, main, rviz_config  # noqa: E402 - scripts/

CONTRACTS = sorted([*(REPOSITORY / 'config').glob('contract*.yaml'),
                    *(REPOSITORY / 'config/arms').glob('*.yaml')])
# Names of the policy's own topics, as docs/nodes.md lists them; another test holds that page.
PAGE = (REPOSITORY / 'docs/nodes.md').read_text(encoding='utf-8')
OWN = dict(re.findall(r'^\| `((?:~|/)[\w/]+(?:KEY)?)` \| `([\w/]+)` \| out',
                      PAGE.split('\n### policy\n')[1].split('\n### ')[0], re.MULTILINE))


def texts(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield key
            yield from texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from texts(value)
    elif isinstance(data, str):
        yield data


def topics(data: Any) -> set[str]:
    """Return every topic that a view names: texts that begin with a slash, up to the fields."""
    return {re.split(r'[.\[]', text)[0] for text in texts(data) if text.startswith('/')}


def existing(path: Path) -> dict[str, str]:
    """Return the topics of a contract and of the policy node with their types."""
    contract = load_contract(path)
    own = {name.replace('~', '/policy').replace('KEY', camera): kind for name, kind in OWN.items()
           for camera in [one.key for one in contract.interface.cameras] or ['']}
    deployment = contract.deployment
    return own | {topic.bag_name: topic.type for topic in (
        *deployment.observations.values(), *deployment.actions.values())}


@pytest.mark.parametrize('path', CONTRACTS, ids=lambda path: path.stem)
def test_every_topic_of_a_view_exists(path: Path) -> None:
    contract, there = load_contract(path), existing(path)
    for view in (foxglove_layout(contract), rviz_config(contract)):
        named = topics(view)
        assert {'/policy/markers'} <= named <= set(there)
    frame = contract.interface.base_frame
    assert rviz_config(contract)['Visualization Manager']['Global Options']['Fixed Frame'] == frame
    layout = foxglove_layout(contract)
    assert layout['configById']['3D!scene']['followTf'] == frame
    assert {'/diagnostics', '/policy/status'} <= topics(layout)
    images = {panel['imageMode']['imageTopic'] for name, panel in layout['configById'].items()
              if name.startswith('Image!')}
    assert images == {contract.deployment.observations[one.key].bag_name
                      for one in contract.interface.cameras}


@pytest.mark.parametrize('path', CONTRACTS, ids=lambda path: path.stem)
def test_displays_of_rviz_fit_the_types_of_their_topics(path: Path) -> None:
    types = {'Pose': 'geometry_msgs/msg/PoseStamped', 'Image': 'sensor_msgs/msg/Image',
             'MarkerArray': 'visualization_msgs/msg/MarkerArray'}
    there = existing(path)
    displays = rviz_config(load_contract(path))['Visualization Manager']['Displays']
    for display in displays[1:]:  # the first is the grid
        kind = display['Class'].removeprefix('rviz_default_plugins/')
        assert there[display['Topic']['Value']] == types[kind]


@pytest.mark.parametrize('path', CONTRACTS, ids=lambda path: path.stem)
def test_every_panel_of_foxglove_has_its_place(path: Path) -> None:
    layout = foxglove_layout(load_contract(path))
    placed = [text for text in texts(layout['layout']) if '!' in text]
    assert sorted(placed) == sorted(layout['configById'])
    assert json.loads(json.dumps(layout)) == layout


@pytest.mark.parametrize('path', CONTRACTS, ids=lambda path: path.stem)
def test_nothing_hides_what_foxglove_shows(path: Path) -> None:
    contract = load_contract(path)
    panels = foxglove_layout(contract)['configById']
    frames = panels['3D!scene']['scene']['transforms']
    assert frames['labelSize'] < 0.05  # m; the default of 0.2 m covers half of the scene
    assert frames['axisScale'] < 0.5
    scales = {topic: look['axisScale'] for topic, look in panels['3D!scene']['topics'].items()
              if 'axisScale' in look}
    commanded = {topic.bag_name for topic in contract.deployment.actions.values()}
    assert all((scale < 0.1) == (topic in commanded) for topic, scale in scales.items())
    plots = [panel for name, panel in panels.items() if name.startswith('Plot!')]
    assert {plot['legendDisplay'] for plot in plots} <= {'left'}  # not above the lines
    assert {len({'.force.' in line['value'] for line in plot['paths']})
            for plot in plots} <= {1}  # newtons hide metres
    keys = {one.key for one in (*contract.interface.observations, *contract.interface.actions)}
    assert all(line['label'].split()[0] in keys for plot in plots for line in plot['paths'])


def test_cameras_lie_beside_each_other_below_a_larger_scene() -> None:
    layout = foxglove_layout(load_contract(REPOSITORY / 'config/contract_camera.yaml'))['layout']
    left = layout['first']
    assert left['first'] == '3D!scene'
    assert left['splitPercentage'] > 50
    assert left['second']['direction'] == 'row'


def test_the_state_that_foxglove_shows_is_in_the_diagnostics() -> None:
    source = (REPOSITORY / 'uncloning_ros/nodes/diagnostics.py').read_text(encoding='utf-8')
    assert "f'{name}: control'" in source and "'state': health['state']" in source
    assert CONTROL == '/policy: control'


def views(monkeypatch: pytest.MonkeyPatch, contract: Path, out: Path) -> int:
    monkeypatch.setattr(sys, 'argv', ['viewer_files.py', str(contract), '--out', str(out)])
    return main()


def test_shipped_views_are_those_of_the_shipped_contract(tmp_path, monkeypatch) -> None:
    out = tmp_path / 'views'
    assert views(monkeypatch, REPOSITORY / 'config/contract.yaml', out) == 0
    for name in ('policy.foxglove.json', 'policy.rviz'):
        shipped = (REPOSITORY / 'config' / name).read_text(encoding='utf-8')
        assert shipped.endswith((out / name).read_text(encoding='utf-8')), (
            f'scripts/viewer_files.py config/contract.yaml, then copy {name}')
    assert yaml.safe_load((out / 'policy.rviz').read_text()) == rviz_config(
        load_contract(REPOSITORY / 'config/contract.yaml'))


def test_other_files_and_folders_that_exist_are_refused(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / 'c.yaml').write_text('schema: x')
    assert views(monkeypatch, tmp_path / 'c.yaml', tmp_path / 'v') == 2
    assert 'c.yaml' in capsys.readouterr().err
    assert views(monkeypatch, REPOSITORY / 'config/contract.yaml', tmp_path) == 2
    assert 'exists already' in capsys.readouterr().err
