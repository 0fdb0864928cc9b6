# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages for /diagnostics: how policy and recorder are doing."""

from collections.abc import Mapping, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from uncloning_ros.demos.recording.rates import RateWatch
from uncloning_ros.demos.recording.session import RecordingSession

_LEVELS = {'hold': DiagnosticStatus.WARN, 'taken_over': DiagnosticStatus.WARN,
           'fault': DiagnosticStatus.ERROR}


def policy_diagnostics(name: str, health: Mapping[str, Any] | None, stamp: Any) -> DiagnosticArray:
    """Return state, inputs, topics and timing of a policy; `health` None if not active."""
    if health is None:
        return _array(stamp, _status(f'{name}: control', DiagnosticStatus.OK, 'not active', {}))
    bad = [key for key, age_s in health['ages_s'].items()
           if age_s is None or key in health['refused']
           or age_s - health['clock_step_s'] > health['max_ages_s'][key]]
    misses, warnings = health['deadline_misses'], health['warnings']
    timing = {f'{what}_{key}': value for what in ('wake_up', 'cycle', 'inference',
                                                  'observation_to_chunk')
              for key, value in health[what].items()}
    return _array(
        stamp,
        _status(f'{name}: control', _LEVELS.get(health['state'], DiagnosticStatus.OK),
                health['sentence'], {
                    'state': health['state'], 'reason': health['reason'],
                    'model_sha256': health['model_sha256'],
                    'evidence_kind': health['evidence_kind'], 'evidence': health['evidence'],
                    'seed': health['seed'],
                    **health['counters'],
                    **{f'doubt_{what}': value for what, value in health['doubt'].items()},
                    **({} if health['shadow'] is None else {
                        f'shadow_{key}_{what}': value
                        for key, found in health['shadow'].items()
                        for what, value in found.items()})}),
        _status(f'{name}: inputs', DiagnosticStatus.WARN if bad else DiagnosticStatus.OK,
                f'silent, old or refused: {", ".join(bad)}' if bad else 'all fresh', {
                    **{f'{key}_age_s': age_s for key, age_s in health['ages_s'].items()},
                    **{f'{key}_rate_hz': rate for key, rate in health['rates_hz'].items()}}),
        _status(f'{name}: topics', DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK,
                '; '.join(warnings) or 'every topic is connected',
                {'clock_step_s': health['clock_step_s']}),
        _status(f'{name}: timing', DiagnosticStatus.WARN if misses else DiagnosticStatus.OK,
                f'{misses} deadlines missed' if misses else 'every deadline met',
                {'deadline_misses': misses, 'first_deadline_ns': health['first_deadline_ns'],
                 **timing}))


def recorder_diagnostics(name: str, stamp: Any, recording: RecordingSession,
                         warnings: Sequence[str], watch: RateWatch,
                         lost: Mapping[str, int]) -> DiagnosticArray:
    """Return state, episode, queue, disk and every topic's rate as diagnostics.

    `warnings` are the present ones, `lost` counts the messages that never arrived since the
    recorder began.
    """
    thread, free = recording.thread, recording.free()
    bytes_s = watch.usual_bytes_s
    room_s = recording.room_s(bytes_s)
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
        'mib_a_minute': f'{60 * bytes_s / 2**20:.1f}' if bytes_s else '',
        'disk_room_s': '' if room_s is None else int(room_s),
    }
    values |= {f'rate_hz {topic}': f'{rate_hz:.1f}' for topic, rate_hz in watch.rates_hz.items()}
    values |= {f'lost {topic}': count for topic, count in lost.items() if count}
    if thread is not None:
        values |= {f'dropped {topic}': count for topic, count in thread.dropped.items()}
    idle = thread is None
    level = DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK
    message = '; '.join(warnings) or ('idle' if idle else f'recording {recording.open_name}')
    return _array(stamp, _status(f'{name}: recording', level, message, values))


def _array(stamp: Any, *statuses: DiagnosticStatus) -> DiagnosticArray:
    array = DiagnosticArray(status=list(statuses))
    array.header.stamp = stamp
    return array


def _status(name: str, level: bytes, message: str, values: Mapping[str, Any]) -> DiagnosticStatus:
    return DiagnosticStatus(name=name, level=level, message=message, hardware_id='',
                            values=[KeyValue(key=key, value=str(value))
                                    for key, value in values.items()])
