#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the parameter tables of docs/nodes.md from those of the nodes."""

import argparse
import re
from pathlib import Path

from uncloning_ros.nodes.parameters import NODES, Parameter

PAGE = Path(__file__).resolve().parents[1] / 'docs' / 'nodes.md'
_HEAD = '| parameter | type | default | |\n|---|---|---|---|\n'
_TYPES = {str: 'string', int: 'integer', float: 'double', bool: 'bool', list: 'string array'}


def with_tables(page: str) -> str:
    """Return the page with the table of every node as it is declared."""
    for node, rows in NODES.items():
        head, title, rest = page.partition(f'\n### {node}\n')
        table = _HEAD + ''.join(map(_row, rows))
        rest, found = re.subn(r'\| parameter \|.*\n(\|.*\n?)*', lambda _, new=table: new, rest,
                              count=1)
        if not title or not found:
            raise ValueError(f'{PAGE} has no table of parameters of {node}')
        page = head + title + rest
    return page


def _row(row: Parameter) -> str:
    default = row.default_text or "''"
    return f'| `{row.name}` | {_TYPES[type(row.default)]} | `{default}` | {row.meaning} |\n'


def main() -> None:
    """Write the page again."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(with_tables(PAGE.read_text(encoding='utf-8')), encoding='utf-8')


if __name__ == '__main__':
    main()
