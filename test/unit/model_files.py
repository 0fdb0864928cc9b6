# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exported policies with something changed inside, and a digest that is right."""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx

from uncloning_ros.runtime.inference import DIGEST_MARK, digest_of


def forged(original: Path, path: Path, metadata: Mapping[str, str | None] | None = None,
           graph: onnx.GraphProto | None = None,
           change: Callable[[onnx.ModelProto], None] | None = None) -> Path:
    """Write the model again with other metadata or graph, and with a digest that is right."""
    model = onnx.load(original)
    props = {prop.key: prop.value for prop in model.metadata_props}
    props |= dict(metadata or {}) | {'digest': DIGEST_MARK + '0' * 64}
    onnx.helper.set_model_props(model, {k: v for k, v in props.items() if v is not None})
    if graph is not None:
        model.graph.CopyFrom(graph)
    if change is not None:
        change(model)
    blank = model.SerializeToString(deterministic=True)
    path.write_bytes(blank.replace((DIGEST_MARK + '0' * 64).encode(),
                                   (DIGEST_MARK + digest_of(blank)).encode()))
    return path
