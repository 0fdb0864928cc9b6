# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the folder of an assessor: copies, figures, changes, hazards, bill, and how to check it.

Everything is checked before it is copied: evidence has to be about the model and follow from its
own episodes or trials, the original has to be the one that the edit names.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from uncloning_ros.audit import evidence as simulated
from uncloning_ros.audit.audited import identity_of
from uncloning_ros.dossier.bill import bill_of_materials
from uncloning_ros.dossier.hazards import Hazards, read_hazards
from uncloning_ros.errors import EvidenceError, ModelError, UncloningError
from uncloning_ros.evidence import Evidence, ObservedEvidence, read_evidence
from uncloning_ros.files import file_sha256, whole_folder, write_json, write_whole
from uncloning_ros.learning.diff import Comparison, compare
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy
from uncloning_ros.trials import evidence as trials

_OWN = ('hazards.yaml', 'sbom.json', 'index.html', 'check.sh', 'SHA256SUMS')

STATEMENT = ('Facts about one exported policy, gathered for the person who assesses the risk. '
             'This is neither a certificate nor a legal opinion, and decides nothing about '
             'conformity with a law or a standard.')


@dataclass(frozen=True)
class Facts:
    """The contents of a dossier; `change` is the edit's, None for a policy without one."""

    model: Path
    policy: OnnxPolicy
    evidence: tuple[tuple[Path, Evidence | ObservedEvidence], ...]
    partner: Path | None
    original: Path | None
    change: Comparison | None
    hazards: Hazards
    bill: Mapping[str, Any]


def facts(model: Path, evidence: Sequence[Path], partner: Path | None, original: Path | None,
          hazards: Path) -> Facts:
    """Return the checked contents of a dossier; `partner` is the policy of the arm that receives.

    Raise `UncloningError` for evidence that is about another model or contradicts itself, for a
    missing or wrong original, for two files of one name, and for hazards that cannot be used.
    """
    policy = load_policy(model)
    files = [one for one in (model, *evidence, partner, original) if one is not None]
    names = [*_OWN, *(one.name for one in files)]
    if len(set(names)) < len(names):
        raise UncloningError(f'expected files with different names, also from those of the '
                             f'folder, got {", ".join(names)}; rename one')
    stated = read_hazards(hazards, [path.name for path in evidence])
    change = _change(model, policy, original)
    found = tuple((path, _checked(path, policy, model, partner)) for path in evidence)
    return Facts(model, policy, found, partner, original, change, stated,
                 bill_of_materials(model.name, policy.sha256))


def write_dossier(found: Facts, hazards: Path, page: str, out: Path) -> None:
    """Write the new folder `out`; it is whole or absent."""
    with whole_folder(out) as folder:
        copied = {path.name: path for path in (
            found.model, *(path for path, _ in found.evidence),
            *(one for one in (found.partner, found.original) if one is not None))}
        copied['hazards.yaml'] = hazards
        for name, path in copied.items():
            shutil.copyfile(path, folder / name)
        write_json(folder / 'sbom.json', found.bill)
        write_whole(folder / 'index.html', page.encode())
        write_whole(folder / 'check.sh', _script(found).encode())
        (folder / 'check.sh').chmod(0o755)
        sums = ''.join(f'{file_sha256(path)}  {path.name}\n' for path in sorted(folder.iterdir()))
        write_whole(folder / 'SHA256SUMS', sums.encode())


def commands(found: Facts) -> list[str]:
    """Return the commands that compute everything in the folder again, without torch."""
    # Behind ./ a name that begins with a dash is not taken for an option.
    model, original, partner = (None if one is None else quote(f'./{one.name}')
                                for one in (found.model, found.original, found.partner))
    partner = '' if partner is None else f' --partner {partner}'
    return [
        'sha256sum --check SHA256SUMS',
        *(f'uncloning evidence check {quote(f"./{path.name}")} --model {model}{partner}'
          for path, _ in found.evidence),
        *([] if found.original is None else
          [f'uncloning diff {original} {model}'])]


def _script(found: Facts) -> str:
    return '\n'.join(['#!/bin/sh', '# Compute the figures of this folder again; it needs the '
                      'package with its extra sim, and onnx.', 'set -e', 'cd "$(dirname "$0")"',
                      *commands(found), ''])


def _checked(path: Path, policy: OnnxPolicy, model: Path,
             partner: Path | None) -> Evidence | ObservedEvidence:
    found = read_evidence(path)
    if found.KIND == 'observed':
        observed = trials.read_observed_document(path)
        wrong = trials.foreign(observed, policy, model) or trials.contradictions(observed, path)
    else:
        document = simulated.read_evidence_document(path)
        wrong = (simulated.foreign(document, policy, model,
                                   None if partner is None else load_policy(partner))
                 or simulated.contradictions(document, path))
    if wrong:
        raise EvidenceError(f'{path}: expected evidence about {model} that holds, got: '
                            f'{wrong[0]}; audit the model, or leave the file out')
    return found


def _change(model: Path, policy: OnnxPolicy, original: Path | None) -> Comparison | None:
    parent = identity_of(policy, model.name).original_sha256
    if original is None:
        if parent is not None:
            raise ModelError(f'{model}: expected the policy before the edit of the weights '
                             f'{parent}, got none; give its file to --original')
        return None
    if parent is None:
        raise ModelError(f'{model}: expected an edited policy beside --original, got one without '
                         f'an edit; leave --original out')
    before = load_policy(original)
    weights = identity_of(before, original.name).weights_sha256
    if weights not in (None, parent):
        raise ModelError(f'{original}: expected the policy that the edit of {model} began with, '
                         f'weights {parent}, got {weights}; give that one')
    found = compare(original, model)
    if found.difference is not None:
        raise ModelError(f'expected an edit of weights alone, got {original} and {model} that '
                         f'differ in: {found.difference}; export both with one version')
    return found

