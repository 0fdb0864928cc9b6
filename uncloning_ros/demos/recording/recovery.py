# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finish the takes that a crash or a full disk left, or quarantine them; delete nothing.

An unfinished `<name>.partial/` becomes the episode `<name>/`: its whole chunks are written again
and verified, and a last event names it recovered and its missing messages. The original then
lies in `recovered_from/`. A take that cannot become an episode goes to `quarantine/`, beside a
text with the reason.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from mcap.records import Channel, Message, Schema

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.append_file import is_being_written
from uncloning_ros.demos.bags.episode import EVENT_TOPIC, EVENT_TYPE, SCHEMA, read_custom_data
from uncloning_ros.demos.bags.labels import Label, add_recorded_labels, iso_time
from uncloning_ros.demos.bags.layout import (
    DISCARDED,
    METADATA_FILE,
    PARTIAL,
    QUARANTINE,
    list_unfinished,
    place_aside,
    set_aside,
)
from uncloning_ros.demos.bags.mcap import Salvage, own_record, salvaged
from uncloning_ros.demos.bags.message_types import typestore
from uncloning_ros.demos.bags.reader import verify_episode
from uncloning_ros.demos.bags.verdict import Finding
from uncloning_ros.demos.bags.writer import QOS, BagWriter, RecordedTopic, described, event_cdr
from uncloning_ros.demos.recording.episode_thread import FLUSH_S
from uncloning_ros.demos.recording.health import EpisodeJudge
from uncloning_ros.errors import BagError, UncloningError, counted, shown
from uncloning_ros.files import alone_in, disk_errors
from uncloning_ros.schema import plain

ORIGINALS = 'recovered_from'
# A recovery's own working copy; one that was cut off goes to quarantine.
_WORKING = '.recovering' + PARTIAL
_REASON = '.reason.txt'
# Last events of a take that was over when its recorder crashed.
_ENDS = ('stop', 'discard')


@dataclass(frozen=True)
class Recovery:
    """The fate of one unfinished bag; `kind` is finished, quarantined or left alone."""

    name: str
    kind: str
    sentence: str


def recover(folder: Path, dry_run: bool = False) -> Iterator[Recovery]:
    """Finish or quarantine every unfinished bag of `folder`, one after another.

    With `dry_run` nothing is changed, and the sentences tell the fate that each would have. A bag
    that is being recorded now is left alone. Raise `BagError` if the folder cannot be listed or
    the disk refuses; the unfinished bag then stays as it was.
    """
    unfinished = {*list_unfinished(folder)}
    unfinished |= {path for path in folder.glob(f'*{PARTIAL}') if path.is_dir()}
    with alone_in(folder):
        # First the working copies, which would be in the way.
        for path in sorted(unfinished, key=lambda path: (not path.name.endswith(_WORKING), path)):
            with disk_errors(f'cannot recover {path}', BagError):
                yield _recovered(path, dry_run)


def leftovers(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the unfinished takes of a folder: those left behind, and those recorded now."""
    takes = [path for path in list_unfinished(folder) if path.name.endswith(PARTIAL)]
    live = [path for path in takes if _is_live(path)]
    return [path for path in takes if path not in live], live


def _is_live(path: Path) -> bool:
    with contextlib.suppress(BagError):  # a file that cannot be opened is not being written
        return any(is_being_written(file) for file in path.glob('*.mcap'))
    return False


def _recovered(path: Path, dry_run: bool) -> Recovery:
    if not path.name.endswith(PARTIAL):
        return Recovery(path.name, 'left alone', 'this recorder did not leave it open; try ros2 '
                                                 'bag reindex')
    files = sorted(path.glob('*.mcap'))
    try:
        live = [file for file in files if is_being_written(file)]
    except BagError as err:
        return Recovery(path.name, 'left alone', str(err))
    if live:
        return Recovery(path.name, 'left alone', 'it is being recorded now; stop the recorder '
                                                 'first')
    reason = _hopeless(path, files)
    if reason is not None:
        return _quarantine(path, reason, dry_run)
    name = path.name.removesuffix(PARTIAL)
    take = _read(files[0])
    if not take.count:
        return _quarantine(path, f'no whole chunk of messages was on the disk'
                                 f'{_not_salvaged(take.state)}', dry_run)
    final = path.with_name(name)
    if take.last_event == 'discard':
        final = (path.parent / DISCARDED / name if dry_run else place_aside(final, DISCARDED))
    # A crash between the last check and the renaming leaves a verified bag.
    verified = (path / METADATA_FILE).is_file() and _verifies(path)
    sentence = 'nothing was lost' if verified or take.ended else take.cut_off()
    if dry_run:
        return Recovery(name, 'finished', f'{sentence}; it would be {final}')
    if verified:
        path.rename(final)
        sentence += f'; it is {final}'
    else:
        _rewrite(files[0], take, final, final.with_name(name + _WORKING))
        sentence += f'; it is {final}, the original lies in {set_aside(path, ORIGINALS)}'
    if take.contract is not None:
        sentence += add_recorded_labels(final, take.labels, take.contract.interface)
    return Recovery(name, 'finished', sentence)


def _hopeless(path: Path, files: list[Path]) -> str | None:
    """Return why a directory cannot become an episode, None if it can."""
    if path.name.endswith(_WORKING):
        return 'it is the working copy of a recovery that was cut off'
    if path.with_name(path.name.removesuffix(PARTIAL)).exists():
        return 'an episode of its name exists already'
    if len(files) != 1:
        return f'expected 1 MCAP file in it, got {len(files)}'
    try:
        custom = own_record(files[0])
    except BagError as err:
        return f'its metadata cannot be read: {err}'
    if custom.get('schema') != SCHEMA:
        return f'expected schema {SCHEMA!r}, got {shown(custom.get("schema"))}'
    if not custom.get('episode', '').isdecimal() or 'planned_mode' not in custom:
        return 'its metadata is damaged'
    return None


def _rewrite(file: Path, take: '_Take', final: Path, working: Path) -> None:
    """Write the messages that can be read, and a last event if the take was not over."""
    writer = BagWriter(final, take.custom, working)
    try:
        for topic in take.topics.values():
            writer.add_topic(topic)
        for name, message in _messages(file, Salvage(), {}):
            writer.write(name, message.data, message.log_time, message.publish_time)
        if not take.ended:
            writer.add_topic(described(EVENT_TOPIC, EVENT_TYPE))
            health = take.judge.verdict(take.first_ns, take.last_ns, {}, {})
            finding = Finding('recovered', '', take.cut_off())
            health = replace(health, verdict='findings', findings=(finding, *health.findings))
            event = {'event': 'recovered', 'episode': int(take.custom['episode']),
                     'mode': take.custom['planned_mode'] or None, 'health': plain(health)}
            writer.write(EVENT_TOPIC, event_cdr(event), take.last_ns, take.last_ns)
        writer.commit()
    except UncloningError:
        writer.discard()  # the copy alone
        raise


@dataclass
class _Take:
    """The contents of an unfinished file, judged."""

    custom: Mapping[str, str]
    contract: Contract | None
    judge: EpisodeJudge
    topics: dict[str, RecordedTopic]
    labels: list[Label]
    state: Salvage
    count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    last_event: str = ''

    @property
    def ended(self) -> bool:
        """Tell whether the take was over when its recorder crashed."""
        return self.last_event in _ENDS

    def cut_off(self) -> str:
        """Return which messages are there and which are missing."""
        length_s = (self.last_ns - self.first_ns) * 1e-9
        sentence = (f'the recording was cut off; {counted(self.count, "message")} of '
                    f'{length_s:.1f} s are there')
        if self.state.closed:
            return sentence + ', all that were written'
        return sentence + (f', those of the last {2 * FLUSH_S:g} s are missing'
                           f'{_not_salvaged(self.state)}')


def _not_salvaged(state: Salvage) -> str:
    """Return which parts of a file could not be used, as the end of a sentence."""
    text = ''
    if state.cut_bytes:
        text += (f'; {state.cut_messages} messages in {state.cut_bytes} bytes were cut off while '
                 f'they were written')
    if state.damaged_chunks:
        text += f'; damaged chunks that are left out: {state.damaged_chunks}'
    return text


def _read(file: Path) -> _Take:
    """Walk through an unfinished file and judge it."""
    custom = own_record(file)
    contract = _contract(custom, file)
    take = _Take(custom, contract,
                 EpisodeJudge(contract, {}), {}, [], Salvage())
    for topic, message in _messages(file, take.state, take.topics):
        take.count += 1
        if topic == EVENT_TOPIC:
            event = _event(message.data)
            take.last_event = str(event.get('event'))
            if take.last_event == 'label' and isinstance(event.get('mode'), str):
                take.labels.append(Label(event['mode'], 'operator', 1.0,
                                         iso_time(message.log_time),
                                         ' '.join(custom.get('operator', '').split())))
        else:
            take.judge.see(topic, message.data, message.log_time)
        take.first_ns = min(take.first_ns or message.log_time, message.log_time)
        take.last_ns = max(take.last_ns, message.log_time)
    return take


def _messages(file: Path, state: Salvage,
              topics: dict[str, RecordedTopic]) -> Iterator[tuple[str, Message]]:
    """Yield every message that can be read with its topic; describe the topics on the way."""
    schemas: dict[int, Schema] = {}
    names: dict[int, str] = {}
    for record in salvaged(file, state):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            names[record.id] = record.topic
            if record.schema_id in schemas:
                topics[record.topic] = _topic(record, schemas[record.schema_id])
        elif record.channel_id in names:
            yield names[record.channel_id], record


def _topic(channel: Channel, schema: Schema) -> RecordedTopic:
    try:
        qos = yaml.safe_load(channel.metadata.get('offered_qos_profiles', ''))
    except yaml.YAMLError:
        qos = None
    return RecordedTopic(channel.topic, schema.name, schema.data,
                         channel.metadata.get('topic_type_hash', ''),
                         tuple(qos) if isinstance(qos, list) else tuple(QOS))


def _quarantine(path: Path, reason: str, dry_run: bool) -> Recovery:
    if dry_run:
        return Recovery(path.name, 'quarantined', f'{reason}; it would go to '
                                                  f'{path.parent / QUARANTINE}')
    place = set_aside(path, QUARANTINE)
    text = place.with_name(place.name + _REASON)
    with text.open('x', encoding='utf-8') as file:
        file.write(f'{path.name} cannot become an episode: {reason}\n')
    return Recovery(path.name, 'quarantined', f'{reason}; it lies in {place}')


def _verifies(path: Path) -> bool:
    try:
        verify_episode(path)
    except BagError:
        return False
    return True


def _contract(custom: Mapping[str, str], file: Path) -> Contract | None:
    """Return the contract that a bag was recorded with, None if this version cannot read it."""
    try:
        return read_custom_data(custom, file)[1]
    except UncloningError:
        return None


def _event(cdr: bytes) -> dict[str, Any]:
    """Return the event of a message, {} if it is damaged; its bytes are kept all the same."""
    try:
        message: Any = typestore().deserialize_cdr(cdr, EVENT_TYPE)
        event = json.loads(message.data)
    except Exception:  # noqa: BLE001 - damaged bytes may raise anything
        return {}
    return event if isinstance(event, dict) else {}
