# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last chunks and decisions of a policy in one file: every chunk can be repeated from it."""

import io
import json
import platform
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import uncloning_ros
from uncloning_ros.errors import IncidentError
from uncloning_ros.files import read_bytes, require_new, write_whole
from uncloning_ros.pictures import Pixels
from uncloning_ros.policy_io import Float32, PlanAnswer
from uncloning_ros.runtime.control_loop import Decision
from uncloning_ros.runtime.inference import THREADS, VERSION, OnnxPolicy
from uncloning_ros.schema import Count, Doc, Note, plain, read

# name -> number of dimensions, type
_ARRAYS = {'indices': (1, 'int64'), 'ticks_ns': (1, 'int64'), 'observations': (3, 'float32'),
           'noises': (3, 'float32'), 'chunks': (3, 'float32'), 'answered': (1, 'bool')}
_PICTURES = 'pictures/'  # before the name of a camera: its array in the file
# Kept plans and events: with 5 plans a second most of a minute, longer than a handover.
_PLANS, _EVENTS = 256, 512


@dataclass(frozen=True)
class Machine:
    """The parts of a machine that decide rounding: results repeat bit for bit if all are equal."""

    processor: Annotated[str, Doc('its name'), Note.MAY_BE_EMPTY]
    onnxruntime: Annotated[str, Doc('version')]
    threads: Annotated[Count, Doc('of onnxruntime')]
    python: Annotated[str, Doc('version')]
    software_version: Annotated[str, Doc('of uncloning_ros')]


@dataclass(frozen=True)
class Event:
    """A change of the loop's state or reason, on the clock of its steps."""

    now_ns: int
    state: str
    reason: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Incident:
    """The newest plans with their inputs, the newest events, the model and the machine.

    `observations` (n, history, observation_dim), `noises` and `chunks` (n, horizon, action_dim)
    are float32; without an answer to a request `answered` is False and the chunk zero.
    `pictures` are those that the policy saw, by camera uint8 (n, height, width, channels).
    """

    SCHEMAS: ClassVar = ('uncloning/incident@1',)

    model_path: str
    model_sha256: str
    contract_sha256: str
    seed: int
    machine: Machine
    events: Annotated[tuple[Event, ...], Note.MAY_BE_EMPTY]
    indices: Annotated[NDArray[np.int64], Note.DERIVED]
    ticks_ns: Annotated[NDArray[np.int64], Note.DERIVED]
    observations: Annotated[Float32, Note.DERIVED]
    noises: Annotated[Float32, Note.DERIVED]
    chunks: Annotated[Float32, Note.DERIVED]
    answered: Annotated[NDArray[np.bool_], Note.DERIVED]
    pictures: Annotated[Mapping[str, Pixels], Note.DERIVED] = field(default_factory=dict)


def this_machine() -> Machine:
    """Return the machine of this process."""
    return Machine(_processor(), VERSION, THREADS, platform.python_version(),
                   uncloning_ros.__version__)


class FlightRecord:
    """A ring buffer of the newest answers and events. One thread writes and takes snapshots."""

    def __init__(self) -> None:
        self._answers: deque[PlanAnswer] = deque(maxlen=_PLANS)
        self._events: deque[Event] = deque(maxlen=_EVENTS)

    def add_answer(self, answered: PlanAnswer) -> None:
        """Keep one answer with its request."""
        self._answers.append(answered)

    def add_decision(self, decision: Decision, now_ns: int) -> bool:
        """Keep the decision if it differs from the one before; tell whether it does."""
        state = decision.state.value
        if self._events and (self._events[-1].state, self._events[-1].reason) == (
                state, decision.reason):
            return False
        self._events.append(Event(now_ns, state, decision.reason, decision.sentence))
        return True

    def snapshot(self) -> tuple[tuple[PlanAnswer, ...], tuple[Event, ...]]:
        """Return the kept answers and events, oldest first."""
        return tuple(self._answers), tuple(self._events)


def incident_of(answers: Sequence[PlanAnswer], events: Sequence[Event], model_path: Path,
                policy: OnnxPolicy, contract_sha256: str, seed: int) -> Incident:
    """Return the incident of a snapshot of the flight record."""
    def stacked(arrays: Sequence[Float32], shape: tuple[int, int]) -> Float32:
        return np.array(arrays, dtype=np.float32).reshape(-1, *shape)

    requests, shape = [answered.request for answered in answers], policy.chunk_shape
    chunks = [None if answered.plan is None or np.shape(answered.plan.chunk) != shape
              else answered.plan.chunk for answered in answers]
    none = np.zeros(shape, np.float32)
    return Incident(
        str(model_path), policy.sha256, contract_sha256, seed, this_machine(), tuple(events),
        np.array([request.index for request in requests], dtype=np.int64),
        np.array([request.tick_ns for request in requests], dtype=np.int64),
        stacked([request.observation.vector for request in requests], policy.observation_shape),
        stacked([request.noise for request in requests], shape),
        stacked([none if chunk is None else chunk for chunk in chunks], shape),
        np.array([chunk is not None for chunk in chunks], dtype=np.bool_),
        {key: np.array([request.observation.pictures[key] for request in requests],
                       dtype=np.uint8).reshape(-1, *size)
         for key, size in policy.picture_shapes.items()})


def write_incident(incident: Incident, path: Path) -> Path:
    """Write an incident to a new file, whole or not at all; return its path.

    A NumPy archive of plain arrays and one JSON text. Raise `OutputExistsError` rather than
    overwrite.
    """
    require_new(path)
    buffer = io.BytesIO()
    # Not compressed: noise would not shrink, and the time belongs to the control loop.
    arrays: dict[str, Any] = {name: getattr(incident, name) for name in _ARRAYS}
    arrays |= {_PICTURES + key: pixels for key, pixels in incident.pictures.items()}
    np.savez(buffer, record=np.frombuffer(json.dumps(plain(incident)).encode(), np.uint8),
             **arrays)
    write_whole(path, buffer.getvalue())
    return path


def read_incident(path: Path) -> Incident:
    """Read an incident; raise `IncidentError` for another or a damaged file."""
    data = read_bytes(path, IncidentError)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            record = json.loads(archive['record'].tobytes())
            arrays = {name: archive[name] for name in _ARRAYS}
            others = [name for name in archive.files if name not in ('record', *_ARRAYS)]
            pictures = {name.removeprefix(_PICTURES): archive[name] for name in others}
            if not all(name.startswith(_PICTURES) for name in others):
                raise IncidentError(f'expected arrays {", ".join(_ARRAYS)} and {_PICTURES}KEY, '
                                    f'got {", ".join(others)}')
        _require_arrays(arrays, pictures)
        return read(Incident, record, 'record', IncidentError, **arrays, pictures=pictures)
    except Exception as err:  # archive, arrays and text raise errors without a common base
        reason = f' ({err})' if isinstance(err, IncidentError) else ''
        raise IncidentError(f'{path} is not an incident of the policy node, or it is '
                            f'damaged{reason}; give a file that ~/dump named') from err


def _require_arrays(arrays: Mapping[str, NDArray[Any]],
                    pictures: Mapping[str, NDArray[Any]]) -> None:
    found = {**arrays, **pictures}
    lengths = {name: len(array) for name, array in found.items()}
    if len(set(lengths.values())) != 1:
        raise IncidentError(f'expected arrays of one length, got {lengths}')
    expected = {**_ARRAYS, **dict.fromkeys(pictures, (4, 'uint8'))}
    for name, (dimensions, dtype) in expected.items():
        if found[name].ndim != dimensions or found[name].dtype != dtype:
            raise IncidentError(f'expected {dtype} {name} of {dimensions} dimensions, got '
                                f'{found[name].dtype} of {found[name].ndim}')


def _processor() -> str:
    """Return the processor's name from Linux; Python knows its family alone, as x86_64."""
    try:
        for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
