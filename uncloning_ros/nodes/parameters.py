# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of every node. The nodes, the launch files and docs/nodes.md follow these tables.

Nothing here needs ROS. After a change: scripts/node_tables.py writes the tables of docs/nodes.md.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.errors import ContractError
from uncloning_ros.schema import as_number
from uncloning_ros.share import share_path

_ROS_NAME = '(~?/)?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*/?'
_TYPES = {str: 'text', bool: 'flag', int: 'whole number', float: 'number', list: 'list of texts'}


@dataclass(frozen=True)
class Parameter:
    """A row of a table: the type is that of the default; numbers may have bounds.

    `names` tells that the text is a name in the graph.
    """

    name: str
    default: str | int | float | bool | list[str]
    description: str
    above: float = -math.inf
    least: float = -math.inf
    most: float = math.inf
    names: bool = False

    @property
    def default_text(self) -> str:
        """Return the default as ROS reads it from a command line."""
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    @property
    def meaning(self) -> str:
        """Return the description with the bounds."""
        return f'{self.description} ({self.bounds})' if self.bounds else self.description

    @property
    def bounds(self) -> str:
        """Return the allowed numbers in words, '' for all."""
        words = {'above': self.above, 'at least': self.least, 'at most': self.most}
        return ' and '.join(f'{word} {bound:g}' for word, bound in words.items()
                            if math.isfinite(bound))

    def check_type(self, value: object) -> None:
        """Raise `ContractError` for a value of another type than the default's.

        ROS reads on, off, yes and no as flags, 12 as a whole number, 1e3 as a number.
        """
        kind = type(self.default)
        if _all_texts(value) if kind is list else type(value) is kind:
            return
        number = None if isinstance(value, bool) else as_number(str(value))
        if kind is str:
            remedy = f"write the text in quotes, as in -p {self.name}:='\"...\"'"
        elif kind is bool:
            remedy = 'write true or false'
        elif kind is list:
            remedy = f"write a list, as in {self.name}:='[\"...\"]'"
        elif kind is float and number is not None:
            remedy = f'write {float(number)}'
        elif kind is int and isinstance(number, int):
            remedy = f'write {number}'
        else:
            remedy = f'write a number such as {self.default}'
        raise ContractError(f'{self.name}: expected a {_TYPES[kind]}, got {value!r}; {remedy}')

    def check(self, value: object) -> None:
        """Raise `ContractError` for a number outside the bounds, or a text that is not a name."""
        if self.names and not re.fullmatch(_ROS_NAME, str(value)):
            raise ContractError(f'{self.name}: expected a name in the graph such as '
                                f'{self.default}, got {value!r}; give letters, digits and _, '
                                f'with / between them')
        if isinstance(value, int | float) and not (
                self.above < value and self.least <= value <= self.most):
            raise ContractError(f'{self.name}: expected a number {self.bounds}, got {value:g}')


# A parameter of every node, which rclpy declares.
USE_SIM_TIME = Parameter('use_sim_time', False, 'take the time from /clock, as a bag publishes it')

_SCENARIO = Parameter('scenario', 'knife', 'name of a shipped scenario, or path of a .yaml file')
_CONTRACT_PATH = Parameter('contract_path', '',
                           "contract with this robot's topics; '' is the shipped one")
_SCENE_CONTRACT_PATH = Parameter('contract_path', '', "contract with this robot's topics; '' is "
                                                      "the shipped one for the scenario")

POLICY = (
    Parameter('model_path', '', 'the exported policy, a .onnx file'),
    Parameter('expected_sha256', '', "refuse a model with another sha256; '' accepts any"),
    Parameter('contract_path', '', "contract whose deployment part to use; '' is the model's own"),
    Parameter('evidence_path', '', 'refuse a model that this evidence file does not vouch for; '
                                   "'' requires none"),
    Parameter('evidence_kind', 'simulated', 'kind of evidence that is accepted: simulated, of an '
                                            'audit, or observed, of trials on a robot'),
    Parameter('seed', 0, 'seed of the noise that the policy draws its actions from', least=0),
    Parameter('auto_activate', False, 'configure and activate without being asked'),
    Parameter('autostart', False, 'begin motion on activation, without ~/start'),
    Parameter('shadow', False, 'command nothing; publish to ~/shadow_command/KEY instead'),
    Parameter('realtime_priority', 0, 'SCHED_FIFO priority of the control thread; 0 is none',
              least=0, most=99),
    Parameter('incident_dir', '~/.ros/uncloning_incidents', 'folder of the incident files'),
)
RECORDER = (
    Parameter('out', 'demos',
              'folder of the episodes, made with the first take; nothing is overwritten'),
    Parameter('session', '', "name of this session; '' is the time at which the node began"),
    Parameter('operator', 'unknown', 'name of the demonstrator'),
    Parameter('rater', '', 'name or pseudonym of the receiver who says good or bad'),
    Parameter('planned_mode', '', "planned mode of the first takes; '' if none"),
    _CONTRACT_PATH,
    Parameter('autostart', False, 'start the first episode as soon as every observation arrives'),
    Parameter('policy', '/policy', 'name of the policy node whose take-overs are recorded, where '
                                   'the contract names a teleoperation', names=True),
    Parameter('before_s', 5.0, 'seconds before a take-over with which its recording begins',
              least=0, most=60),
    Parameter('record_all', False, 'record every other topic of the graph as well'),
    Parameter('exclude', '', 'topics that record_all leaves out: names with commas between, * '
                             'stands for anything'),
    Parameter('min_free_mib', 500, 'MiB free on the disk that a start needs; below half of it '
                                   'the open episode is kept and ended'),
    Parameter('queue_mib', 128, 'MiB that wait for a slow disk before messages are dropped',
              least=1),
)
KEYBOARD = (
    Parameter('recorder', '/recorder', 'name of the recorder node', names=True),
    Parameter('policy', '/policy', 'name of the policy node', names=True),
    Parameter('contract_path', '', "the recorder's contract, whose modes the digits stand for; "
                                   "'' is the shipped one"),
)
SIMULATOR = (
    _SCENARIO,
    Parameter('seed', 0, 'seed of the first episode; ~/reset goes on to the next', least=0),
    _SCENE_CONTRACT_PATH,
    Parameter('partner_contract_path', '',
              "contract of the second arm, in a scenario with two; '' is the shipped one"),
    Parameter('real_time_factor', 1.0, 'simulated seconds per second', above=0, most=10),
    Parameter('publish_clock', False, 'publish /clock and stamp in simulated time'),
    Parameter('faults', [''], 'faults to inject, each as `key:kind[=value][@from_s[+for_s]]`'),
)
DEMONSTRATOR = (
    _SCENARIO,
    Parameter('mode', '', "mode to demonstrate; '' draws one for each demonstration"),
    Parameter('seed', 0, 'seed of the first demonstration; each one after it takes the next',
              least=0),
    _SCENE_CONTRACT_PATH,
    Parameter('autostart', True, 'begin the first demonstration as soon as every input is fresh'),
)
GRIPPER = (
    _CONTRACT_PATH,
    Parameter('action', 'franka_gripper/gripper_action',
              'name of the action of the driver, a control_msgs/action/GripperCommand',
              names=True),
    Parameter('position_share', 0.5, 'position of a goal for 1 m of width: 0.5 where a goal is of '
                                     'one finger, 1.0 where it is the width', above=0),
    Parameter('max_effort_n', 30.0, 'force of a goal in N', above=0),
    Parameter('step_m', 0.01, 'a command that differs less from the last goal is none of its own',
              above=0),
)
TELEOPERATION = (
    _CONTRACT_PATH,
    Parameter('axes', '1 0 4 . . 3', 'numbers of the axes for x, y, z and the turns about them, '
                                     'in the base frame; -3 reverses axis 3, a . leaves one out'),
    Parameter('switch_button', 4, "number of the button that is the dead man's switch", least=0),
    Parameter('gripper_button', 0, 'number of the button that closes and opens the gripper',
              least=0),
    Parameter('speed_m_s', 0.15, 'speed at full deflection', above=0, most=2),
    Parameter('turn_rad_s', 0.8, 'speed of a turn at full deflection', above=0, most=8),
    Parameter('open_width_m', 0.08, 'width of the open gripper', above=0, most=1),
)
NODES = {'policy': POLICY, 'recorder': RECORDER, 'keyboard': KEYBOARD, 'simulator': SIMULATOR,
         'demonstrator': DEMONSTRATOR, 'gripper': GRIPPER,
         'teleoperation': TELEOPERATION}


def _all_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def path_of(text: str) -> Path:
    """Return the path that a parameter gives, `~` and `~user` expanded."""
    try:
        return Path(text).expanduser()
    except RuntimeError as err:
        raise ContractError(f'expected a path below a known home, got {text!r}; give the whole '
                            f'path') from err


def optional_path(text: str) -> Path | None:
    """Return the path that a parameter gives, None for ''."""
    return path_of(text) if text else None


def contract_at(path: str) -> Contract:
    """Return the contract at `path`, for '' the shipped one."""
    return load_contract(path_of(path) if path else share_path('config') / 'contract.yaml')
