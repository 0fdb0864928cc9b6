# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the mode classifier of the edit in a file, for methods that judge chunks at run time.

It is trained on the predictions of the original policy, exactly as for an edit, so that all
methods have the same signal.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError
from uncloning_ros.files import require_new
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.mode_classifier import ModeClassifier, train_classifier
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.tensor_files import load_tensors, save_tensors
from uncloning_ros.learning.uncloning import kept_modes
from uncloning_ros.learning.windows import windows_by_mode
from uncloning_ros.runtime.inference import OnnxPolicy


class Verifier(ModeClassifier):
    """A mode classifier that gives log probabilities of the kept modes."""

    def log_kept(self, condition: Tensor, clean: Tensor) -> Tensor:
        """Return log p(kept modes | condition (B, C), flat normalised chunk (B, D)), (B,)."""
        log_modes: Tensor = self(condition, clean).log_softmax(1)
        return log_modes[:, :self.kept].logsumexp(1)


def train_verifier(run: Run, dataset: Dataset, remove: tuple[str, ...], path: Path,
                   seed: int) -> dict[str, Any]:
    """Train the classifier of an edit, write it to a new file, and return its report."""
    require_new(path)
    kept = kept_modes(run, dataset, remove)
    data, held_out = (windows_by_mode(run.policy.normaliser, dataset, split, (*kept, *remove))
                      for split in ('train', 'validation'))
    classifier, seen = train_classifier(run.policy, data, held_out, len(kept), seed,
                                        balanced=True)
    windows = data[kept[0]]
    conditions, clean = windows.conditions.shape[1], windows.clean.shape[1]
    save_tensors(path, classifier.state_dict(), {
        'kept': len(kept), 'sizes': [conditions, clean, len(data)], 'weights_sha256': run.sha256})
    return seen


def load_judges(run: Path, verifier: Path, policy: OnnxPolicy) -> tuple[Policy, Verifier]:
    """Read the run of an exported policy and the verifier that was trained on it.

    Raise `CheckpointError` where the three do not belong together.
    """
    torch.set_num_threads(1)  # the number of onnxruntime
    found = load_run(run)
    tensors, record = load_tensors(verifier)
    exported = policy.metadata['training'].get('weights_sha256')
    for file, sha256 in (('the exported policy', exported),
                         (str(verifier), record.get('weights_sha256'))):
        if sha256 != found.sha256:
            raise CheckpointError(f'{file}: expected weights with sha256 {found.sha256}, as {run} '
                                  f'has them, got {sha256}; name the run it was made from')
    classifier = Verifier(*record['sizes'], record['kept'])
    classifier.load_state_dict(tensors)
    return found.policy, classifier.eval().requires_grad_(False)
