# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Show that two exported policies differ in their weights alone.

Compares the two graphs node by node (operators, names, attributes, shapes, operator set) and
the normalisers byte by byte, then prints the change of each weight. Tells whether the encoders
of pictures differ, which no edit changes. Exit status: 0 if only weights differ, 1 if anything
else does, 2 if a file cannot be read.

  uncloning diff mixed.onnx policy.onnx
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('one', type=Path, metavar='A', help='ONNX file of the original policy')
    parser.add_argument('two', type=Path, metavar='B', help='ONNX file of the edited policy')


def run(args: argparse.Namespace) -> int:
    """Compare two files and print a table."""
    from uncloning_ros.learning.diff import ENCODERS, compare

    found = compare(args.one, args.two)
    if found.difference is not None:
        print(f'{args.one} and {args.two} differ in more than weights; first in\n'
              f'  {found.difference}')
        return 1
    width = max((len(change.name) for change in found.changes), default=0)
    print(f'{"weight":{width}}  {"shape":>12}  moved, % of its length')
    for change in found.changes:
        shape = ' x '.join(map(str, change.shape))
        rows = ', '.join(map(str, change.rows))
        print(f'{change.name:{width}}  {shape:>12}  {100 * change.relative:7.3f}'
              + (f'  rows {rows} alone' if rows else ''))
    moved = sum(change.relative > 0 for change in found.changes)
    encoders = [change.relative for change in found.changes if change.name.startswith(ENCODERS)]
    seen = '' if not encoders else f', {"other" if any(encoders) else "same"} encoders'
    print(f'same graph ({found.nodes} nodes), same normaliser{seen}; {moved} of '
          f'{len(found.changes)} weights moved')
    return 0
