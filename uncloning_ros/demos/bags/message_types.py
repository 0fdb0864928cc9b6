# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Look up message types: those of ROS 2 Jazzy in a typestore, a robot's own by their classes.

Every reader of an MCAP file needs the definition of each type. A robot's own message packages are
known to its Python classes alone, so their text is written back from the fields of the class.
"""

import re
from functools import lru_cache
from typing import Any

from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from uncloning_ros.contract.messages import MessageClasses

# Type names of the IDL that a .msg file writes differently.
_NAMES = {'boolean': 'bool', 'octet': 'byte', 'float': 'float32', 'double': 'float64'}
_SEQUENCE = re.compile(r'sequence<(.+?)(?:, (\d+))?>')
_ARRAY = re.compile(r'(.+)\[(\d+)\]')
_BOUNDED_TEXT = re.compile(r'(w?string)<(\d+)>')
# The only field of a message without fields, since C has no empty struct.
_PLACEHOLDER = 'structure_needs_at_least_one_member'


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Return the message types of ROS 2 Jazzy."""
    return get_typestore(Stores.ROS2_JAZZY)


@lru_cache(maxsize=64)
def message_definition(type_name: str) -> tuple[bytes, str]:
    """Return the ros2msg text and the RIHS01 hash of a message type of ROS 2 Jazzy."""
    text, _ = typestore().generate_msgdef(type_name, ros_version=2)
    return text.encode(), typestore().hash_rihs01(type_name)


def message_class(type_name: str) -> Any:
    """Return the class with which bags are written for a message type of ROS 2 Jazzy."""
    return typestore().types[type_name]


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
    """Return the type of one element, and the length that a .msg file writes behind it."""
    if match := _SEQUENCE.fullmatch(idl):
        return match[1], f'[<={match[2]}]' if match[2] else '[]'
    if match := _ARRAY.fullmatch(idl):
        return match[1], f'[{match[2]}]'
    return idl, ''


def _msg_name(idl: str) -> str:
    if match := _BOUNDED_TEXT.fullmatch(idl):
        return f'{match[1]}<={match[2]}'
    return _NAMES.get(idl, idl)
