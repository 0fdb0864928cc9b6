#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Print every error sentence of the package, found in its source, one a line.

test/sentences.txt holds them, so that a change of wording is seen in one place, and tests need not
repeat whole sentences. Write it again with: python test/sentences.py >test/sentences.txt
"""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / 'uncloning_ros'
# Functions that build a sentence for a person: those of files, nodes and watchdog.
BUILDERS = ('disk_errors', 'Complaint', 'error', 'warning', 'ArgumentTypeError',
            'ValueError')


def sentences() -> Iterator[str]:
    """Yield `file: Error: sentence` in the order of the source; values as {expressions}."""
    for path in sorted(PACKAGE.rglob('*.py')):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        calls = sorted((node for node in ast.walk(tree) if isinstance(node, ast.Call)),
                       key=lambda node: (node.lineno, node.col_offset))
        for call in calls:
            name = ast.unparse(call.func).rpartition('.')[2]
            if not (name.endswith('Error') or name.lower() == 'error' or name in BUILDERS):
                continue
            words = ' '.join(text for arg in call.args if (text := _text(arg)))
            if ' ' in words:
                yield f'{path.relative_to(PACKAGE)}: {name}: {" ".join(words.split())}'


def _text(node: ast.AST) -> str:
    """Return the words of a text, an f-string or a sum of them; '' for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ''
    if isinstance(node, ast.JoinedStr):
        return ''.join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return '{' + ast.unparse(node.value) + '}'
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return ''


if __name__ == '__main__':
    print('\n'.join(sentences()))
