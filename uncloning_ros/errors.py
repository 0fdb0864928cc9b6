# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The errors that a user can cause and mend; the command line prints them and exits with 2."""

import difflib
from collections.abc import Iterable, Sequence


class UncloningError(Exception):
    """Report bad input in one sentence: expectation, finding, remedy."""


class ContractError(UncloningError):
    """Report a contract, or data that does not keep to it."""


class OtherJointsError(ContractError):
    """Report a message that names none of a signal's joints: it is about others."""


class ScenarioError(UncloningError):
    """Report a scenario file that cannot be used."""


class BagError(UncloningError):
    """Report an episode that cannot be written, read or trusted."""


class ForeignBagError(BagError):
    """Report a recording of another format, which a tool may convert."""


class DatasetError(UncloningError):
    """Report a dataset that cannot be built or used."""


class CheckpointError(UncloningError):
    """Report a training run that cannot be read, resumed or edited."""


class ModelError(UncloningError):
    """Report an exported policy that cannot be trusted or does not fit."""


class AuditError(UncloningError):
    """Report an audit that cannot be run, or an episode that cannot be judged."""


class EvidenceError(UncloningError):
    """Report evidence of an audit that cannot be read, or is about another model."""


class TrialError(UncloningError):
    """Report a plan of trials, or results of trials, that cannot be used."""


class IncidentError(UncloningError):
    """Report an incident of the policy node that cannot be read or repeated."""


class OutputExistsError(UncloningError):
    """Report an output that exists already; nothing is ever overwritten."""


def near_miss(name: str, known: Iterable[str]) -> str:
    """Return ' (did you mean ...?)' for the known name nearest to `name`, or the known names."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f' (did you mean {close[0]!r}?)'
    return f' (known: {names_shown(names)})' if names else ''


def shown(value: object) -> str:
    """Return a value as Python writes it, cut to 70 characters, which a sha256 needs."""
    text = repr(value)
    return text if len(text) <= 70 else text[:67] + '...'


def names_shown(names: Sequence[str]) -> str:
    """Return names in one line, the first 16; those that are long or not printable as `shown`."""
    most = 16
    parts = [name if name.isprintable() and 0 < len(name) <= 70 else shown(name)
             for name in names[:most]]
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return (', '.join(parts) or 'none') + more


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: '1 episode', '2 episodes'."""
    return f'{count} {noun if count == 1 else noun + "s"}'
