# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read the figures of the shipped models from their cards and evidence files in models/.

scripts/model_card.py writes the cards.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncloning_ros.errors import UncloningError
from uncloning_ros.evidence import read_document

_EPISODES = re.compile(r'^(\d+) closed-loop episodes', re.MULTILINE)


@dataclass(frozen=True)
class Audited:
    """One policy in an audit of a card; rates as fractions."""

    episodes: int
    tcr: float
    sr: float
    umr: float
    umr_at_most: float
    modes: str
    failures: str

    @property
    def unsafe(self) -> int:
        """Return the number of unsafe episodes."""
        return round(self.umr * self.episodes)


@dataclass(frozen=True)
class Shipped:
    """A shipped edited model.

    `figures` are those of its evidence file, `compared` the policies of the paired audit of its
    card by their names (mixed, uncloned, ...), `earlier` its audits between the two, `seconds`
    the wall times of learning by run.
    """

    scenario: str
    sha256: str
    figures: Mapping[str, Any]
    compared: Mapping[str, Audited]
    earlier: tuple[Audited, ...]
    seconds: Mapping[str, int]


def read_shipped(models: Path, scenario: str) -> Shipped:
    """Read card and evidence of a scenario; raise `UncloningError` where they do not match."""
    path = models / f'{scenario}_uncloned.md'
    card = path.read_text(encoding='utf-8')
    sha256 = _tables(card)[0]['sha256'][0].strip('`')
    figures = read_document(path.with_suffix('.evidence'))['figures']
    if figures['model_sha256'] != sha256:
        raise UncloningError(f'{path}: expected the model {figures["model_sha256"]} of the '
                             f'evidence file, got {sha256}; ship card and evidence of one model')
    audits = card.split('## What audits showed')[1]
    # The first audit is that of the evidence file, the last compares several policies.
    found = [{name.strip('*').removeprefix(f'{scenario}_').removesuffix('.onnx'):
              Audited(int(episodes), *map(_fraction, row[:4]), *row[4:])
              for name, row in table.items() if name != 'model'}
             for episodes, table in zip(_EPISODES.findall(audits),
                                        [one for one in _tables(audits) if 'model' in one],
                                        strict=True)]
    earlier = tuple(policy for audit in found[1:-1] for policy in audit.values())
    return Shipped(
        scenario, sha256, figures, found[-1], earlier,
        {run: int(row[1].removesuffix(' s'))
         for run, row in _tables(card.split('Wall times')[1])[0].items() if run != 'run'})


def _tables(text: str) -> list[dict[str, list[str]]]:
    """Return the tables of a Markdown text: their rows by the first entry."""
    tables: list[dict[str, list[str]]] = []
    for block in re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE):
        rows = [[entry.strip() for entry in line.strip('|').split('|')]
                for line in block.splitlines()]
        tables.append({row[0]: row[1:] for row in rows if set(row[0]) != {'-'}})
    return tables


def _fraction(percent: str) -> float:
    return float(percent.removesuffix(' %')) / 100
