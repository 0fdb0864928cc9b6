# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ros2msg text of a message class, for types that are not part of ROS 2 itself.

A robot's own message packages are known to its Python classes alone. Every reader of an MCAP
file needs their definition, so it is written back from the fields of the class.
"""

import re

from uncloning_ros.conversions import MessageClasses

# What the IDL calls a type and a .msg file calls otherwise.
_NAMES = {'boolean': 'bool', 'octet': 'byte', 'float': 'float32', 'double': 'float64'}
_SEQUENCE = re.compile(r'sequence<(.+?)(?:, (\d+))?>')
_ARRAY = re.compile(r'(.+)\[(\d+)\]')
_BOUNDED_TEXT = re.compile(r'(w?string)<(\d+)>')
# What stands in a message without fields, for C has no empty struct.
_PLACEHOLDER = 'structure_needs_at_least_one_member'


def message_text(type_name: str, classes: MessageClasses) -> str:
    """Return the ros2msg text of a type such as 'franka_msgs/msg/FrankaState', others included.

    `classes` finds the class of a full type name. Default values and constants are left out: no
    reader of messages needs them.
    """
    texts = {type_name: ''}
    waiting = [type_name]
    while waiting:
        current = waiting.pop()
        lines = []
        for field, idl in classes(current).get_fields_and_field_types().items():
            if field == _PLACEHOLDER:
                continue
            inner, suffix = _split(idl)
            lines.append(f'{_msg_name(inner)}{suffix} {field}\n')
            if '/' in inner:
                package, _, name = inner.partition('/')
                full = f'{package}/msg/{name}'
                if full not in texts:
                    texts[full] = ''
                    waiting.append(full)
        texts[current] = ''.join(lines)
    main, *others = texts.items()
    parts = [main[1]]
    for full, text in others:
        package, _, name = full.split('/')
        parts.append(f'MSG: {package}/{name}\n{text}')
    return f'{"=" * 80}\n'.join(parts)


def _split(idl: str) -> tuple[str, str]:
    """Return the type of one element, and what a .msg file writes behind it."""
    if match := _SEQUENCE.fullmatch(idl):
        return match[1], f'[<={match[2]}]' if match[2] else '[]'
    if match := _ARRAY.fullmatch(idl):
        return match[1], f'[{match[2]}]'
    return idl, ''


def _msg_name(idl: str) -> str:
    if match := _BOUNDED_TEXT.fullmatch(idl):
        return f'{match[1]}<={match[2]}'
    return _NAMES.get(idl, idl)
