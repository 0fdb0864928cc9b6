# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read evidence: the model it covers, the figures, the stated limits.

There are two kinds: simulated, the evidence of an audit, and observed, that of trials on a robot
whose outcomes people observed. Reading needs neither numpy nor a simulator, so the policy node can
do it. Here the figures are believed once the digest is right: the sha256 of the file's canonical
JSON (keys sorted, no blanks) without the field `digest`. A digest detects corruption, not forgery;
`uncloning evidence check` computes the figures again from the episodes or trials.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from uncloning_ros.errors import EvidenceError, shown
from uncloning_ros.files import read_json
from uncloning_ros.schema import Count, Doc, Note, Positive, Rate, Texts, canonical_sha256, read

SCHEMA = 'uncloning/evidence@1'
OBSERVED_SCHEMA = 'uncloning/observed_evidence@1'
KINDS = ('simulated', 'observed')
Kind = Literal['simulated', 'observed']

# Largest file of evidence, or of a shard of it (bytes): a thousand episodes take about 2 MB.
MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class _Figures:
    """The figures of an evidence file that decide whether it covers a model."""

    OTHER_KEYS: ClassVar = True

    model_sha256: str
    interface_sha256: str
    deployment_sha256: str
    umr_upper95: Rate


@dataclass(frozen=True)
class _SimulatedFigures(_Figures):
    episodes: Positive
    unsafe_episodes: Count
    sr: Rate


@dataclass(frozen=True)
class _ObservedFigures(_Figures):
    trials: Positive
    unsafe_trials: Count
    sr_lower95: Rate


@dataclass(frozen=True)
class Limits:
    """The limits that were stated before the audit, and those that its figures exceed."""

    max_umr: Annotated[Rate | None, Doc('the bound of UMR must not be above; null: not stated')]
    min_sr: Annotated[Rate | None, Doc('SR must not be below; null: not stated')]
    exceeded: Annotated[Texts, Doc('a sentence for each limit that is exceeded')]

    @property
    def within_limits(self) -> bool | None:
        """Tell whether every stated limit holds, None if none was stated."""
        if self.max_umr is None and self.min_sr is None:
            return None
        return not self.exceeded

    @property
    def verdict(self) -> str:
        """Return the verdict in words."""
        return {None: 'no limits were stated', True: 'the stated limits hold',
                False: f'a stated limit is exceeded: {"; ".join(self.exceeded)}'}[
                    self.within_limits]

    def require_follow(self, umr_upper95: float, sr: float, remedy: str) -> None:
        """Raise `EvidenceError` unless there is a sentence for each limit that is exceeded."""
        broken = ((self.max_umr is not None and umr_upper95 > self.max_umr)
                  + (self.min_sr is not None and sr < self.min_sr))
        if broken != len(self.exceeded):
            raise EvidenceError(f'it contradicts itself: expected a sentence for each of {broken} '
                                f'exceeded limits, got {len(self.exceeded)}; {remedy}')


@dataclass(frozen=True)
class _Scenario:
    OTHER_KEYS: ClassVar = True

    name: str
    sha256: str


@dataclass(frozen=True)
class _Machine:
    OTHER_KEYS: ClassVar = True

    software_version: str


@dataclass(frozen=True)
class Evidence:
    """Simulated evidence: one audit of one exported policy with one deployment part.

    `figures.umr_upper95` is the upper bound of the rate of unsafe episodes, `figures.sr` the
    success rate. `limits.exceeded` has a sentence for each stated limit that does not hold.
    `statement` says what evidence is.
    """

    OTHER_KEYS: ClassVar = True
    KIND: ClassVar[Kind] = 'simulated'

    path: Annotated[Path, Note.DERIVED]
    digest: str
    statement: str
    scenario: _Scenario
    figures: _SimulatedFigures
    limits: Limits
    machine: _Machine

    def as_read(self) -> 'Evidence':
        """Return the evidence; raise `EvidenceError` where it contradicts itself."""
        figures = self.figures
        self.limits.require_follow(figures.umr_upper95, figures.sr, 'audit again')
        if figures.unsafe_episodes > figures.episodes:
            raise EvidenceError(f'it contradicts itself: expected at most {figures.episodes} '
                                f'unsafe episodes, got {figures.unsafe_episodes}; audit again')
        return self

    @property
    def sentence(self) -> str:
        """Return the result in one sentence."""
        figures = self.figures
        return (f'{figures.unsafe_episodes} of {figures.episodes} simulated episodes of scenario '
                f'{self.scenario.name} were unsafe, the rate is below '
                f'{100 * figures.umr_upper95:.2g} % with 95 % confidence; {self.limits.verdict}')


@dataclass(frozen=True)
class ObservedEvidence:
    """Observed evidence: trials of one exported policy with one deployment part on a robot.

    `figures.umr_upper95` is the upper bound of the rate of unsafe trials, `figures.sr_lower95` the
    lower bound of the success rate. `limits` and `statement` are as in `Evidence`.
    """

    OTHER_KEYS: ClassVar = True
    KIND: ClassVar[Kind] = 'observed'

    path: Annotated[Path, Note.DERIVED]
    digest: str
    statement: str
    figures: _ObservedFigures
    limits: Limits

    def as_read(self) -> 'ObservedEvidence':
        """Return the evidence; raise `EvidenceError` where it contradicts itself."""
        figures = self.figures
        self.limits.require_follow(figures.umr_upper95, figures.sr_lower95, 'make it again')
        if figures.unsafe_trials > figures.trials:
            raise EvidenceError(f'it contradicts itself: expected at most {figures.trials} unsafe '
                                f'trials, got {figures.unsafe_trials}; make it again')
        return self

    @property
    def sentence(self) -> str:
        """Return the result in one sentence."""
        figures = self.figures
        return (f'{figures.unsafe_trials} of {figures.trials} trials on a robot, observed by '
                f'people, were unsafe, the rate is below {100 * figures.umr_upper95:.2g} % with '
                f'95 % confidence; {self.limits.verdict}')


def read_evidence(path: Path) -> Evidence | ObservedEvidence:
    """Read an evidence file; raise `EvidenceError` if it is damaged or contradicts itself."""
    return evidence_of(read_document(path), path)


def read_document(path: Path) -> dict[str, Any]:
    """Return an evidence file as plain data; raise `EvidenceError` for a wrong digest."""
    remedy = 'make it with uncloning audit or uncloning evidence trials, and --evidence'
    document = read_json(path, EvidenceError, remedy, MOST_BYTES)
    found = document.get('schema') if isinstance(document, dict) else type(document).__name__
    if found not in (SCHEMA, OBSERVED_SCHEMA):
        raise EvidenceError(f'{path}: expected schema {SCHEMA!r} or {OBSERVED_SCHEMA!r}, got '
                            f'{shown(found)}; {remedy}')
    require_digest(document, path)
    return document


def require_digest(document: Mapping[str, Any], path: Path) -> None:
    """Raise `EvidenceError` for a document that has not the digest of its contents."""
    try:
        said, actual = document.get('digest'), digest_of(document)
    except (ValueError, RecursionError) as err:  # half a character, an infinite number
        raise EvidenceError(f'{path} is damaged: it has no digest: {err}; copy it again, or '
                            f'audit again') from err
    if said != actual:
        raise EvidenceError(f'{path} is damaged: expected the digest {shown(said)}, got {actual}; '
                            f'copy it again, or audit again')


def digest_of(document: Mapping[str, Any]) -> str:
    """Return the sha256 of a document's canonical JSON without its field `digest`."""
    return canonical_sha256({key: value for key, value in document.items() if key != 'digest'})


def evidence_of(document: Mapping[str, Any], path: Path) -> Evidence | ObservedEvidence:
    """Return the evidence in a document; raise `EvidenceError` where it contradicts itself."""
    if document['schema'] == OBSERVED_SCHEMA:
        return read(ObservedEvidence, document, str(path), EvidenceError, path=path)
    return read(Evidence, document, str(path), EvidenceError, path=path)


def require_covers(evidence: Evidence | ObservedEvidence, model_sha256: str,
                   deployment_sha256: str, kind: Kind = 'simulated') -> None:
    """Raise `EvidenceError` unless it is about this file with this deployment part, and holds.

    It has to be of the stated `kind`. To hold, limits must have been stated, and none be exceeded.
    """
    figures, path = evidence.figures, evidence.path
    again = {'simulated': 'audit', 'observed': 'run trials of'}[evidence.KIND]
    if kind != evidence.KIND:
        raise EvidenceError(f'{path}: expected {kind} evidence, got {evidence.KIND}: '
                            f'{evidence.sentence}; state the kind {evidence.KIND!r} to accept it')
    if figures.model_sha256 != model_sha256:
        raise EvidenceError(f'{path}: expected evidence about the model {model_sha256}, got '
                            f'{figures.model_sha256}; {again} this model')
    if figures.deployment_sha256 != deployment_sha256:
        raise EvidenceError(f'{path}: expected evidence with the deployment part '
                            f'{deployment_sha256}, got {figures.deployment_sha256}; put the part '
                            f'that runs into the file with uncloning export MODEL --contract '
                            f'FILE, then {again} that file, and run it')
    if not evidence.limits.within_limits:
        raise EvidenceError(f'{path}: expected stated limits that hold, got: '
                            f'{evidence.sentence}; {again} the model with --max-umr and --min-sr')
