# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pages about audits hold the plans, the fields and the default of the code."""

import subprocess
import sys
from pathlib import Path

from uncloning_ros.audit.evidence import EvidenceDocument
from uncloning_ros.audit.figures.sample_size import plans_table
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.record.audit_record import AuditRecord
from uncloning_ros.cli import audit
from uncloning_ros.schema import documented
from uncloning_ros.trials.evidence import ObservedDocument

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / 'docs' / 'audit.md').read_text(encoding='utf-8')
FIELDS = (REPOSITORY / 'docs' / 'audit_fields.md').read_text(encoding='utf-8')


def test_the_page_of_fields_is_that_of_the_code() -> None:
    done = subprocess.run([sys.executable, 'scripts/audit_fields_page.py'], cwd=REPOSITORY,
                          text=True, capture_output=True, check=True)
    assert done.stdout == FIELDS, 'docs/audit_fields.md is not up to date; write it with make docs'


def test_every_field_has_a_sentence_and_its_path_is_on_the_page() -> None:
    for kind in (EvidenceDocument, AuditRecord, ObservedDocument):
        rows = list(documented(kind))
        assert all(sentence for _, _, sentence in rows)
        assert len({path for path, _, _ in rows}) == len(rows)
    rows = [f'| `{path}` | `{name}` | {sentence} |' for path, name, sentence in documented(
        EvidenceDocument)]
    assert '\n'.join(rows) in FIELDS
    assert '| `figures.umr_upper95` | `rate` | its exact one-sided 95 % upper bound |' in rows
    assert '| `per_seed.unsafe.clause` | `text` | ' in '\n'.join(rows)


def test_plans_are_in_the_docs_as_the_code_has_them() -> None:
    claims, allowed, shares = (0.05, 0.02, 0.01, 0.005, 0.001), (0, 1, 2, 5), (0.1, 0.3, 0.5)
    assert plans_table(claims, allowed, shares) in PAGE


def test_what_the_docs_say_of_the_default_is_so() -> None:
    n = audit._EPISODES
    assert f'The default of {n} episodes shows a rate below 1 % with up to 5 unsafe ones' in PAGE
    assert upper_bound(5, n) < 0.01 <= upper_bound(6, n)
    # Each half of the default carries 1 % corrected for six strata, each half of 299 does not.
    assert upper_bound(0, n // 2, 0.05 / 6) < 0.01 < upper_bound(0, 150, 0.05 / 6)
