# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the answers of people to handovers: a versioned sidecar in the folder of the episodes.

The sidecar of `demos/` is `demos/preferences.json`:

    {"schema": "uncloning/preferences@1",
     "answers": [{"shown": [{"name": "episode_000003", "digest": "3f2a..."},
                            {"name": "episode_000017", "digest": "98b1..."}],
                  "said": "left", "rater": "Anna", "at": "2026-01-31T12:00:00+00:00",
                  "software_version": "0.1.0"}]}

Two episodes were shown side by side, the first on the left: the rater said which one was better,
left or right, that they are equal, or that he or she cannot tell. One episode was called good or
bad. An answer is never changed or removed: `withdrawn` takes back the rater's answer on the same
episodes before it. The digest tells a recording from a later one of the same name.
"""

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from uncloning_ros import __version__
from uncloning_ros.errors import BagError, shown
from uncloning_ros.files import disk_errors, parse_json, require_fetched, turn_in, write_lasting
from uncloning_ros.schema import Note, Sha256, plain, read

PairAnswer = Literal['left', 'right', 'equal', 'cannot tell']
SingleAnswer = Literal['good', 'bad']
PAIR_ANSWERS: tuple[PairAnswer, ...] = get_args(PairAnswer)
SINGLE_ANSWERS: tuple[SingleAnswer, ...] = get_args(SingleAnswer)
WITHDRAWN: Literal['withdrawn'] = 'withdrawn'
_NAME = r"\w[\w .'-]{0,59}"  # of a rater; it stands in the address of a page as well
_FILE = 'preferences.json'
_REMEDY = 'restore it from a copy, or move it away and begin again without its answers'


@dataclass(frozen=True)
class Shown:
    """An episode that was shown: its name, and the sha256 of its recording."""

    name: str
    digest: Sha256


@dataclass(frozen=True)
class Answer:
    """The answer of one rater on two episodes, left and right, or on one; `at` is ISO 8601."""

    shown: tuple[Shown, ...]
    said: Literal[PairAnswer, SingleAnswer, 'withdrawn']
    rater: str
    at: str
    software_version: str = ''

    def __post_init__(self) -> None:
        require_rater(self.rater)
        names = [one.name for one in self.shown]
        if len(names) > 2 or len(set(names)) < len(names):
            raise BagError(f'expected an answer on one episode or on two different ones, got '
                           f'{", ".join(names)}; compare two')
        fitting = (*(PAIR_ANSWERS if len(names) == 2 else SINGLE_ANSWERS), WITHDRAWN)
        if self.said not in fitting:
            raise BagError(f'expected {", ".join(fitting)} on {" and ".join(names)}, got '
                           f'{shown(self.said)}; give one of them')

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the episodes, sorted: the same for either side."""
        return tuple(sorted(one.name for one in self.shown))

    @property
    def question(self) -> tuple[str, frozenset[str]]:
        """Return the rater and the recordings: two answers to one question are about the same."""
        return self.rater, frozenset(one.digest for one in self.shown)

    @property
    def sentence(self) -> str:
        """Return the answer in a few words."""
        names = [one.name for one in self.shown]
        return {'left': f'{names[0]} better than {names[-1]}',
                'right': f'{names[-1]} better than {names[0]}',
                'equal': f'{names[0]} and {names[-1]} equal',
                'cannot tell': f'cannot tell {names[0]} from {names[-1]}',
                WITHDRAWN: f'{" and ".join(names)}: answer taken back'}.get(
                    self.said, f'{names[0]} {self.said}')


@dataclass(frozen=True, kw_only=True)
class _Sidecar:
    SCHEMAS: ClassVar = ('uncloning/preferences@1',)
    answers: Annotated[tuple[Answer, ...], Note.MAY_BE_EMPTY]


def require_rater(name: str) -> str:
    """Return the name of a rater; raise `BagError` unless it is one line of words."""
    if name != ' '.join(name.split()) or not re.fullmatch(_NAME, name):
        raise BagError(f'expected the name of the rater, at most 60 letters, digits, spaces and '
                       f".-', got {shown(name)}; give a name, or a pseudonym")
    return name


def answers_path(folder: Path) -> Path:
    """Return where the answers on the episodes of a folder lie."""
    return folder / _FILE


def read_answers(path: Path) -> tuple[Answer, ...]:
    """Return all answers in a file in their order, none if it is not there; raise `BagError`."""
    with disk_errors(f'cannot read {path}', BagError):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return ()
    require_fetched(data, path, BagError)
    return read(_Sidecar, parse_json(data, path, BagError, _REMEDY), str(path),
                BagError).answers


def add_answer(path: Path, answer: Answer) -> None:
    """Add one answer to a file; those that are there stay, also of another rater at once."""
    with disk_errors(f'cannot write {path}', BagError, 'make room, or allow it'), \
            turn_in(path.parent):
        answers = (*read_answers(path), replace(answer, software_version=__version__))
        text = json.dumps(plain(_Sidecar(answers=answers)), indent=1, ensure_ascii=False)
        write_lasting(path, f'{text}\n'.encode())


def standing(answers: Sequence[Answer]) -> list[Answer]:
    """Return the answers that were not taken back."""
    found: list[Answer] = []
    for one in answers:
        if one.said != WITHDRAWN:
            found.append(one)
            continue
        last = next((i for i in reversed(range(len(found)))
                     if found[i].question == one.question), None)
        if last is not None:
            del found[last]
    return found


def about(answers: Sequence[Answer], digests: Mapping[str, str]) -> tuple[list[Answer], list[str]]:
    """Return the answers on episodes that are there, and sentences on those that do not count.

    `digests` are those of the episodes by name. An answer is about recordings, and so it is
    returned with the names that they have here. One on two copies of a recording does not count
    unless both names are here.
    """
    names = {digest: name for name, digest in digests.items()}
    gone: dict[str, list[str]] = {}
    usable = []
    for one in answers:
        lost = [f'{each.name} is ' + ('another recording now' if each.name in digests else
                                      'not there')
                for each in one.shown if each.digest not in names]
        here = {each.name if digests.get(each.name) == each.digest else
                names.get(each.digest, each.name): each.digest for each in one.shown}
        if not lost and len(here) < len(one.shown):
            lost = [f'{" and ".join(one.names)} are copies of one recording']
        for why in lost:
            gone.setdefault(why, []).append(one.rater)
        if not lost:
            usable.append(replace(one, shown=tuple(map(Shown, here, here.values()))))
    return usable, [f'{why}: {len(raters)} of the answers of {", ".join(dict.fromkeys(raters))} '
                    f'do not count' for why, raters in gone.items()]


def now() -> str:
    """Return the time of an answer that is given now."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
