#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Print docs/commands.md: the help of every command, at 80 columns. `make docs` writes it."""

import contextlib
import io
import os

from uncloning_ros.cli import main

HEAD = """\
# Commands

The output of `--help` of every command, at 80 columns. `scripts/commands_page.py` writes this page
from the parsers; run it with `make docs`, and do not edit the page.
"""


def page() -> str:
    """Return the page as Markdown."""
    os.environ['COLUMNS'] = '80'
    parts = [HEAD]
    for name, summary in main.COMMANDS.items():
        help_text = io.StringIO()
        with contextlib.redirect_stdout(help_text), contextlib.suppress(SystemExit):
            main.main([name, '--help'])
        parts.append(f'## uncloning {name}\n\n{summary[0].upper()}{summary[1:]}.\n\n'
                     f'```text\n{help_text.getvalue().rstrip()}\n```\n')
    return '\n'.join(parts)


if __name__ == '__main__':
    print(page(), end='')
