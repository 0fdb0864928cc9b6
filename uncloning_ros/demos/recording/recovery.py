# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finish what a crash or a full disk left, or put it aside with a reason; delete nothing.

An unfinished `<name>.partial/` becomes the episode `<name>/`, written anew from its whole chunks,
verified, with a last event that says that it was recovered and what is missing. What was left
then lies in `recovered_from/`. What cannot become an episode goes to `quarantine/`, beside a text
that tells why.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mcap.records import Channel, Message, Schema

from uncloning_ros.contract import Contract, contract_from_dict
from uncloning_ros.demos.bags.append_file import is_being_written, require_abandoned
from uncloning_ros.demos.bags.episode import (
    DISCARDED,
    EVENT_TOPIC,
    EVENT_TYPE,
    METADATA_FILE,
    PARTIAL,
    QOS,
    QUARANTINE,
    SCHEMA,
    bag_directories,
    is_unfinished,
    list_unfinished,
    place_aside,
    set_aside,
    typestore,
)
from uncloning_ros.demos.bags.labels import Label, add_label, iso_time
from uncloning_ros.demos.bags.mcap_file import own_record
from uncloning_ros.demos.bags.reader import verify_episode
from uncloning_ros.demos.bags.rosbag2_writer import BagWriter, RecordedTopic
from uncloning_ros.demos.bags.writer import described, event_cdr
from uncloning_ros.demos.recording.episode_thread import FLUSH_S
from uncloning_ros.demos.recording.health import EpisodeJudge, Finding, Health, topic_rules
from uncloning_ros.demos.recording.salvage import Remains, salvaged
from uncloning_ros.errors import BagError, UncloningError, counted
from uncloning_ros.files import alone_in

ORIGINALS = 'recovered_from'
# A recovery's own working copy; one that was cut off is made anew.
_WORKING = '.recovering' + PARTIAL
_REASON = '.reason.txt'
# The last events of an episode that was finished and only not closed in time.
_ENDS = ('stop', 'discard')


@dataclass(frozen=True)
class Outcome:
    """What became of one unfinished bag; `kind` is finished, quarantined or left alone."""

    name: str
    kind: str
    sentence: str


def recover(folder: Path, dry_run: bool = False) -> Iterator[Outcome]:
    """Finish or put aside every unfinished bag of `folder`, one after another.

    With `dry_run` nothing is changed, and the sentences tell what would become of each. A bag
    that somebody is recording now is left alone. Raise `BagError` if the folder cannot be listed
    or the disk refuses; what was left then stays as it was.
    """
    unfinished = {path for path in bag_directories(folder) if is_unfinished(path)}
    unfinished |= {path for path in folder.glob(f'*{PARTIAL}') if path.is_dir()}
    with alone_in(folder):
        # First the working copies, which would be in the way.
        for path in sorted(unfinished, key=lambda path: (not path.name.endswith(_WORKING), path)):
            try:
                yield _one(path, dry_run)
            except OSError as err:
                raise BagError(f'cannot recover {path}: {err.strerror or err}') from err


def leftovers(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the unfinished takes of a folder that somebody left, and those being recorded now."""
    takes = [path for path in list_unfinished(folder) if path.name.endswith(PARTIAL)]
    live = [path for path in takes if _is_live(path)]
    return [path for path in takes if path not in live], live


def _is_live(path: Path) -> bool:
    with contextlib.suppress(BagError):  # what cannot be opened nobody is writing
        return any(is_being_written(file) for file in path.glob('*.mcap'))
    return False


def _one(path: Path, dry_run: bool) -> Outcome:
    name = path.name.removesuffix(PARTIAL)
    if not path.name.endswith(PARTIAL):
        return Outcome(path.name, 'left alone', 'was not left open by this recorder; ros2 bag '
                                                'reindex may finish it')
    files = sorted(path.glob('*.mcap'))
    try:
        for file in files:
            require_abandoned(file)
    except BagError as err:
        return Outcome(path.name, 'left alone', str(err))
    reason = _hopeless(path, files)
    if reason is not None:
        return _quarantine(path, reason, dry_run)
    if (path / METADATA_FILE).is_file() and _verifies(path):
        # The crash came between the last check and the renaming.
        custom = own_record(files[0])
        contract = _contract(custom)
        found = _read(files[0], contract, custom.get('operator', ''))
        final = _place(path, name, found.last_word, dry_run)
        if dry_run:
            return Outcome(name, 'finished', f'nothing was lost; it would be {final}')
        path.rename(final)
        return Outcome(name, 'finished', f'nothing was lost; it is {final}'
                                         f'{_labelled(final, found, contract)}')
    return _rewrite(path, files[0], name, dry_run)


def _hopeless(path: Path, files: list[Path]) -> str | None:
    """Return why a directory cannot become an episode, None if it can."""
    if path.name.endswith(_WORKING):
        return 'it is the working copy of a recovery that was cut off'
    if path.with_name(path.name.removesuffix(PARTIAL)).exists():
        return 'an episode of its name is there already'
    if len(files) != 1:
        return f'it holds {len(files)} MCAP files, expected 1'
    try:
        custom = own_record(files[0])
    except BagError as err:
        return f'it cannot be told whose it is: {err}'
    if custom.get('schema') != SCHEMA:
        return f'expected schema {SCHEMA!r}, got {custom.get("schema")!r}'
    if not custom.get('episode', '').isdecimal() or 'planned_mode' not in custom:
        return 'what it says of itself is damaged'
    remains = Remains()
    if any(isinstance(one, Message) for one in salvaged(files[0], remains)):
        return None
    return f'no whole chunk of messages was on the disk{_torn(remains)}'


def _rewrite(path: Path, file: Path, name: str, dry_run: bool) -> Outcome:
    """Write an episode anew from what can be read of it."""
    custom = own_record(file)
    contract = _contract(custom)
    found = _read(file, contract, custom.get('operator', ''))
    finding = None if found.ended else Finding('recovered', '', found.cut_off())
    final = _place(path, name, found.last_word, dry_run)
    sentence = found.cut_off() if finding else 'nothing was lost'
    if dry_run:
        return Outcome(name, 'finished', f'{sentence}; it would be {final}')
    writer = BagWriter(final, custom, final.with_name(name + _WORKING))
    try:
        for topic in found.topics.values():
            writer.add_topic(topic)
        for name_of_topic, message in _messages(file, Remains()):
            writer.write(name_of_topic, message.data, message.log_time, message.publish_time)
        if finding is not None:
            writer.add_topic(described(EVENT_TOPIC, EVENT_TYPE))
            health = found.judge.verdict(found.first_ns, found.last_ns, {}, {})
            health = Health((finding, *health.findings), health.topics)
            event = {'event': 'recovered', 'episode': int(custom['episode']),
                     'mode': custom['planned_mode'] or None, 'health': health.to_dict()}
            writer.write(EVENT_TOPIC, event_cdr(event), found.last_ns, found.last_ns)
        writer.commit()
    except UncloningError:
        writer.discard()  # the copy; what was left is as it was
        raise
    original = set_aside(path, ORIGINALS)
    sentence += f'; it is {final}, what was left lies in {original}'
    return Outcome(name, 'finished', sentence + _labelled(final, found, contract))


def _labelled(final: Path, found: '_Found', contract: Contract | None) -> str:
    """Add the labels of a take to its episode; return what could not be, as a sentence's end."""
    text = ''
    for label in found.labels:
        try:
            if contract is not None:
                add_label(final, label, contract.interface)
        except UncloningError as err:
            text += f'; its label {label.mode} is in the bag alone: {err}'
    return text


@dataclass
class _Found:
    """What an unfinished file holds."""

    judge: EpisodeJudge
    topics: dict[str, RecordedTopic]
    labels: list[Label]
    remains: Remains
    counts: Counter[str]
    first_ns: int = 0
    last_ns: int = 0
    last_word: str = ''

    @property
    def ended(self) -> bool:
        """Tell whether the episode was over when it was cut off."""
        return self.last_word in _ENDS

    def cut_off(self) -> str:
        """Return what is there and what is missing."""
        remains = self.remains
        length_s = (self.last_ns - self.first_ns) * 1e-9
        count = counted(sum(self.counts.values()), 'message')
        sentence = (f'the recording was cut off; {count} of {length_s:.1f} s are there')
        if remains.closed:
            return sentence + ', all that was written'
        sentence += f', what arrived in the last {2 * FLUSH_S:g} s before is missing'
        return sentence + _torn(remains)


def _torn(remains: Remains) -> str:
    """Return what of a file could not be used, as the end of a sentence."""
    text = ''
    if remains.torn_bytes:
        text += (f'; {remains.torn_messages} messages in {remains.torn_bytes} bytes were cut off '
                 f'while they were written')
    if remains.damaged_chunks:
        text += f'; damaged chunks that are left out: {remains.damaged_chunks}'
    return text


def _read(file: Path, contract: Contract | None, operator: str) -> _Found:
    """Walk through an unfinished file and judge it."""
    found = _Found(EpisodeJudge({} if contract is None else topic_rules(contract), {}), {}, [],
                   Remains(), Counter())
    for topic, message in _messages(file, found.remains, found.topics):
        found.counts[topic] += 1
        if topic == EVENT_TOPIC:
            event = _event(message.data)
            found.last_word = str(event.get('event'))
            if found.last_word == 'label' and isinstance(event.get('mode'), str):
                found.labels.append(Label(event['mode'], 'operator', 1.0,
                                          iso_time(message.log_time),
                                          ' '.join(operator.split())))
        else:
            found.judge.see(topic, message.data, message.log_time)
        found.first_ns = min(found.first_ns or message.log_time, message.log_time)
        found.last_ns = max(found.last_ns, message.log_time)
    return found


def _messages(file: Path, remains: Remains,
              topics: dict[str, RecordedTopic] | None = None) -> Iterator[tuple[str, Message]]:
    """Yield every message that can be read with its topic; describe the topics on the way."""
    schemas: dict[int, Schema] = {}
    names: dict[int, str] = {}
    for record in salvaged(file, remains):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            names[record.id] = record.topic
            if topics is not None and record.schema_id in schemas:
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


def _place(path: Path, name: str, last_word: str, dry_run: bool) -> Path:
    """Return where an episode belongs: with the discarded ones if a person discarded it."""
    final = path.with_name(name)
    if last_word != 'discard':
        return final
    return final.parent / DISCARDED / name if dry_run else place_aside(final, DISCARDED)


def _quarantine(path: Path, reason: str, dry_run: bool) -> Outcome:
    if dry_run:
        return Outcome(path.name, 'quarantined', f'{reason}; it would go to '
                                                 f'{path.parent / QUARANTINE}')
    place = set_aside(path, QUARANTINE)
    text = place.with_name(place.name + _REASON)
    with text.open('x', encoding='utf-8') as file:
        file.write(f'{path.name} could not be made an episode: {reason}\n')
    return Outcome(path.name, 'quarantined', f'{reason}; it lies in {place}')


def _verifies(path: Path) -> bool:
    try:
        verify_episode(path)
    except BagError:
        return False
    return True


def _contract(custom: Mapping[str, str]) -> Contract | None:
    """Return the contract that a bag was recorded with, None if this version cannot read it."""
    try:
        return contract_from_dict(json.loads(custom['contract']))
    except (UncloningError, KeyError, ValueError, RecursionError):
        return None


def _event(cdr: bytes) -> dict[str, Any]:
    try:
        message: Any = typestore().deserialize_cdr(cdr, EVENT_TYPE)
        event = json.loads(message.data)
    except Exception:  # noqa: BLE001 - a damaged event says nothing, but its bytes are kept
        return {}
    return event if isinstance(event, dict) else {}
