# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Write a Foxglove layout and an RViz configuration with the names of a contract.

The new folder holds policy.foxglove.json (in Foxglove: Layouts, Import from file) and policy.rviz.
Both show the policy's markers and the poses in the contract's frame; Foxglove also shows state,
status, the values of forces, joints and arrays, and the cameras, RViz the pictures that the policy
saw. No message needs a type of this package.

  uncloning views config/contract.yaml --out views/
  rviz2 -d views/policy.rviz
"""

import argparse
from pathlib import Path

from uncloning_ros.cli.arguments import new_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('contract', type=Path, metavar='YAML', help='contract file')
    parser.add_argument('--out', type=new_path, required=True, metavar='DIR',
                        help='folder to make')


def run(args: argparse.Namespace) -> int:
    """Write both files."""
    import yaml

    from uncloning_ros.contract import load_contract
    from uncloning_ros.files import whole_folder, write_json, write_whole
    from uncloning_ros.views import foxglove_layout, rviz_config

    contract = load_contract(args.contract)
    with whole_folder(args.out) as folder:
        write_json(folder / 'policy.foxglove.json', foxglove_layout(contract))
        write_whole(folder / 'policy.rviz', yaml.safe_dump(
            rviz_config(contract), sort_keys=False).encode())
    print(f'wrote {args.out / "policy.foxglove.json"} and {args.out / "policy.rviz"}')
    return 0
