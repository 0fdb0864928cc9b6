# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Load an exported policy, check its digest, structure and contract, and run it.

The file carries the sha256 of its own bytes, in which the digest's 64 hexadecimal digits count
as zeros. That detects corruption, not replacement: against replacement, give the expected sha256
of the whole file.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnxruntime

from uncloning_ros.contract import Contract, contract_from_dict
from uncloning_ros.errors import ModelError, UncloningError, shown
from uncloning_ros.files import read_bytes
from uncloning_ros.pictures import Pixels, require_decoder
from uncloning_ros.policy_io import Float32, Intent, Observation, Plan, intent_size
from uncloning_ros.runtime.doubt import DoubtRecord
from uncloning_ros.runtime.model_structure import graph_sha256, require_structure
from uncloning_ros.schema import read

# Results depend on these beside model and processor.
VERSION: str = onnxruntime.__version__
THREADS = 1

SCHEMA = 'uncloning/policy@1'
DIGEST_MARK = 'uncloning-sha256:'
INPUTS, OUTPUT = ('observation', 'noise'), 'action_chunk'
INTENT = 'intent'  # a further output of a policy that says one
DOUBT = 'doubt'  # a further output of a policy with a head for it, and its metadata

# Metadata of a policy that draws its mode: the number of values at the end of the noise that do.
EPISODE_NOISE = 'episode_noise'
# Metadata in JSON; `edit` exists only after an edit of the weights.
_JSON_KEYS = ('contract', 'training', 'edit', 'seeds', EPISODE_NOISE, DOUBT)
PICTURE_KEYS = 'pictures_decoder', 'pictures_sha256'  # with cameras only
_KEYS = ('schema', 'contract', 'interface_sha256', 'policy_sha256', 'training', 'seeds',
         'software_version')

# Largest file and largest memory of a running graph (bytes): a policy has some MB.
_MOST_FILE_BYTES = 2**28
_MOST_MEMORY_BYTES = 2**30

_DIGEST = re.compile(DIGEST_MARK.encode() + rb'([0-9a-f]{64})')


class OnnxPolicy:
    """An exported policy after its checks; build it with `load_policy`.

    `contract` is the one of its training; `metadata` its records by name, as plain data;
    `sha256` that of the whole file, as sha256sum prints it; `picture_shapes` are those of the
    pictures by camera; `says_intent` tells whether its plans have an intent, and `episode_noise`
    is the number of values at the end of the noise that have to stay through an episode. `doubt`
    is the record of its head for doubt, None without one.
    Not thread-safe.
    """

    def __init__(self, session: onnxruntime.InferenceSession, contract: Contract,
                 metadata: Mapping[str, Any], sha256: str,
                 doubt: DoubtRecord | None = None) -> None:
        self._session = session
        self.contract = contract
        self.metadata = metadata
        self.sha256 = sha256
        timing, interface = contract.policy, contract.interface
        self.picture_shapes = {camera.key: camera.shape for camera in interface.cameras}
        self.observation_shape = (timing.history, interface.observation_dim)
        self.chunk_shape = (timing.horizon, interface.action_dim)
        self.says_intent = any(port.name == INTENT for port in session.get_outputs())
        self.episode_noise: int = metadata.get(EPISODE_NOISE, 0)
        self.doubt = doubt
        self._outputs = [OUTPUT, *([INTENT] if self.says_intent else []),
                         *([DOUBT] if doubt is not None else [])]

    def __call__(self, observation: Observation, noise: Float32) -> Plan:
        """Plan once, from standard normal `noise` (horizon, action_dim).

        The same inputs give the same plan.
        """
        found = dict(zip(self._outputs, self._run(
            self._outputs, observation.vector[None], noise[None],
            {key: observation.pictures[key][None] for key in self.picture_shapes}), strict=True))
        intent = (Intent.of(found[INTENT][0], self.contract.interface.mode_names)
                  if INTENT in found else None)
        doubt = float(found[DOUBT][0, 0]) if DOUBT in found else None
        return Plan(found[OUTPUT][0], intent, doubt)

    def batch(self, observations: Float32, noises: Float32,
              pictures: Mapping[str, Pixels] = MappingProxyType({})) -> Float32:
        """Return chunks (B, horizon, action_dim) for B histories, noises and sets of pictures.

        `pictures` are uint8 (B, height, width, channels) of each camera of the contract.
        """
        return self._run([OUTPUT], observations, noises, pictures)[0]

    def intents(self, observations: Float32, noises: Float32,
                pictures: Mapping[str, Pixels] = MappingProxyType({})) -> Float32:
        """Return the values of intents (B, `intent_size`); all else as `batch`."""
        return self._run([INTENT], observations, noises, pictures)[0]

    def doubts(self, observations: Float32, noises: Float32,
               pictures: Mapping[str, Pixels] = MappingProxyType({})) -> Float32:
        """Return the doubts (B,) of B histories; all else as `batch`."""
        return self._run([DOUBT], observations, noises, pictures)[0][:, 0]

    def _run(self, outputs: list[str], observations: Float32, noises: Float32,
             pictures: Mapping[str, Pixels]) -> list[Float32]:
        found: list[Float32] = self._session.run(
            outputs, {INPUTS[0]: observations, INPUTS[1]: noises, **pictures})
        return found

    def warm_up(self) -> None:
        """Run a few times, so that the first real call is as fast as the next.

        Raise `ModelError` if the model cannot be run.
        """
        try:
            for _ in range(3):
                self(Observation(np.zeros(self.observation_shape, np.float32),
                                 {key: np.zeros(shape, np.uint8)
                                  for key, shape in self.picture_shapes.items()}),
                     np.zeros(self.chunk_shape, np.float32))
        except Exception as err:  # the library's exceptions have no common base of their own
            raise ModelError(f'the model with sha256 {self.sha256} cannot be run: '
                             f'{" ".join(str(err).split())[:200]}; export it again') from err


def load_policy(path: Path | str, expected_sha256: str | None = None) -> OnnxPolicy:
    """Read an exported policy; raise `ModelError` for a file that cannot be trusted.

    Exactly the checked bytes are run. In one thread: the busy waiting of a second one would take
    a core from the control loop.
    """
    path = Path(path)
    data = read_checked(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256.lower():
        raise ModelError(f'{path}: expected sha256 {expected_sha256}, got {sha256}; give the '
                         f'file with the expected one')
    try:
        require_structure(data)
    except ValueError as err:
        raise ModelError(f'{path} is not an exported policy: {err}; make it with uncloning '
                         f'export') from err
    session = _session(path, data)
    try:
        texts, ports = session.get_modelmeta().custom_metadata_map, _ports(session)
    except UnicodeDecodeError as err:
        raise ModelError(f'{path} has names or records that are not text: {err}; export it '
                         f'again') from err
    metadata = _metadata(path, texts)
    try:
        contract = contract_from_dict(metadata['contract'], f'{path}: contract')
    except UncloningError as err:
        raise ModelError(f'{err}; export the policy with this version') from err
    for key, found in (('interface_sha256', contract.interface.sha256),
                       ('policy_sha256', contract.policy.sha256)):
        if metadata[key] != found:
            raise ModelError(f'{path}: expected {key} {found} of its contract, got '
                             f'{shown(metadata[key])}; export it again')
    _require_decoder(path, contract, metadata)
    _require_episode_noise(path, contract, metadata)
    policy = OnnxPolicy(session, contract, metadata, sha256, _doubt(path, metadata, data))
    _require_signature(path, ports, policy)
    return policy


def read_checked(path: Path) -> bytes:
    """Return the bytes of an exported policy with a correct digest; raise `ModelError` else."""
    data = read_bytes(path, ModelError, most_bytes=_MOST_FILE_BYTES)
    found = _DIGEST.findall(data)
    if len(found) != 1:
        raise ModelError(f'{path} is not an intact exported policy: expected one digest '
                         f'"{DIGEST_MARK}...", found {len(found)}; make it with '
                         f'uncloning export')
    expected, actual = found[0].decode(), digest_of(data)
    if actual != expected:
        raise ModelError(f'{path} is corrupted: expected the digest {expected}, got {actual}; '
                         f'copy or export it again')
    return data


def digest_of(data: bytes) -> str:
    """Return the sha256 of a file's bytes with the digits of its own digest taken as zeros."""
    blank = (DIGEST_MARK + '0' * 64).encode()
    return hashlib.sha256(_DIGEST.sub(blank, data)).hexdigest()


def _session(path: Path, data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    # The digest covers this file alone: weights in another file must not be found.
    options.add_session_config_entry('session.model_external_initializers_file_folder_path',
                                     os.devnull)
    options.log_severity_level = 4  # every error is raised, and reported below
    # A few numbers can be broadcast to any size: that has to fail before memory is full.
    options.add_session_config_entry('session.use_env_allocators', '1')
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo('Cpu', onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                  onnxruntime.OrtMemType.DEFAULT),
        onnxruntime.OrtArenaCfg(_MOST_MEMORY_BYTES, -1, -1, -1))
    try:
        # Without fallback, which would print the error and try the same again.
        return onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'],
                                            enable_fallback=0)
    except Exception as err:  # the library's exceptions have no common base of their own
        reason = ' '.join(str(err).split())[:200]
        raise ModelError(f'{path} cannot be run by onnxruntime {onnxruntime.__version__}: '
                         f'{reason}; export it again') from err


def _metadata(path: Path, texts: Mapping[str, str]) -> dict[str, Any]:
    missing = [key for key in _KEYS if key not in texts]
    if missing:
        raise ModelError(f'{path} is not an exported policy: it has no metadata '
                         f'{", ".join(missing)}; make it with uncloning export')
    if texts['schema'] != SCHEMA:
        raise ModelError(f'{path}: expected schema {SCHEMA!r}, got {shown(texts["schema"])}; '
                         f'export it with this version')
    metadata: dict[str, Any] = dict(texts)
    for key in _JSON_KEYS:
        if key in texts:
            try:
                metadata[key] = json.loads(texts[key])
            except (ValueError, RecursionError) as err:
                raise ModelError(f'{path}: metadata {key} is not JSON: {err}; export it '
                                 f'again') from err
    return metadata


def _require_decoder(path: Path, contract: Contract, metadata: Mapping[str, Any]) -> None:
    if not contract.interface.cameras:
        return
    missing = [key for key in PICTURE_KEYS if key not in metadata]
    if missing:
        raise ModelError(f'{path} is a policy with cameras, but it has no metadata '
                         f'{", ".join(missing)}; export it again')
    require_decoder(str(path), [metadata[key] for key in PICTURE_KEYS],
                    [one.view for one in contract.interface.cameras])


def _require_episode_noise(path: Path, contract: Contract, metadata: Mapping[str, Any]) -> None:
    """Raise `ModelError` where more of the noise has to stay than there is."""
    most = contract.policy.horizon * contract.interface.action_dim
    found = metadata.get(EPISODE_NOISE, 0)
    if type(found) is not int or not 0 <= found <= most:
        raise ModelError(f'{path}: expected metadata {EPISODE_NOISE} from 0 to {most}, got '
                         f'{shown(found)}; export it again')


def _doubt(path: Path, metadata: Mapping[str, Any], data: bytes) -> DoubtRecord | None:
    """Return the record of the head for doubt; raise `ModelError` for one of other weights."""
    if DOUBT not in metadata:
        return None
    record = read(DoubtRecord, metadata[DOUBT], f'{path}: {DOUBT}', ModelError)
    found = graph_sha256(data)
    if record.calibration is not None and record.calibration.graph_sha256 != found:
        raise ModelError(f'{path}: expected the weights {record.calibration.graph_sha256}, for '
                         f'which its threshold of doubt is calibrated, got {found}; make it '
                         f'again with uncloning doubt')
    return record


def _ports(session: onnxruntime.InferenceSession) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """Return type and shape, but for the batch, of every input and output by its name."""
    return {port.name: (port.type, tuple(port.shape[1:]))
            for port in (*session.get_inputs(), *session.get_outputs())}


def _require_signature(path: Path, found: Mapping[str, tuple[str, tuple[Any, ...]]],
                       policy: OnnxPolicy) -> None:
    """Raise `ModelError` unless inputs and output are those of the contract."""
    expected = {INPUTS[0]: policy.observation_shape, INPUTS[1]: policy.chunk_shape,
                OUTPUT: policy.chunk_shape}
    wanted = ({name: ('tensor(float)', shape) for name, shape in expected.items()}
              | {key: ('tensor(uint8)', shape) for key, shape in policy.picture_shapes.items()})
    if policy.says_intent:
        modes = policy.contract.interface.mode_names
        wanted[INTENT] = 'tensor(float)', (intent_size(modes),)
    if policy.doubt is not None:
        wanted[DOUBT] = 'tensor(float)', (1,)
    if found != wanted:
        raise ModelError(f'{path}: expected inputs and output {wanted}, got {found}; export a '
                         f'policy of this contract')
