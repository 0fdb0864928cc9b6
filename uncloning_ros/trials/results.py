# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The outcomes of trials, as people observed them and wrote them into a CSV file.

Columns: trial, completed, unsafe, mode, notes, video, and plan, the code of the plan, in the first
line at least. A trial that was not seen well enough has `not observed` in both completed and
unsafe: it counts as unsafe and as not completed, so that leaving out trials cannot help.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from uncloning_ros.errors import TrialError, counted, names_shown, near_miss, shown
from uncloning_ros.files import disk_errors, turn_in, write_whole
from uncloning_ros.schema import Doc, Note, Positive, canonical_sha256, plain
from uncloning_ros.trials.plan import TrialPlan
from uncloning_ros.trials.tables import Table, read_table, table_text

COLUMNS = ('trial', 'completed', 'unsafe', 'mode', 'notes', 'video', 'plan')
_NEEDED = ('trial', 'completed', 'unsafe', 'plan')
NOT_OBSERVED = 'not observed'
NO_MODE = 'none'  # completed, in none of the modes of the contract
# Answer -> its spellings, in small letters.
_ANSWERS = {'yes': ('yes', 'y', 'true', '1'), 'no': ('no', 'n', 'false', '0'),
            NOT_OBSERVED: (NOT_OBSERVED, 'not_observed')}


class AnsweredMeanwhileError(TrialError):
    """Report a trial that was answered since the page with its form was made."""


@dataclass(frozen=True)
class Observed:
    """The outcome of one trial; `completed` and `unsafe` are None if it was not observed."""

    trial: Annotated[Positive, Doc('its number in the plan')]
    completed: Annotated[bool | None, Doc('null: not observed')]
    unsafe: Annotated[bool | None, Doc('null: not observed')]
    mode: Annotated[str | None, Doc('mode that was seen, none for no mode of the contract; null: '
                                    'not said')]
    notes: Annotated[str, Doc('in words'), Note.MAY_BE_EMPTY] = ''
    video: Annotated[str, Doc('name of a recording'), Note.MAY_BE_EMPTY] = ''

    @property
    def counts_unsafe(self) -> bool:
        """Tell whether it counts as unsafe."""
        return self.unsafe is not False

    @property
    def mark(self) -> str:
        """Return a mark that another outcome of this trial has not."""
        return canonical_sha256(plain(self))[:16]

    @property
    def cells(self) -> dict[str, str]:
        """Return the cells of its line, but for the plan."""
        said = {True: 'yes', False: 'no', None: NOT_OBSERVED}
        return {'trial': str(self.trial), 'completed': said[self.completed],
                'unsafe': said[self.unsafe], 'mode': self.mode or '', 'notes': self.notes,
                'video': self.video}

    @property
    def sentence(self) -> str:
        """Return the outcome in a few words."""
        if self.completed is None:
            return NOT_OBSERVED
        return ', '.join(filter(None, ('completed' if self.completed else 'not completed',
                                       'unsafe' if self.unsafe else 'safe', self.mode)))


def succeeded(one: Observed, plan: TrialPlan) -> bool:
    """Tell whether a trial was completed, in a desired mode, and safe."""
    return bool(one.completed) and one.unsafe is False and plan.modes.get(one.mode or '', False)


def observed(cells: Mapping[str, str], plan: TrialPlan, where: str) -> Observed:
    """Return the outcome in the cells of one line; raise `TrialError` naming the cell."""
    trial = _trial(cells['trial'], plan, where)
    where = f'{where}: trial {trial}'
    completed, unsafe = (_answer(cells[name], name, where) for name in ('completed', 'unsafe'))
    if (completed is None) != (unsafe is None):
        known = 'completed' if unsafe is None else 'unsafe'
        raise TrialError(f'{where}: expected both completed and unsafe as yes or no, or both as '
                         f'{NOT_OBSERVED}, got {known} {shown(cells[known])} alone; an event that '
                         f'was seen was observed: answer both')
    return Observed(trial, completed, unsafe, _mode(cells.get('mode', ''), completed, plan, where),
                    *(cells.get(name, '').strip() for name in ('notes', 'video')))


def read_results(path: Path, plan: TrialPlan) -> tuple[Observed, ...]:
    """Read the outcomes in a CSV file, in the order of the trials.

    Raise `TrialError` for a line that is not right, a trial twice or not in the plan, and for
    outcomes that were written under another plan.
    """
    return _results(read_table(path), plan, path)


def read_begun_results(path: Path, plan: TrialPlan) -> tuple[Observed, ...]:
    """Read the outcomes as `read_results` does; without a file or below a header, none yet."""
    return _results(read_table(path, least_rows=0), plan, path) if path.exists() else ()


def _results(table: Table, plan: TrialPlan, path: Path) -> tuple[Observed, ...]:
    columns, rows = table
    for name in columns:
        if name not in COLUMNS:
            raise TrialError(f'{path}: unknown column {shown(name)}{near_miss(name, COLUMNS)}; '
                             f'write remarks into notes')
    for name in _NEEDED:
        if name not in columns:
            raise TrialError(f'{path}: expected the columns {", ".join(COLUMNS)}, got '
                             f'{names_shown(columns)}; add {name}')
    if rows:
        _require_plan([(row.where, code) for row in rows if (code := row.cells['plan'])], plan,
                      path)
    found: dict[int, tuple[Observed, str]] = {}
    for where, cells in rows:
        one = observed(cells, plan, where)
        if one.trial in found:
            raise TrialError(f'{where}: expected each trial once, got trial {one.trial} again '
                             f'after {found[one.trial][1]}; keep the line that was observed')
        found[one.trial] = one, where.rpartition(': ')[2]
    return tuple(found[number][0] for number in sorted(found))


def require_ended(results: Sequence[Observed], plan: TrialPlan, where: object) -> None:
    """Raise `TrialError` unless the trials ended as the stopping rule says, without a gap."""
    there = {one.trial for one in results}
    last = len(plan.trials) if plan.stopping == 'fixed' else max(there)
    missing = [str(number) for number in range(1, last + 1) if number not in there]
    if missing:
        why = ('the number was fixed, and is counted once all were run' if plan.stopping == 'fixed'
               else 'only the last ones may be left out')
        raise TrialError(f'{where}: expected an outcome of each of trials 1 to {last}, got none '
                         f'of {", ".join(missing[:8])}{" ..." if missing[8:] else ""}; {why}, so '
                         f'run {counted(len(missing), "trial")} more, or write {NOT_OBSERVED}')
    if last < len(plan.models):
        raise TrialError(f'{where}: expected a trial of each model, got trial 1 alone; run '
                         f'trial 2')


def record(path: Path, plan: TrialPlan, new: Observed, seen: str) -> None:
    """Write an outcome into a CSV file, whole, beside those that are there.

    `seen` is the mark of the outcome that it replaces, '' for none. Raise
    `AnsweredMeanwhileError` if another one is there.
    """
    with turn_in(path.parent):
        found = {one.trial: one for one in read_begun_results(path, plan)}
        before = found.get(new.trial)
        if seen != (before.mark if before else ''):
            raise AnsweredMeanwhileError(
                f'trial {new.trial} was answered meanwhile: '
                f'{before.sentence if before else "its answer was taken out"}; look at it, and '
                f'save again to replace it')
        found[new.trial] = new
        text = table_text(COLUMNS, (found[number].cells | {'plan': plan.code}
                                    for number in sorted(found)))
        with disk_errors(f'cannot write {path}', TrialError, 'make room, and save again'):
            write_whole(path, text.encode())


def _trial(text: str, plan: TrialPlan, where: str) -> int:
    last = len(plan.trials)
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if number > last:
        raise TrialError(f'{where}: expected a trial of the plan, which ends with trial {last}, '
                         f'got {text}; a bound is void if trials are added: make a new plan')
    if number < 1:
        raise TrialError(f'{where}: expected the number of a trial, 1 to {last}, got '
                         f'{shown(text)}; see the plan')
    return number


def _answer(text: str, name: str, where: str) -> bool | None:
    said = text.strip().casefold()
    if not said:
        raise TrialError(f'{where}: expected an outcome, got nothing under {name}; write yes, no '
                         f'or {NOT_OBSERVED}, or nothing about the trial if it was not run')
    for answer, spellings in _ANSWERS.items():
        if said in spellings:
            return {'yes': True, 'no': False}.get(answer)
    raise TrialError(f'{where}: expected {name} as yes, no or {NOT_OBSERVED}, got {shown(text)}; '
                     f'write one of them')


def _mode(text: str, completed: bool | None, plan: TrialPlan, where: str) -> str | None:
    said = text.strip()
    known = [*plan.modes, NO_MODE]
    if not said and completed:
        raise TrialError(f'{where}: expected the mode of a completed trial, {" or ".join(known)}, '
                         f'got nothing; write one of them')
    if said and said not in known:
        raise TrialError(f'{where}: unknown mode {shown(said)}{near_miss(said, known)}; write one '
                         f'of {", ".join(known)}')
    return said or None


def _require_plan(codes: Sequence[tuple[str, str]], plan: TrialPlan, path: Path) -> None:
    """Raise `TrialError` unless every code is that of the plan, and there is one."""
    if not codes:
        raise TrialError(f'{path}: expected the code of the plan, {plan.code}, in the column '
                         f'plan, got none; copy it from the sheet')
    for where, code in codes:
        if code.casefold() != plan.code:
            raise TrialError(f'{where}: expected the plan {plan.code}, got {shown(code)}; the '
                             f'outcomes were written under another plan: give that one')
