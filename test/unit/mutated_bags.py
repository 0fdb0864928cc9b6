# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutated recordings: messages in a bag, bags, data sets of bags, unfinished takes, labels."""

import contextlib
import io
import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import episodes
import foreign_bags
import numpy as np
import seeing
import yaml
from bag_files import copy, mcap_of
from mutation_kind import Kind, require_sentence
from mutators import mutate_message, mutated_bytes, mutated_data, mutated_json, pick
from numpy.random import Generator
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.cli.main import main as command_line
from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample, encode
from uncloning_ros.demos.bags.episode import EVENT_TOPIC, Episode, bag_topics
from uncloning_ros.demos.bags.info import read_info
from uncloning_ros.demos.bags.labels import Label, add_label, labels_path, read_labels
from uncloning_ros.demos.bags.layout import list_episodes, list_unfinished
from uncloning_ros.demos.bags.messages import BagContents, Query
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.bags.reader import raw_messages, read_episode, verify_episode
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.loading import load_episode
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.dataset.store import Dataset, load_dataset
from uncloning_ros.demos.episodes.find import EpisodeRef
from uncloning_ros.demos.episodes.reading import CUTS, Cutting, Reading
from uncloning_ros.demos.recording.recovery import Recovery, recover
from uncloning_ros.demos.recording.session import RecordingSession
from uncloning_ros.errors import UncloningError

CONTRACT = episodes.CONTRACT
STORE = get_typestore(Stores.ROS2_JAZZY)
_ALONE = ('--workers', '1')
# A message with half a character, or a value of another type, cannot be sent.
_NOT_SENT = (UnicodeError, AttributeError, struct.error)
NOON = '2026-01-31T12:00:00+00:00'


def few(count: int = 4, contract: Contract = CONTRACT) -> episodes.Samples:
    """Return the beginning of a handover of one of the two contracts."""
    return {key: found[:count] for key, found in whole(contract).items()}


def whole(contract: Contract, *given: Any) -> episodes.Samples:
    """Return a handover of one of the two contracts."""
    return (episodes if contract is CONTRACT else seeing).handover(*given)


def same_samples(one: Episode, two: Episode, but: tuple[str, ...] = ()) -> None:
    """Assert that two episodes have the same samples, but for those of some keys."""
    assert one.samples.keys() == two.samples.keys()
    for key in one.samples.keys() - {*but}:
        for a, b in zip(one.samples[key], two.samples[key], strict=True):
            assert (a.receive_ns, a.stamp_ns) == (b.receive_ns, b.stamp_ns), key
            assert a.values.tolist() == b.values.tolist(), key


def plausible(found: tuple[Sample, ...], key: str, contract: Contract = CONTRACT) -> None:
    """Assert that samples of one key are of its shape, finite and within any kind's span."""
    shapes = {signal.key: signal.shape for signal in (*contract.interface.observations,
                                                      *contract.interface.actions)}
    for sample in found:
        assert sample.values.shape == shapes[key], key
        assert np.all(np.abs(sample.values) <= 1e4), f'{key}: {sample.values}'


class MessageInBag(Kind):
    """One message of a bag with other fields or other bytes; all checksums are right."""

    reader = 'read_episode'
    weight = 1200
    contract = CONTRACT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.samples = few(contract=self.contract)
        self.whole = read_episode(episodes.write(folder / 'whole', self.samples,
                                                 contract=self.contract))
        self.topics = {signal.key: (name, topic.type) for name, topic in
                       bag_topics(self.contract).items() for signal in topic.signals}

    def keys(self) -> list[str]:
        """Return the keys of which a message is mutated."""
        return [*self.samples, 'event']

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, str]:
        key = pick(rng, self.keys())
        at = int(rng.integers(4))
        signals = {one.key: one for one in (*self.contract.interface.observations,
                                            *self.contract.interface.actions)}
        arrivals = sorted(((sample.receive_ns, name, i, sample) for name, found
                           in self.samples.items() for i, sample in enumerate(found)),
                          key=lambda one: one[:3])
        with EpisodeWriter(folder / 'episode_000000', self.contract,
                           episodes.METADATA) as writer:
            if key == 'event':
                text = mutated_json(rng, '{"event": "start", "episode": 0, "mode": null}')
                message = STORE.types['std_msgs/msg/String'](text.decode(errors='replace'))
                data = bytes(STORE.serialize_cdr(message, 'std_msgs/msg/String'))
                writer.write_event({'event': 'start', 'episode': 0}, episodes.BEGIN_NS)
                data = mutated_bytes(rng, data) if rng.random() < 0.2 else data
                writer.write(EVENT_TOPIC, data, episodes.BEGIN_NS, episodes.BEGIN_NS)
            for receive_ns, name, i, sample in arrivals:
                if (name, i) != (key, at):
                    writer.write_values(name, sample.values, sample.stamp_ns, receive_ns)
                    continue
                topic, type_name = self.topics[name]
                message = encode(signals[name], type_name, sample.values, sample.stamp_ns,
                                 STORE.types.__getitem__)
                data = bytes(STORE.serialize_cdr(message, type_name))
                writer.write(topic, other_message(rng, type_name, data), receive_ns, receive_ns)
            return writer.commit(), key

    def read(self, changed: tuple[Path, str]) -> Episode:
        verify_episode(changed[0])
        return read_episode(changed[0])

    def require_right(self, changed: tuple[Path, str], result: Episode) -> str:
        key = changed[1]
        same_samples(self.whole, result, (key,))
        if key != 'event':
            plausible(result.samples[key], key, self.contract)
        return 'read'


class PictureInBag(MessageInBag):
    """One picture of a bag with other fields or other bytes."""

    weight = 300
    contract = seeing.CONTRACT

    def keys(self) -> list[str]:
        return [signal.key for signal in seeing.CAMERAS]


class RecordedTake(Kind):
    """A take into which one to three messages come with other fields or other bytes.

    Every message is in the bag as it came, and a verdict of good means that a dataset takes it.
    """

    reader = 'RecordingSession'
    weight = 600
    contract = CONTRACT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        samples = whole(self.contract)
        # A hand that never trembles is found frozen; then no verdict would be good.
        samples['hand_pose'] = [replace(sample, values=sample.values + i % 7 * 1e-5 * np.eye(9)[0])
                                for i, sample in enumerate(samples['hand_pose'])]
        self.messages = foreign_bags.messages_of(samples, self.contract)
        assert self.read((folder / 'whole', self.messages)) == ('good', '')

    def places(self) -> list[int]:
        """Return the places of the messages of which some are mutated."""
        return [*range(len(self.messages))]

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, list[foreign_bags.Message]]:
        messages = [*self.messages]
        for at in rng.choice(self.places(), int(rng.integers(1, 4)), replace=False):
            one = messages[at]
            messages[at] = one._replace(data=other_message(rng, one.type, one.data))
        return folder / 'demos', messages

    def read(self, changed: tuple[Path, list[foreign_bags.Message]]) -> tuple[str, str]:
        demos, messages = changed
        session = RecordingSession(demos, self.contract, 'tuesday', 'Ada', 'handle_first', 0,
                                   2**27, tell=lambda _: None, free_bytes=lambda: 2**40)
        session.start(messages[0].receive_ns, {}, (), (), {}, {})
        for one in messages:
            session.put(one.topic, one.data, one.receive_ns, one.receive_ns)
        session.stop(messages[-1].receive_ns, {})
        assert session.last_health is not None
        sentence = session.last_health.sentence()
        require_sentence(sentence)
        recipe = Recipe(episodes.KNIFE, labels='planned')
        [path] = session.kept
        try:
            loaded = load_episode(recipe, self.contract, EpisodeRef(path, path.name))
        except UncloningError as err:
            return sentence, str(err)
        return sentence, loaded.reason if isinstance(loaded, LeftOut) else ''

    def require_right(self, changed: tuple[Path, list[foreign_bags.Message]],
                      result: tuple[str, str]) -> str:
        demos, messages = changed
        sentence, refusal = result
        path = demos / 'episode_000000'
        verify_episode(path)
        recorded = raw_messages(read_info(path), Query(frozenset(one.topic for one in messages)),
                                BagContents())
        assert [(raw.topic, raw.receive_ns, raw.data) for raw in recorded] == [
            (one.topic, one.receive_ns, one.data) for one in messages], 'a message is lost'
        assert sentence != 'good' or not refusal, f'good, but refused: {refusal}'
        return 'left out' if refusal else 'good' if sentence == 'good' else 'findings'


class TakeOfPictures(RecordedTake):
    """A take into which one to three pictures come with other fields or other bytes."""

    weight = 300
    contract = seeing.CONTRACT

    def places(self) -> list[int]:
        return [i for i, one in enumerate(self.messages) if one.type.endswith('Image')]


def other_message(rng: Generator, type_name: str, data: bytes) -> bytes:
    """Return the bytes of a message with other fields or, as often, with other bytes."""
    if rng.random() < 0.5:
        return mutated_bytes(rng, data)
    message = STORE.deserialize_cdr(data, type_name)
    mutate_message(rng, message)
    with contextlib.suppress(*_NOT_SENT):
        return bytes(STORE.serialize_cdr(message, type_name))
    return data[:-3]


class Bag(Kind):
    """A bag of this package with other bytes or metadata, or with a file of another bag."""

    reader = 'read_episode, verify_episode'
    weight = 1500
    contract = CONTRACT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = episodes.write(folder / 'whole', few(contract=self.contract),
                                   contract=self.contract)
        self.other = episodes.write(folder / 'other', few(3, self.contract), 1, self.contract)
        self.whole = read_episode(self.path)

    def mutated(self, rng: Generator, folder: Path) -> Path:
        path = copy(self.path, folder / self.path.name)
        metadata, storage, choice = path / 'metadata.yaml', mcap_of(path), rng.random()
        if choice < 0.5:
            storage.write_bytes(mutated_bytes(rng, storage.read_bytes()))
        elif choice < 0.65:
            metadata.write_bytes(mutated_bytes(rng, metadata.read_bytes()))
        elif choice < 0.9:
            data = mutated_data(rng, yaml.safe_load(metadata.read_text()))
            metadata.write_text(yaml.safe_dump(data))
        else:
            pick(rng, (metadata.unlink, storage.unlink, lambda: storage.write_bytes(b''),
                       lambda: metadata.write_bytes(b''),
                       lambda: shutil.copy(self.other / 'metadata.yaml', metadata),
                       lambda: shutil.copy(mcap_of(self.other), storage),
                       lambda: shutil.copy(storage, path / 'copy.mcap'),
                       lambda: storage.rename(path / 'renamed.mcap'),
                       lambda: storage.rename(storage.with_suffix('.db3')),
                       lambda: (storage.unlink(), storage.mkdir()),
                       lambda: (metadata.unlink(), metadata.mkdir())))()
        return path

    def read(self, changed: Path) -> Episode:
        result = read_episode(changed)
        verify_episode(changed)
        return result

    def require_right(self, changed: Path, result: Episode) -> str:
        if [len(found) for found in result.samples.values()][:1] == [3]:
            same_samples(read_episode(self.other), result)  # both files are the other one's
        else:
            same_samples(self.whole, result)
        assert result.contract == self.whole.contract
        return 'the same episode'


class BagOfPictures(Bag):
    """Such a bag with pictures."""

    weight = 300
    contract = seeing.CONTRACT


class ForeignBag(Kind):
    """A bag of another program, of any storage and compression, with other bytes."""

    reader = 'read_episode'
    weight = 1000
    contract = CONTRACT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        messages = foreign_bags.messages_of(few(10, self.contract), self.contract)
        self.paths = {how: foreign_bags.write(folder / 'whole' / f'bag_{i}', messages, how)
                      for i, how in enumerate(foreign_bags.WRITERS)}
        self.whole = read_episode(self.paths['mcap'], self.contract)
        for path in self.paths.values():
            same_samples(self.whole, read_episode(path, self.contract))

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, str]:
        how = pick(rng, [*self.paths])
        path = copy(self.paths[how], folder / self.paths[how].name)
        storage = next(one for one in path.iterdir() if one.name != 'metadata.yaml')
        storage.write_bytes(mutated_bytes(rng, storage.read_bytes()))
        if rng.random() < 0.2:
            (path / 'metadata.yaml').unlink()
        return path, how

    def read(self, changed: tuple[Path, str]) -> Episode:
        return read_episode(changed[0], self.contract)

    def require_right(self, changed: tuple[Path, str], result: Episode) -> str:
        path, how = changed
        if how in ('mcap, chunk zstd', 'mcap, chunk lz4', 'mcap, no summary'):  # checksums
            same_samples(self.whole, result)
            return 'the same episode'
        for key, found in result.samples.items():
            plausible(found, key, self.contract)
            times = [sample.receive_ns for sample in found]
            assert times == sorted(times), key
            if (path / 'metadata.yaml').is_file():
                # A message that names other joints is about others, and is skipped.
                missing = len(self.whole.samples[key]) - len(found)
                assert missing == 0 or (missing > 0 and key == 'gripper_width'), key
        return 'an episode'


class ForeignBagOfPictures(ForeignBag):
    """Such a bag with pictures."""

    weight = 300
    contract = seeing.CONTRACT


class BagsOfDataset(Kind):
    """Three bags with labels of which one bag, or its labels, are mutated."""

    reader = 'uncloning dataset'
    weight = 300

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bags = [episodes.write(folder / 'whole', episodes.handover(kind, i), i)
                     for i, kind in enumerate((episodes.HANDLE_FIRST, episodes.BLADE_FIRST,
                                               episodes.HANDLE_FIRST))]
        for bag, mode in zip(self.bags, ('handle_first', 'blade_first', 'handle_first'),
                             strict=True):
            span = {'from_s': 0.5, 'to_s': 2.5} if mode == 'blade_first' else {}
            add_label(bag, Label(mode, 'operator', 1.0, NOON, 'Ada', **span), CONTRACT.interface)
        self.whole = build_dataset([folder / 'whole'], folder / 'data', Recipe(episodes.KNIFE),
                                   Split(0.3)).dataset

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, str, Recipe]:
        demos = folder / 'demos'
        for bag in self.bags:
            copied = copy(bag, demos / bag.name)
            shutil.copy(labels_path(bag), labels_path(copied))
        bag, choice = demos / pick(rng, self.bags).name, rng.random()
        if choice < 0.3:
            labels_path(bag).write_bytes(mutated_json(rng, labels_path(bag).read_text()))
        elif choice < 0.6:
            mcap_of(bag).write_bytes(mutated_bytes(rng, mcap_of(bag).read_bytes()))
        elif choice < 0.8:
            file = bag / 'metadata.yaml'
            file.write_text(yaml.safe_dump(mutated_data(rng, yaml.safe_load(file.read_text()))))
        else:
            self._with_wrong_message(rng, bag)
        cutting = Cutting('gripper') if rng.random() < 0.2 else None
        return demos, bag.name, Recipe(episodes.KNIFE, Reading(cutting=cutting))

    @staticmethod
    def _with_wrong_message(rng: Generator, bag: Path) -> None:
        shutil.rmtree(bag)
        samples = episodes.handover()
        key = pick(rng, [*samples])
        at = int(rng.integers(len(samples[key])))
        wrong = samples[key][at].values.copy()
        wrong[int(rng.integers(min(3, len(wrong))))] = pick(rng, (np.nan, np.inf, 1e5, -1e300))
        samples[key][at] = replace(samples[key][at], values=wrong)
        made = episodes.write(bag.parent / 'new', samples)
        made.rename(bag)
        made.parent.rmdir()

    def read(self, changed: tuple[Path, str, Recipe]) -> Dataset:
        demos, _, recipe = changed
        out = demos.parent / 'data'
        build_dataset([demos], out, recipe, Split(0.3))
        return load_dataset(out)

    def require_kept(self, changed: tuple[Path, str, Recipe]) -> None:
        assert [path.name for path in changed[0].parent.iterdir()] == ['demos']

    def require_right(self, changed: tuple[Path, str, Recipe], made: Dataset) -> str:
        _, name, recipe = changed
        assert np.isfinite(made.observations).all() and np.isfinite(made.actions).all()
        if recipe.reading.cutting is not None:
            return 'cut'
        named = {one.name for one in (*made.episodes, *made.left_out)}
        assert named == {bag.name for bag in self.bags}
        for i, one in enumerate(made.episodes):
            j, was = next((j, was) for j, was in enumerate(self.whole.episodes)
                          if was.name == one.name)
            if one.name != name:
                assert (one.mode, one.span) == (was.mode, was.span)
            for new, old in ((made.observations, self.whole.observations),
                             (made.actions, self.whole.actions)):
                assert np.array_equal(new[made.bounds[i]:made.bounds[i + 1]],
                                      old[self.whole.bounds[j]:self.whole.bounds[j + 1]])
        return 'the whole data set' if len(made.episodes) == 3 else 'left out'


class Session(BagsOfDataset):
    """The same three bags with labels, given to a command that inspects, labels or recovers."""

    reader = 'uncloning inspect, label, recover'
    weight = 300
    commands: ClassVar = (
        ('inspect', '{demos}', *_ALONE, '--html', '{out}/page.html', '--json', '{out}/f.json'),
        *(('inspect', '{demos}', *_ALONE, '--cut', cut) for cut in CUTS),
        ('label', '{demos}', *_ALONE, '--rule'),
        ('label', '{demos}', *_ALONE, '--cluster', '--clusters', '{out}/clusters.json'),
        ('label', '{demos}', '--episode', '{bag}', '--mode', 'blade_first', '--operator', 'Eve'),
        ('label', '{demos}', '--episode', '{bag}', '--none', '--operator', 'Eve'),
        ('recover', '{demos}'))

    def mutated(self, rng: Generator, folder: Path) -> Any:
        demos, bag, _ = super().mutated(rng, folder)
        if rng.random() < 0.2:
            (demos / bag).rename(demos / f'{bag}.partial')
        (folder / 'out').mkdir()
        words = [word.format(demos=demos, bag=bag, out=folder / 'out')
                 for word in pick(rng, self.commands)]
        return words, {path: _labels_in(path) for path in demos.glob('*.labels.json')}

    def read(self, changed: Any) -> tuple[int, str]:
        said = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            return command_line(changed[0]), said.getvalue()

    def require_right(self, changed: Any, result: tuple[int, str]) -> str:
        words, labels = changed
        status, said = result
        for path, before in labels.items():
            if before is not None:
                assert path.is_file(), f'{path} is gone'
                assert (_labels_in(path) or [])[:len(before)] == before, 'a label is lost'
        if status == 0:
            return words[0]
        assert status == 2
        _, _, sentence = said.partition('uncloning: error: ')
        require_sentence(sentence.strip())
        return 'left out'


def _labels_in(path: Path) -> list[Any] | None:
    """Return the labels in a file, None if it is damaged."""
    try:
        found = json.loads(path.read_bytes())['labels']
    except (ValueError, LookupError, TypeError):
        return None
    return found if isinstance(found, list) else None


class UnfinishedTake(Kind):
    """The file of a recorder that was killed, with other bytes."""

    reader = 'uncloning recover'
    weight = 700

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.events = ({'event': 'label', 'mode': 'blade_first'}, {'event': 'stop'},
                       {'event': 'discard'})
        self.takes = [self._killed(folder / f'killed_{i}', *events) for i, events in enumerate(
            ((), self.events[:1], self.events[1:2], self.events[:2], self.events[2:]))]
        self.samples = read_episode(episodes.write(folder / 'whole', few(12))).samples

    @staticmethod
    def _killed(folder: Path, *events: dict[str, Any]) -> bytes:
        writer = EpisodeWriter(folder / 'episode_000000', CONTRACT, episodes.METADATA)
        writer.write_event({'event': 'start', 'episode': 0}, episodes.BEGIN_NS)
        for i in range(12):
            for key, found in few(12).items():
                if i < len(found):
                    writer.write_values(key, found[i].values, found[i].stamp_ns,
                                        found[i].receive_ns)
            if i % 4 == 3:
                writer.flush()
        for event in events:
            writer.write_event({'episode': 0, 'mode': None, **event}, episodes.BEGIN_NS + 10**9)
        writer.flush()
        writer._file._file.close()
        return mcap_of(writer.partial_dir).read_bytes()

    def mutated(self, rng: Generator, folder: Path) -> Path:
        demos = folder / 'demos'
        take = demos / 'episode_000000.partial'
        take.mkdir(parents=True)
        data = mutated_bytes(rng, pick(rng, self.takes))
        (take / 'episode_000000_0.mcap').write_bytes(data)
        if rng.random() < 0.1:
            pick(rng, (lambda: (take / 'metadata.yaml').write_bytes(rng.bytes(100)),
                       lambda: (take / 'second.mcap').write_bytes(data),
                       lambda: (demos / 'episode_000000').mkdir(),
                       lambda: labels_path(demos / 'episode_000000').write_text('{')))()
        return demos

    def read(self, changed: Path) -> tuple[list[Recovery], list[Recovery]]:
        return [*recover(changed, dry_run=True)], [*recover(changed)]

    def require_right(self, changed: Path,
                      result: tuple[list[Recovery], list[Recovery]]) -> str:
        [told], [done] = result
        assert told.kind == done.kind
        assert list_unfinished(changed) == [], 'nothing is left to recover'
        finished = [*list_episodes(changed), *(changed / 'discarded').glob('episode_*')]
        finished = [path for path in finished if path.is_dir() and any(path.iterdir())]
        if done.kind != 'finished':
            assert done.kind == 'quarantined' and finished == []
            return done.kind
        [path] = finished
        verify_episode(path)
        try:
            found = read_episode(path).samples
        except UncloningError:
            return 'finished, too little for an episode'
        for key, samples in found.items():
            recorded = iter([(s.receive_ns, s.stamp_ns, s.values.tolist())
                             for s in self.samples[key]])
            for one in samples:
                assert (one.receive_ns, one.stamp_ns, one.values.tolist()) in recorded, key
        return 'finished'


class Labels(Kind):
    """A label file with other data or other bytes, to which a label is added."""

    reader = 'uncloning label'
    weight = 1000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        bag = folder / 'whole' / 'episode_000003'
        bag.mkdir(parents=True)
        for mode, source in (('handle_first', 'rule'), ('blade_first', 'operator'),
                             (None, 'operator'), ('handle_first', 'truth')):
            span = {'from_s': 0.5, 'to_s': 2.0} if source == 'truth' else {}
            add_label(bag, Label(mode, source, 0.75, NOON, 'Ada', **span), CONTRACT.interface)
        self.text = labels_path(bag).read_text()

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, bytes]:
        bag = folder / 'episode_000003'
        bag.mkdir()
        data = mutated_json(rng, self.text)
        labels_path(bag).write_bytes(data)
        return bag, data

    def read(self, changed: tuple[Path, bytes]) -> tuple[Label, ...]:
        before = read_labels(changed[0], CONTRACT.interface)
        add_label(changed[0], Label('blade_first', 'operator', 1.0, NOON, 'Eve'),
                  CONTRACT.interface)
        return before

    def require_kept(self, changed: tuple[Path, bytes]) -> None:
        bag, data = changed
        assert labels_path(bag).read_bytes() == data, 'a refused file was changed'
        assert len([*bag.parent.iterdir()]) == 2, 'something was left behind'

    def require_right(self, changed: tuple[Path, bytes], result: tuple[Label, ...]) -> str:
        bag, data = changed
        written = json.loads(data, object_pairs_hook=_once)['labels']
        default = {'by': '', 'software_version': '', 'from_s': None, 'to_s': None}
        assert [vars(label) for label in result] == [{**default, **one} for one in written]
        after = read_labels(bag, CONTRACT.interface)
        assert after[:-1] == result and after[-1].by == 'Eve', 'a label is lost'
        return 'read and added'


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), 'a key that is given twice was read'
    return found


class DatasetFile(Kind):
    """A data set whose description or arrays have other data or other bytes."""

    reader = 'load_dataset'
    weight = 400
    contract = CONTRACT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        demos = folder / 'whole'
        for i, kind in enumerate((episodes.HANDLE_FIRST, episodes.BLADE_FIRST,
                                  episodes.CROSSWISE)):
            bag = episodes.write(demos, whole(self.contract, kind, i), i, self.contract)
        add_label(bag.with_name('episode_000001'), Label('blade_first', 'rule', 1.0, NOON,
                                                         from_s=0.5, to_s=2.5),
                  self.contract.interface)
        recipe = Recipe(episodes.KNIFE, labels='rule', keep_unlabelled=True)
        self.whole = build_dataset([demos], folder / 'data', recipe, Split(0.3)).dataset
        assert [one.mode for one in self.whole.episodes] == ['handle_first', 'blade_first', None]
        assert self.whole.episodes[1].span is not None
        self.path = folder / 'data'

    def mutated(self, rng: Generator, folder: Path) -> Path:
        path = copy(self.path, folder / 'data')
        text, arrays = path / 'dataset.json', path / 'dataset.safetensors'
        choice = rng.random()
        if choice < 0.6:
            text.write_bytes(mutated_json(rng, text.read_text()))
        elif choice < 0.8:
            data = json.loads(text.read_text())
            one = pick(rng, data['episodes'])
            one['span'] = rng.integers(-1, one['frames'] + 2, 2).tolist()
            text.write_text(json.dumps(data))
        else:
            file = pick(rng, (arrays, *sorted(path.glob('*.pixels'))))
            file.write_bytes(mutated_bytes(rng, file.read_bytes()))
        return path

    def read(self, changed: Path) -> Dataset:
        return load_dataset(changed)

    def require_right(self, changed: Path, result: Dataset) -> str:
        assert np.array_equal(result.observations, self.whole.observations)
        assert np.array_equal(result.actions, self.whole.actions)
        assert result.pictures.keys() == self.whole.pictures.keys()
        for key, pixels in self.whole.pictures.items():
            assert np.array_equal(result.pictures[key], pixels)
        assert result.bounds[-1] == len(result.actions)
        for one in json.loads((changed / 'dataset.json').read_text())['episodes']:
            if 'span' in one:
                first, end = one['span']
                assert one['mode'] and 0 <= first < end <= one['frames']
        for split in ('train', 'validation'):
            histories, chunks = result.gather(result.window_frames(split))
            assert len(histories) == len(chunks)
            parts = [*(result.window_frames(split, [mode])
                       for mode in result.contract.interface.mode_names),
                     result.frames_without_mode(split)]
            assert sorted(np.concatenate(parts)) == result.window_frames(split).tolist()
        return 'the same arrays'


class DatasetOfPictures(DatasetFile):
    """Such a data set, or its pictures."""

    weight = 300
    contract = seeing.CONTRACT


KINDS = (MessageInBag, RecordedTake, Bag, ForeignBag, BagsOfDataset, Session, UnfinishedTake,
         Labels, DatasetFile, PictureInBag, TakeOfPictures, BagOfPictures, ForeignBagOfPictures,
         DatasetOfPictures)
