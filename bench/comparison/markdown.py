# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write tables, lists and the shared sentences of the pages as Markdown."""

from collections.abc import Iterable, Sequence

STATEMENT = ('All figures are statistical evidence under the stated simulated distribution, for '
             'the audited files and no others. They are not a safety certificate and do not '
             'replace a risk assessment.')


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    lines += ['| ' + ' | '.join(entry.replace('|', '\\|').replace('\n', ' ') for entry in row)
              + ' |' for row in rows]
    return '\n'.join(lines)


def bullets(items: Iterable[str]) -> str:
    """Return a bulleted list."""
    return '\n'.join(f'- {item}' for item in items)


def listed(items: Iterable[object]) -> str:
    """Return items with commas between them."""
    return ', '.join(map(str, items))
