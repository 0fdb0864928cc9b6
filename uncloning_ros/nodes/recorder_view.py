# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people look at while the recorder runs: its message for /diagnostics."""

from collections.abc import Mapping, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from uncloning_ros.demos.recording.session import RecordingSession


def diagnostics(name: str, stamp: Any, recording: RecordingSession, warnings: Sequence[str],
                rates_hz: Mapping[str, float], lost: Mapping[str, int]) -> DiagnosticArray:
    """Return state, episode, queue, disk and every topic's rate as diagnostics.

    `warnings` are what is wrong now, `rates_hz` those of the last second, `lost` the messages
    that never arrived since the recorder began.
    """
    thread, free = recording.thread, recording.free()
    values: dict[str, Any] = {
        'state': 'idle' if thread is None else 'recording',
        'episode': recording.open_name or '',
        'planned_mode': recording.planned_mode or '',
        'kept': len(recording.kept),
        'last': '' if recording.last_health is None else recording.last_health.sentence(),
        'messages': 0 if thread is None else sum(thread.writer.counts.values()),
        'queued': 0 if thread is None else thread.queued,
        'dropped': 0 if thread is None else sum(thread.dropped.values()),
        'disk_free_mib': '' if free is None else free // 2**20,
    }
    values |= {f'rate_hz {topic}': f'{rate_hz:.1f}' for topic, rate_hz in rates_hz.items()}
    values |= {f'lost {topic}': count for topic, count in lost.items() if count}
    if thread is not None:
        values |= {f'dropped {topic}': count for topic, count in thread.dropped.items()}
    idle = thread is None
    level = DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK
    message = '; '.join(warnings) or ('idle' if idle else f'recording {recording.open_name}')
    array = DiagnosticArray()
    array.header.stamp = stamp
    array.status = [DiagnosticStatus(
        name=f'{name}: recording', level=level, message=message, hardware_id='',
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])]
    return array
