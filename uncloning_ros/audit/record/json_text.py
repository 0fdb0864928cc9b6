# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write JSON for programs and people."""

import json
from typing import Any

_LINE = 2000  # longest line (characters): an episode of an audit fits


def json_text(value: Any, indent: str = '') -> str:
    """Return JSON with each value that fits into a line on a line of its own."""
    text = json.dumps(value, allow_nan=False)
    if len(text) <= _LINE or not isinstance(value, dict | list):
        return text
    inner = f'{indent} '
    if isinstance(value, dict):
        rows = [f'{json.dumps(key)}: {json_text(item, inner)}' for key, item in value.items()]
        opening, closing = '{', '}'
    else:
        rows = [json_text(item, inner) for item in value]
        opening, closing = '[', ']'
    return opening + ','.join(f'\n{inner}{row}' for row in rows) + f'\n{indent}{closing}'
