#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a Foxglove layout and an RViz configuration with the names and frames of a contract.

The new folder holds policy.foxglove.json and policy.rviz. The policy node has its usual name.
Every message is of a standard type: the state of policy and recorder is in /diagnostics, and as
JSON in a text.

  scripts/viewer_files.py config/contract.yaml --out views
  rviz2 -d views/policy.rviz
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from uncloning_ros.contract import Contract, Signal, Topic, load_contract
from uncloning_ros.contract.kinds import KINDS
from uncloning_ros.contract.messages import ARRAY, JOINT_STATE, POSE, WRENCH
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import require_new, whole_folder, write_json

MARKERS, STATUS, DIAGNOSTICS = '/policy/markers', '/policy/status', '/diagnostics'
CONTROL = '/policy: control'  # entry of the diagnostics
PICTURE = '/policy/debug_picture/{key}'  # the picture that the policy saw, with its plan

_COLORS = ('#4e98e2', '#f5774d', '#f7df71', '#5cd6a9', '#a395e2', '#e28d4e', '#8fc24e', '#d86ba8')
_GREY = 90
_MOST_LINES = 24  # of one plot
_LABEL_M = 0.03  # height of the names of frames: by default they hide the scene
_FRAME_SCALE = 0.2  # axes of frames (m)
_POSE_M, _COMMAND_M = 0.1, 0.07  # axes of poses, measured and commanded
_NO_FRAME = 'map'  # of a contract without poses and forces: RViz wants one


def foxglove_layout(contract: Contract) -> dict[str, Any]:
    """Return a layout for Foxglove: scene, state, values, and a picture of each camera."""
    frame = contract.interface.base_frame or _NO_FRAME
    poses = {topic.bag_name: {'visible': True, 'type': 'axis', 'axisScale': length_m}
             for _, topic, length_m in _poses(contract)}
    scene = {
        'followTf': frame, 'followMode': 'follow-none', 'transforms': {},
        'scene': {'transforms': {'labelSize': _LABEL_M, 'axisScale': _FRAME_SCALE}},
        'cameraState': {'distance': 2.2, 'perspective': True, 'phi': 60, 'thetaOffset': 45,
                        'target': [0.5, 0, 0.3], 'targetOffset': [0.5, 0, 0.3],
                        'targetOrientation': [0, 0, 0, 1], 'fovy': 45, 'near': 0.01, 'far': 100},
        'topics': {MARKERS: {'visible': True}, **poses},
        'layers': {'grid': {'layerId': 'foxglove.Grid', 'instanceId': 'grid', 'label': 'Grid',
                            'visible': True, 'frameLocked': True, 'frameId': frame, 'size': 2,
                            'divisions': 20, 'color': f'#{_GREY:x}{_GREY:x}{_GREY:x}ff',
                            'position': [0, 0, 0], 'rotation': [0, 0, 0]}}, 'imageMode': {}}
    state = f'{DIAGNOSTICS}.status[:]{{name=="{CONTROL}"}}.values[:]{{key=="state"}}.value'
    panels: dict[str, Any] = {
        '3D!scene': scene,
        'DiagnosticSummary!state': {'minLevel': 0, 'pinnedIds': [], 'hardwareIdFilter': '',
                                    'topicToRender': DIAGNOSTICS, 'sortByLevel': True},
        'StateTransitions!control': {'isSynced': True, 'paths': [{
            'value': state, 'label': 'state', 'timestampMethod': 'receiveTime'}]},
        'RawMessages!status': {'topicPath': f'{STATUS}.data', 'diffEnabled': False,
                               'diffMethod': 'custom', 'diffTopicPath': '',
                               'showFullMessageForDiff': False},
        **_plots(contract),
        **{f'Image!{camera.key}': {'imageMode': {'imageTopic': contract.deployment.observations[
            camera.key].bag_name}} for camera in contract.interface.cameras}}
    pictures = [name for name in panels if name.startswith('Image!')]
    left = {'direction': 'column', 'first': '3D!scene', 'second': _split('row', pictures),
            'splitPercentage': 60} if pictures else '3D!scene'
    right = [name for name in panels if name not in ('3D!scene', *pictures)]
    return {'configById': panels, 'globalVariables': {}, 'userNodes': {},
            'playbackConfig': {'speed': 1},
            'layout': {'direction': 'row', 'first': left, 'second': _split('column', right),
                       'splitPercentage': 60}}


def rviz_config(contract: Contract) -> dict[str, Any]:
    """Return a configuration for RViz: scene, poses, and the pictures that the policy saw."""
    grid = {'Class': 'rviz_default_plugins/Grid', 'Name': 'Grid', 'Enabled': True,
            'Cell Size': 0.1, 'Plane Cell Count': 20, 'Color': f'{_GREY}; {_GREY}; {_GREY}'}
    markers = {'Class': 'rviz_default_plugins/MarkerArray', 'Enabled': True,
               'Name': "Plan, blade axis, person's zone",
               'Topic': {'Value': MARKERS, 'Depth': 1, 'Reliability Policy': 'Reliable',
                         'Durability Policy': 'Volatile'}}
    commanded = set(contract.deployment.actions)
    poses = [{'Class': 'rviz_default_plugins/Pose', 'Name': signal.key, 'Enabled': True,
              'Shape': 'Axes', 'Axes Length': length_m,
              'Axes Radius': 0.004 if signal.key in commanded else 0.006,
              'Topic': {'Value': topic.bag_name, 'Depth': 1, 'Reliability Policy':
                        'Reliable' if signal.key in commanded else 'Best Effort'}}
             for signal, topic, length_m in _poses(contract)]
    pictures = [{'Class': 'rviz_default_plugins/Image', 'Name': camera.key, 'Enabled': True,
                 'Topic': {'Value': PICTURE.format(key=camera.key), 'Depth': 1,
                           'Reliability Policy': 'Reliable'}}
                for camera in contract.interface.cameras]
    return {
        'Panels': [{'Class': f'rviz_common/{name}', 'Name': name}
                   for name in ('Displays', 'Views')],
        'Visualization Manager': {
            'Class': '',
            'Global Options': {'Background Color': '48; 48; 48', 'Frame Rate': 30,
                               'Fixed Frame': contract.interface.base_frame or _NO_FRAME},
            'Displays': [grid, markers, *poses, *pictures],
            'Tools': [{'Class': 'rviz_default_plugins/MoveCamera'}],
            'Views': {'Current': {'Class': 'rviz_default_plugins/Orbit', 'Distance': 2.2,
                                  'Focal Point': {'X': 0.5, 'Y': 0, 'Z': 0.3}, 'Pitch': 0.5,
                                  'Yaw': 0.8}}}}


def _signals(contract: Contract) -> Iterator[tuple[Signal, Topic]]:
    deployment = contract.deployment
    for signal in contract.interface.observations:
        yield signal, deployment.observations[signal.key]
    for signal in contract.interface.actions:
        yield signal, deployment.actions[signal.key]


def _poses(contract: Contract) -> Iterator[tuple[Signal, Topic, float]]:
    """Yield the poses with their own messages and lengths of axes; those of /tf are frames."""
    commanded = contract.deployment.actions
    for signal, topic in _signals(contract):
        if signal.kind == 'pose' and topic.type == POSE:
            yield signal, topic, _COMMAND_M if signal.key in commanded else _POSE_M


def _plots(contract: Contract) -> dict[str, Any]:
    """Return the plots: forces (N) would hide the smaller values, so they have one of their own.

    Positions of joints are in the order of the message: Foxglove does not find them by name.
    """
    forces: dict[str, str] = {}  # label by path
    values: dict[str, str] = {}
    for signal, topic in _signals(contract):
        name, key = topic.bag_name, signal.key
        if topic.type == WRENCH:
            forces |= {f'{name}.wrench.force.{axis}': f'{key} {axis}' for axis in 'xyz'}
        elif topic.type == JOINT_STATE and KINDS[signal.kind].named:
            values |= {f'{name}.position[{i}]': f'{key} {i}'
                       for i in range(len(signal.names) or signal.size)}
        elif topic.type == ARRAY:
            values |= {f'{name}.data[{i}]': f'{key} {i}' for i in range(signal.dim)}
    return {f'Plot!{title}': {
        'foxglovePanelTitle': title,
        'paths': [{'value': path, 'label': label, 'enabled': True,
                   'timestampMethod': 'receiveTime', 'color': _COLORS[i % len(_COLORS)]}
                  for i, (path, label) in enumerate([*labels.items()][:_MOST_LINES])],
        'showXAxisLabels': True, 'showYAxisLabels': True, 'showLegend': True,
        'legendDisplay': 'left', 'showPlotValuesInLegend': False, 'isSynced': True,
        'xAxisVal': 'timestamp', 'sidebarDimension': 240}
        for title, labels in (('Forces', forces), ('Values', values)) if labels}


def _split(direction: str, panels: list[str]) -> Any:
    """Return panels beside each other (row) or one below the other (column) as a layout."""
    first, *rest = panels
    return first if not rest else {'direction': direction, 'first': first,
                                   'second': _split(direction, rest),
                                   'splitPercentage': round(100 / len(panels))}


def main() -> int:
    """Write both files; return 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('contract', type=Path, help='contract file')
    parser.add_argument('--out', type=Path, required=True, help='folder to make')
    args = parser.parse_args()
    try:
        contract = load_contract(args.contract)
        with whole_folder(require_new(args.out)) as folder:
            write_json(folder / 'policy.foxglove.json', foxglove_layout(contract))
            (folder / 'policy.rviz').write_text(
                yaml.safe_dump(rviz_config(contract), sort_keys=False), encoding='utf-8')
    except UncloningError as err:
        print(f'viewer_files: error: {err}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
