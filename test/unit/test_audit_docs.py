# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/audit.md says what the code does: its tables are those of the code."""

from pathlib import Path

import pytest

from uncloning_ros.audit.figures.sample_size import plans_table
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.record.fields import AUDIT, COMPARED, EVIDENCE, FIGURES
from uncloning_ros.audit.record.spec import Fields, markdown
from uncloning_ros.cli import audit

PAGE = (Path(__file__).resolve().parents[2] / 'docs' / 'audit.md').read_text(encoding='utf-8')
_ELSEWHERE = {*FIGURES, 'per_seed', 'against', 'also_against'}


@pytest.mark.parametrize('fields', [
    EVIDENCE, {key: spec for key, spec in AUDIT.items() if key not in _ELSEWHERE},
    {key: spec for key, spec in COMPARED.items() if key not in {*_ELSEWHERE, 'wrong_starts'}}])
def test_every_field_is_in_the_docs_as_the_code_has_it(fields: Fields) -> None:
    assert markdown(fields) in PAGE


def test_plans_are_in_the_docs_as_the_code_has_them() -> None:
    claims, allowed, shares = (0.05, 0.02, 0.01, 0.005, 0.001), (0, 1, 2, 5), (0.1, 0.3, 0.5)
    assert plans_table(claims, allowed, shares) in PAGE


def test_what_the_docs_say_of_the_default_is_so() -> None:
    n = audit._EPISODES
    assert f'The default of {n} episodes shows a rate below 1 % with up to 5 unsafe ones' in PAGE
    assert upper_bound(5, n) < 0.01 <= upper_bound(6, n)
    # Each half of the default carries 1 % corrected for six strata, each half of 299 does not.
    assert upper_bound(0, n // 2, 0.05 / 6) < 0.01 < upper_bound(0, 150, 0.05 / 6)
