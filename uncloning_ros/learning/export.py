# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a policy as one ONNX file: the whole sampler unrolled, records and digest inside."""

import io
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

import uncloning_ros
from uncloning_ros.contract import Contract
from uncloning_ros.errors import ModelError
from uncloning_ros.files import whole_file
from uncloning_ros.learning.checkpoint import Run, RunConfig, require_decoders
from uncloning_ros.learning.edit_record import edits
from uncloning_ros.pictures import decoder
from uncloning_ros.runtime.doubt import DoubtRecord
from uncloning_ros.runtime.inference import (
    DIGEST_MARK,
    DOUBT,
    EPISODE_NOISE,
    INPUTS,
    INTENT,
    OUTPUT,
    PICTURE_KEYS,
    SCHEMA,
    OnnxPolicy,
    digest_of,
    load_policy,
    read_checked,
)
from uncloning_ros.schema import plain

PARITY_TOLERANCE = 1e-4  # in the contract's units

_OPSET = 17  # the first with LayerNormalization
_RANDOM_INPUTS = 64


@dataclass(frozen=True)
class Exported:
    """An exported file: its sha256, its size, and its largest differences from torch."""

    sha256: str
    bytes: int
    recorded_difference: float
    random_difference: float


def export(run: Run, path: Path, development_seeds: tuple[int, ...] = (),
           doubt: DoubtRecord | None = None, calibration_seeds: tuple[int, ...] = ()) -> Exported:
    """Write the run's averaged weights to `path` once onnxruntime agrees with torch on them.

    `development_seeds` are environment seeds of the episodes used to choose options,
    `calibration_seeds` those that chose the threshold of doubt; the file records them beside
    those of the demonstrations, and an audit refuses all. `doubt` is the record of the policy's
    head for doubt, if it has one. Raise `ModelError` where the two differ by more than the
    tolerance on recorded or random inputs, or this machine decodes pictures otherwise.
    """
    require_decoders(run.config)
    records = _records(run, development_seeds, calibration_seeds)
    if doubt is not None:
        records[DOUBT] = json.dumps(plain(doubt), allow_nan=False)
    data = _with_digest(_graph(run), records)
    with whole_file(path) as partial:
        partial.write_bytes(data)
        exported = load_policy(partial)
        recorded, random = _differences(run, exported)
    return Exported(exported.sha256, len(data), recorded, random)


def export_again(model: Path, path: Path, contract: Contract,
                 development_seeds: tuple[int, ...] = ()) -> str:
    """Write an exported policy to `path` with another contract; return the file's sha256.

    Weights and records are those of `model`, `development_seeds` are added. Raise `ModelError` for
    a file that cannot be used.
    """
    graph = onnx.load_from_string(read_checked(model))
    records = {record.key: record.value for record in graph.metadata_props}
    seeds = json.loads(records['seeds'])
    seeds['development'] = sorted({*seeds['development'], *development_seeds})
    records |= {'contract': json.dumps(plain(contract)), 'seeds': json.dumps(seeds)}
    data = _with_digest(graph, records)
    with whole_file(path) as partial:
        partial.write_bytes(data)
        return load_policy(partial).sha256


def _graph(run: Run) -> onnx.ModelProto:
    timing, interface = run.config.contract.policy, run.config.contract.interface
    observation = torch.zeros(2, timing.history, interface.observation_dim)
    noise = torch.zeros(2, timing.horizon, interface.action_dim)
    pictures = [torch.zeros(2, *camera.shape, dtype=torch.uint8) for camera in interface.cameras]
    inputs = (*INPUTS, *run.policy.cameras)
    outputs = [OUTPUT, *([INTENT] if run.policy.says_intent else []),
               *([DOUBT] if run.policy.doubt is not None else [])]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter needs onnxscript, folds weights into unnamed constants, and so
        # hides which weight is which.
        warnings.simplefilter('ignore', DeprecationWarning)
        # The sampler's levels are constants of the graph, as they should be.
        warnings.simplefilter('ignore', torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # This exporter writes to a buffer, although only the newer one's paths are annotated.
        torch.onnx.export(run.policy, (observation, noise, *pictures),
                          buffer,  # type: ignore[arg-type]
                          dynamo=False, opset_version=_OPSET, do_constant_folding=False,
                          input_names=list(inputs), output_names=outputs,
                          dynamic_axes={name: {0: 'batch'} for name in (*inputs, *outputs)})
    model = onnx.load_from_string(buffer.getvalue())
    if len(model.graph.input) < len(inputs):  # the exporter drops a noise that is not used
        model.graph.input.append(onnx.helper.make_tensor_value_info(
            INPUTS[1], onnx.TensorProto.FLOAT, ['batch', *noise.shape[1:]]))
    for node in model.graph.node:
        node.doc_string = ''  # the traced place in the source: paths of this machine
    return model


def _records(run: Run, development_seeds: tuple[int, ...],
             calibration_seeds: tuple[int, ...]) -> dict[str, str]:
    config = run.config
    contract = config.contract
    training = {'network': plain(config.network), 'options': plain(config.training),
                'data': dict(config.data), 'weights_sha256': run.sha256}
    seeds = {'demonstrations': sorted(_demonstration_seeds(config)),
             'development': list(development_seeds), 'training': config.training.seed,
             **({'calibration': list(calibration_seeds)} if calibration_seeds else {})}
    records: dict[str, Any] = {
        'schema': SCHEMA, 'contract': plain(contract),
        'interface_sha256': contract.interface.sha256, 'policy_sha256': contract.policy.sha256,
        'training': training, 'seeds': seeds, 'software_version': uncloning_ros.__version__}
    if contract.interface.cameras:
        its = config.data.get('decoder', decoder([one.view for one in contract.interface.cameras]))
        records |= dict(zip(PICTURE_KEYS, its, strict=True))
    if run.policy.episode_noise:
        records[EPISODE_NOISE] = run.policy.episode_noise
    if config.edit is not None:
        records['edit'] = dict(config.edit)
    return {key: value if isinstance(value, str) else json.dumps(value, allow_nan=False)
            for key, value in records.items()}


def _demonstration_seeds(config: RunConfig) -> set[int]:
    """Return the seeds of all demonstrations that the weights have seen."""
    found = set(config.data.get('seeds', []))
    for edit in edits(config.edit):
        found |= set(edit['data']['seeds'])
    return found


def _with_digest(model: onnx.ModelProto, records: dict[str, str]) -> bytes:
    """Return the file's bytes; the digest has its place before its value is known."""
    onnx.helper.set_model_props(model, records | {'digest': DIGEST_MARK + '0' * 64})
    onnx.checker.check_model(model, full_check=True)
    blank: bytes = model.SerializeToString(deterministic=True)
    return blank.replace((DIGEST_MARK + '0' * 64).encode(),
                         (DIGEST_MARK + digest_of(blank)).encode())


def _differences(run: Run, exported: OnnxPolicy) -> tuple[float, float]:
    """Return the largest differences from torch on recorded and on random inputs."""
    rng = np.random.default_rng(0)
    recorded = run.observations.numpy()
    random = rng.standard_normal((_RANDOM_INPUTS, *exported.observation_shape))
    pixels = {key: rng.integers(0, 256, (_RANDOM_INPUTS, *shape), np.uint8)
              for key, shape in exported.picture_shapes.items()}
    found = []
    for what, observations, pictures in (
            ('recorded', recorded, {key: seen.numpy() for key, seen in run.pictures.items()}),
            ('random', random.astype(np.float32), pixels)):
        noise = rng.standard_normal((len(observations), *exported.chunk_shape), np.float32)
        with torch.no_grad():
            ours = run.policy(*map(torch.from_numpy, (observations, noise, *pictures.values())))
        ours = ours if isinstance(ours, tuple) else (ours,)
        theirs = [exported.batch(observations, noise, pictures)]
        if exported.says_intent:
            theirs.append(exported.intents(observations, noise, pictures))
        pairs = list(zip((one.numpy() for one in ours), theirs, strict=False))
        if run.policy.doubt is not None:  # far from all demonstrations doubt is large
            doubts = ours[-1][:, 0].numpy()
            size = np.maximum(1.0, doubts)
            pairs.append((doubts / size, exported.doubts(observations, noise, pictures) / size))
        difference = max(float(np.abs(one - two).max()) for one, two in pairs)
        if not difference <= PARITY_TOLERANCE:
            raise ModelError(f'torch and onnxruntime differ by {difference:.2g} on {what} '
                             f'inputs, at most {PARITY_TOLERANCE:g} is allowed; the weights of '
                             f'this run may not be finite; train again')
        found.append(difference)
    return found[0], found[1]
