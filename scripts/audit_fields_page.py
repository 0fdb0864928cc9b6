#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Print docs/audit_fields.md: the fields of the files of audits and trials, for `make docs`."""

import dataclasses

from uncloning_ros.audit.evidence import EvidenceDocument
from uncloning_ros.audit.figures.model_figures import Figures
from uncloning_ros.audit.record.audit_record import AuditRecord, ComparedModel, ModelRecord
from uncloning_ros.schema import documented
from uncloning_ros.trials.evidence import ObservedDocument

PAGE = """\
# Fields of an audit's files

Made from the dataclasses that read and write the files by `make docs`; do not edit. `[]` after a
kind is a list of it, `[3]` a list of three, `?` may be null, `.*` stands for every name in a map.

## An evidence file

{evidence}

## The JSON of an audit

An audit's JSON has the fields of `figures` and `per_seed` above, those of the first model, at its
top, and these:

{audit}

`against`, and for further models each of the list `also_against`, hold a model's `figures` and
`per_seed` as above, `wrong_starts`, and:

{compared}

## A file of observed evidence

[Trials on a robot](trials.md) leave it. Its `plan` has the fields of `plan.json`.

{observed}
"""


def table(kind: type, without: set[str]) -> str:
    """Return the fields of a dataclass, with those inside them, as a table in Markdown."""
    rows = [f'| `{path}` | `{name}` | {sentence} |' for path, name, sentence in documented(kind)
            if path.partition('.')[0] not in without]
    return '\n'.join(['| field | kind | |', '| --- | --- | --- |', *rows])


def names(kind: type) -> set[str]:
    """Return the names of a dataclass's fields."""
    return {field.name for field in dataclasses.fields(kind)}


def page() -> str:
    """Return the page as Markdown."""
    shared = {*names(Figures), 'per_seed'}
    # The compared models repeat the fields of the first one.
    audit = [line for line in table(AuditRecord, shared).splitlines()
             if not line.startswith(('| `against.', '| `also_against.'))]
    return PAGE.format(evidence=table(EvidenceDocument, set()), audit='\n'.join(audit),
                       compared=table(ComparedModel, names(ModelRecord)),
                       observed=table(ObservedDocument, set()))


if __name__ == '__main__':
    print(page(), end='')
