# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read the evidence that an audit left: which file it is about, what it found, what it does not.

Needs neither numpy nor a simulator, so that the policy node can read it. That the figures follow
from the episodes is checked by `uncloning evidence check`; here the file is taken at its word,
once its digest is right: the sha256 of its canonical JSON (keys sorted, no blanks) without the
field `digest`. That detects corruption, not forgery.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncloning_ros.errors import EvidenceError
from uncloning_ros.schema import Fields, canonical_sha256

SCHEMA = 'uncloning/evidence@1'
# A thousand episodes take about 2 MB; nothing that an audit writes is this large.
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Evidence:
    """What one audit found about one exported policy with one deployment part.

    `umr_upper95` is the upper bound of the rate of unsafe episodes, `max_umr` and `min_sr` are
    the limits that were stated, None if not; `exceeded` has a sentence for each that does not
    hold. `statement` says what all of it is.
    """

    path: Path
    digest: str
    model_sha256: str
    interface_sha256: str
    deployment_sha256: str
    scenario: str
    scenario_sha256: str
    software_version: str
    episodes: int
    unsafe_episodes: int
    umr_upper95: float
    sr: float
    max_umr: float | None
    min_sr: float | None
    exceeded: tuple[str, ...]
    statement: str

    @property
    def within_limits(self) -> bool | None:
        """Tell whether every stated limit holds, None if none was stated."""
        if self.max_umr is None and self.min_sr is None:
            return None
        return not self.exceeded

    @property
    def sentence(self) -> str:
        """Say in one sentence what was found."""
        verdict = {None: 'no limits were stated', True: 'the stated limits hold',
                   False: f'a stated limit is exceeded: {"; ".join(self.exceeded)}'}
        return (f'{self.unsafe_episodes} of {self.episodes} simulated episodes of scenario '
                f'{self.scenario} were unsafe, the rate is below {100 * self.umr_upper95:.2g} % '
                f'with 95 % confidence; {verdict[self.within_limits]}')


def read_evidence(path: Path) -> Evidence:
    """Read an evidence file; raise `EvidenceError` if it is none, damaged, or contradictory."""
    return evidence_of(read_document(path), path)


def read_document(path: Path) -> dict[str, Any]:
    """Return all that an evidence file holds, once its schema and digest are right."""
    try:
        with path.open('rb') as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as err:
        raise EvidenceError(f'cannot read {path}: {err.strerror or err}') from err
    if len(data) > _MOST_BYTES:
        raise EvidenceError(f'{path} is larger than {_MOST_BYTES} bytes, which no evidence is; '
                            f'check the path')
    try:
        document = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as err:
        raise EvidenceError(f'{path} is no evidence of an audit: it is not JSON ({err}); make it '
                            f'with uncloning audit --evidence') from err
    if not isinstance(document, dict) or document.get('schema') != SCHEMA:
        found = document.get('schema') if isinstance(document, dict) else type(document).__name__
        raise EvidenceError(f'{path}: expected schema {SCHEMA!r}, got {found!r}; make it with '
                            f'uncloning audit --evidence')
    said, actual = document.get('digest'), digest_of(document)
    if said != actual:
        raise EvidenceError(f'{path} is damaged: its digest says {said}, its contents have '
                            f'{actual}; copy it again, or audit again')
    return document


def digest_of(document: Mapping[str, Any]) -> str:
    """Return the sha256 of a document's canonical JSON without its field `digest`."""
    return canonical_sha256({key: value for key, value in document.items() if key != 'digest'})


def evidence_of(document: Mapping[str, Any], path: Path) -> Evidence:
    """Return what a document says; raise `EvidenceError` where its verdict contradicts itself."""
    fields = Fields(document, str(path), EvidenceError)
    scenario, figures = fields.fields('scenario'), fields.fields('figures')
    limits, machine = fields.fields('limits'), fields.fields('machine')
    evidence = Evidence(
        path=path, digest=fields.text('digest'),
        model_sha256=figures.text('model_sha256'),
        interface_sha256=figures.text('interface_sha256'),
        deployment_sha256=figures.text('deployment_sha256'),
        scenario=scenario.text('name'), scenario_sha256=scenario.text('sha256'),
        software_version=machine.text('software_version'),
        episodes=figures.count('episodes'), unsafe_episodes=figures.count('unsafe_episodes', 0),
        umr_upper95=figures.number('umr_upper95', 0.0, 1.0), sr=figures.number('sr', 0.0, 1.0),
        max_umr=_optional(limits, 'max_umr'), min_sr=_optional(limits, 'min_sr'),
        exceeded=tuple(_texts(limits, 'exceeded')), statement=fields.text('statement'))
    broken = ((evidence.max_umr is not None and evidence.umr_upper95 > evidence.max_umr)
              + (evidence.min_sr is not None and evidence.sr < evidence.min_sr))
    if broken != len(evidence.exceeded):
        raise EvidenceError(f'{path} contradicts itself: its figures exceed {broken} of its '
                            f'limits, it names {len(evidence.exceeded)}; audit again')
    if evidence.unsafe_episodes > evidence.episodes:
        raise EvidenceError(f'{path} contradicts itself: {evidence.unsafe_episodes} of '
                            f'{evidence.episodes} episodes are unsafe; audit again')
    return evidence


def require_covers(evidence: Evidence, model_sha256: str, deployment_sha256: str) -> None:
    """Raise `EvidenceError` unless it is about this file with this deployment part, and holds.

    To hold, limits must have been stated, and none be exceeded.
    """
    if evidence.model_sha256 != model_sha256:
        raise EvidenceError(f'{evidence.path} is about the model {evidence.model_sha256}, not '
                            f'about {model_sha256}; audit this one')
    if evidence.deployment_sha256 != deployment_sha256:
        raise EvidenceError(f'{evidence.path} was gathered with the deployment part '
                            f'{evidence.deployment_sha256}, not with {deployment_sha256}; audit '
                            f'the model with the deployment part that runs')
    if not evidence.within_limits:
        raise EvidenceError(f'{evidence.path} does not speak for the model: '
                            f'{evidence.sentence}; audit it with --max-umr and --min-sr')


def _optional(fields: Fields, key: str) -> float | None:
    if fields.plain().get(key, '') is None:
        return None
    return fields.number(key, 0.0, 1.0)


def _texts(fields: Fields, key: str) -> list[str]:
    value = fields.plain().get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise fields.fail(key, 'a list of sentences')
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f'{name} is no number')
