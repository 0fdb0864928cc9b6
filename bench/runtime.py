#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure how fast a chunk is planned: ratios on one thread, in turns in one run.

- the exported policy relative to the same policy in eager torch with the same weights;
- the edited policy relative to its original, and the original relative to itself: the noise;
- the exported policy relative to the bare matrix products of its network in numpy.

  bench/runtime.py
  bench/runtime.py my_mixed.onnx my_uncloned.onnx --json runtime.json
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import measure  # limits the threads, so it comes before numpy
import numpy as np
import onnx
import torch
from measure import Array, Report
from onnx import numpy_helper

from uncloning_ros.errors import ModelError
from uncloning_ros.learning.export import PARITY_TOLERANCE
from uncloning_ros.learning.options import NetworkOptions
from uncloning_ros.learning.policies import Policy, build_policy
from uncloning_ros.policy_io import Observation
from uncloning_ros.runtime.inference import INPUTS, OnnxPolicy, load_policy
from uncloning_ros.share import share_path

# The memory address of the weights changes times by 1 or 2 %: every repeat loads the model again.
_REPEATS, _ROUNDS = 10, 400
_REPEATS_SHORT, _ROUNDS_SHORT = 3, 100


def main() -> int:
    """Run the benchmark."""
    parser = measure.parser(__doc__)
    models = share_path('models')
    parser.add_argument('original', type=Path, nargs='?', default=models / 'knife_mixed.onnx',
                        help='exported policy (default: the shipped one)')
    parser.add_argument('edited', type=Path, nargs='?', default=models / 'knife_uncloned.onnx',
                        help='the same after its edit (default: the shipped one)')
    return measure.run(compare, parser.parse_args())


def compare(args: argparse.Namespace) -> Report:
    """Measure every ratio."""
    repeats, rounds = ((_REPEATS_SHORT, _ROUNDS_SHORT) if args.short else (_REPEATS, _ROUNDS))
    policy = load_policy(args.original)
    network = torch_policy(args.original, policy)
    products, count = matrix_products(args.original)
    rng = np.random.default_rng(0)
    observation = Observation(rng.standard_normal(policy.observation_shape).astype(np.float32))
    noise = rng.standard_normal(policy.chunk_shape).astype(np.float32)
    inputs = torch.from_numpy(observation.vector)[None], torch.from_numpy(noise)[None]

    def session(path: Path) -> Callable[[], object]:
        policy = load_policy(path)
        return lambda: policy(observation, noise)

    def eager() -> torch.Tensor:
        with torch.inference_mode():
            return network(*inputs)

    difference = np.abs(eager().numpy()[0] - policy(observation, noise).chunk).max()
    if not difference <= PARITY_TOLERANCE:
        raise ModelError(f'torch and onnxruntime differ by {difference:.2g} on {args.original}, '
                         f'at most {PARITY_TOLERANCE:g} is allowed; export it again')

    def taken(**calls: Callable[[], object]) -> None:
        for name, durations in measure.in_turns(calls, rounds).items():
            found[name].append(durations)

    found: dict[str, list[Array]] = defaultdict(list)
    for _ in range(repeats):
        taken(onnx_beside_torch=session(args.original), torch=eager)
        # The order of loading and of calling must not matter either.
        three = [('original', args.original), ('again', args.original), ('edited', args.edited)]
        taken(**{three[i][0]: session(three[i][1]) for i in rng.permutation(3)})
        taken(onnx=session(args.original), products=products)
    noise_of_it = measure.ratio('original / itself, the noise', found['again'], found['original'])
    edit = measure.ratio('edited / original', found['edited'], found['original'])
    return Report(
        'Planning one chunk, on one thread',
        [measure.ratio('onnxruntime / torch eager', found['onnx_beside_torch'], found['torch'],
                       1 / 3),
         replace(edit, target='within the noise',
                 met=noise_of_it.low <= edit.value <= noise_of_it.high),
         noise_of_it,
         measure.ratio('onnxruntime / bare matrix products', found['onnx'], found['products'],
                       1.5)],
        [measure.spread_ms('onnxruntime', found['onnx']),
         measure.spread_ms('torch eager', found['torch']),
         measure.spread_ms(f'{count} matrix products', found['products'])])


def torch_policy(path: Path, policy: OnnxPolicy) -> Policy:
    """Return a torch policy with the weights of an exported one; raise `ModelError` if unfit."""
    shape = policy.metadata['training'].get('network')
    if shape is None:
        raise ModelError(f'{path} does not describe its network; make it with uncloning export')
    network = build_policy(policy.contract, NetworkOptions(**shape))
    weights = {name: torch.from_numpy(value.copy()) for name, value in _weights(path).items()
               if name in network.state_dict()}
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def matrix_products(path: Path) -> tuple[Callable[[], object], int]:
    """Return a call that computes the graph's matrix products with weights, and their number.

    There is one for every node, in the order of the graph, into memory that is already allocated.
    Products of constants are left out: onnxruntime computes them once, when it loads the model.
    The rows of the stored matrices are read one after the other, which is fastest here.
    """
    weights = _weights(path)
    nodes = onnx.load(path).graph.node
    constant = {output for node in nodes if node.op_type == 'Constant' for output in node.output}
    products, made = [], {}
    for node in nodes:
        if node.op_type not in ('Gemm', 'MatMul') or node.input[0] in constant:
            continue
        name = node.input[1]
        if name not in made:
            matrix = weights[name].T if node.op_type == 'Gemm' else weights[name]
            rows = 2 if node.input[0] == INPUTS[0] else 1  # the history
            made[name] = (np.ones((rows, matrix.shape[0]), np.float32), matrix,
                          np.empty((rows, matrix.shape[1]), np.float32))
        products.append(made[name])

    def multiply() -> None:
        for vector, matrix, into in products:
            np.dot(vector, matrix, out=into)
    return multiply, len(products)


def _weights(path: Path) -> dict[str, np.ndarray]:
    return {weight.name: numpy_helper.to_array(weight)
            for weight in onnx.load(path).graph.initializer}


if __name__ == '__main__':
    raise SystemExit(main())
