# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pages to fill in on a telephone beside the robot: one form for each trial.

Every saved answer is in the file of results at once. A form that is not saved yet stays in the
browser, also when the page is loaded again. Two telephones may answer: an answer that the page did
not show is never replaced.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from uncloning_ros import page
from uncloning_ros.errors import TrialError
from uncloning_ros.page_server import Request, Response, message
from uncloning_ros.trials.plan import Trial, TrialPlan
from uncloning_ros.trials.results import (
    NO_MODE,
    NOT_OBSERVED,
    AnsweredMeanwhileError,
    Observed,
    observed,
    read_begun_results,
    record,
)
from uncloning_ros.trials.sheet import rules

_FIELDS = ('completed', 'unsafe', 'mode', 'notes', 'video')
_WORDS = {NO_MODE: 'none of these'}
_STYLE = """
fieldset{border:0;margin:1.1em 0;padding:0}
legend{font-weight:600;padding:0 0 .3em}
.choice{display:block;padding:11px 12px;margin:6px 0;border:1px solid #8b96a1;border-radius:6px}
.choice:has(:checked){background:#e6f2ef;border-color:#2f7f6f;font-weight:600}
.choice input{width:1.2em;height:1.2em;margin:0 .6em 0 0;vertical-align:-.2em}
textarea,input[type=text]{display:block;width:100%;font:inherit;padding:10px;margin:6px 0;
border:1px solid #8b96a1;border-radius:6px}
button{width:100%;font:inherit;font-weight:600;padding:14px;border:0;border-radius:6px;
background:#2b5f8a;color:#fff}
.go{font-size:1.6rem;font-weight:700;margin:.3em 0}
"""
_DRAFT = """'use strict';
// Keep in this browser what was entered but not saved.
const form = document.forms[0];
const key = 'uncloning ' + form.dataset.draft;
const kept = JSON.parse(localStorage.getItem(key) || '{}');
for (const field of form.elements) {
  if (!(field.name in kept) || field.type === 'hidden') continue;
  if (field.type === 'radio') field.checked = field.value === kept[field.name];
  else field.value = kept[field.name];
}
form.addEventListener('input', () => localStorage.setItem(
  key, JSON.stringify(Object.fromEntries(new FormData(form)))));
"""


class TrialPages:
    """The pages of a plan, which write into the CSV file at `path`; `on_saved` gets each answer.

    It is an `Answer` of the page server.
    """

    def __init__(self, plan: TrialPlan, path: Path,
                 on_saved: Callable[[Observed], object] = lambda _: None) -> None:
        self._plan, self._path, self._on_saved = plan, path, on_saved

    def __call__(self, request: Request) -> Response:
        """Return the page of a request; a form that was sent is saved first."""
        if request.path == 'draft.js':
            return Response(_DRAFT, kind='text/javascript')
        found = self.found()
        if request.path == '':
            return Response(go_to=self._next(found), status=303)
        if request.path == 'done':
            return self._done(found, request.query)
        trial = self._trial(request.path)
        if trial is None:
            return message('No such page', 'Expected the page of a trial, got another address; '
                                           'open the address without its end.', 404)
        if request.form is not None:
            return self._save(trial, request.form)
        there = found.get(trial.trial)
        return self._page(found, trial, {} if there is None else there.cells,
                          self._saved(found, request.query))

    def found(self) -> dict[int, Observed]:
        """Return the outcomes that are in the file, by the number of the trial."""
        return {one.trial: one for one in read_begun_results(self._path, self._plan)}

    def _save(self, trial: Trial, form: Mapping[str, str]) -> Response:
        entered = {'trial': str(trial.trial)} | {name: form.get(name, '').replace('\r\n', '\n')
                                                 for name in _FIELDS}
        try:
            new = observed(entered, self._plan, 'This form')
            record(self._path, self._plan, new, form.get('seen', ''))
        except TrialError as err:
            status = 409 if isinstance(err, AnsweredMeanwhileError) else 422
            return self._page(self.found(), trial, entered, page.notice(str(err), 'bad'), status)
        self._on_saved(new)
        return Response(go_to=f'{self._next(self.found())}?saved={trial.trial}', status=303)

    def _trial(self, path: str) -> Trial | None:
        return next((one for one in self._plan.trials if path == f'trial/{one.trial}'), None)

    def _next(self, found: Mapping[int, Observed]) -> str:
        return next((f'trial/{one.trial}' for one in self._plan.trials if one.trial not in found),
                    'done')

    def _saved(self, found: Mapping[int, Observed], query: Mapping[str, str]) -> str:
        """Return the notice that an answer was saved, '' if none was."""
        one = self._trial(f'trial/{query.get("saved", "")}')
        if one is None or one.trial not in found:
            return ''
        return page.notice(page.joined(
            f'Trial {one.trial} is saved: {found[one.trial].sentence}. ',
            page.Html(f'<a href="../trial/{one.trial}">Correct it</a>')), 'good')

    def _done(self, found: Mapping[int, Observed], query: Mapping[str, str]) -> Response:
        return Response(page.html('All trials', [
            page.header(self._plan.task or 'Trials on a robot', 'All trials are answered',
                        f'They are in {self._path.name}, under plan {self._plan.code}.'),
            self._saved(found, query).replace('../', ''),
            self._list(found, '')], _STYLE))

    def _page(self, found: Mapping[int, Observed], trial: Trial, entered: Mapping[str, str],
              notice: str, status: int = 200) -> Response:
        """Return the form of one trial with the cells that were entered."""
        plan, there = self._plan, found.get(trial.trial)
        mark = '' if there is None else there.mark
        start = page.table(['start', ''], [[page.joined(name), page.bold(value)]
                                           for name, value in trial.start.items()], 'provenance')
        state = '' if there is None or notice else page.notice(
            f'Answered: {there.sentence}. Saving replaces it.')
        return Response(page.html(f'Trial {trial.trial}', [
            page.header(plan.task or 'Trials on a robot',
                        f'Trial {trial.trial} of {len(plan.trials)}', f'plan {plan.code}', notice,
                        state),
            f'<p class="go">Run model {trial.label}</p>' if trial.label else '',
            start,
            f'<form method="post" data-draft="{plan.code} {trial.trial} {mark}">'
            f'<input type="hidden" name="seen" value="{mark}">',
            _choices('Was it completed?', 'completed', ('yes', 'no', NOT_OBSERVED), entered),
            _choices('Was it unsafe?', 'unsafe', ('yes', 'no', NOT_OBSERVED), entered),
            _choices('Mode that was seen, if completed', 'mode', (*plan.modes, NO_MODE), entered,
                     required=False),
            f'<fieldset><legend>Notes, if any</legend><textarea name="notes" rows="3">'
            f'{page.joined(entered.get("notes", ""))}</textarea></fieldset>',
            f'<fieldset><legend>Name of the video, if any</legend><input type="text" name="video" '
            f'value="{page.joined(entered.get("video", ""))}"></fieldset>',
            f'<button>Save trial {trial.trial}</button></form>',
            self._list(found, '../'),
            page.details('Rules', page.bullets(rules(plan))),
            '<script src="../draft.js" defer></script>'], _STYLE), status)

    def _list(self, found: Mapping[int, Observed], up: str) -> str:
        body = [[f'<a href="{up}trial/{one.trial}">{one.trial}</a>', page.joined(one.label),
                 page.joined(found[one.trial].sentence if one.trial in found else '')]
                for one in self._plan.trials]
        return page.details(f'All trials: {len(found)} of {len(body)} answered',
                            page.table(['trial', 'model', 'answer'], body))


def _choices(question: str, name: str, choices: Sequence[str], entered: Mapping[str, str],
             required: bool = True) -> str:
    inputs = ''.join(
        f'<label class="choice"><input type="radio" name="{name}" value="{page.joined(choice)}"'
        f'{" required" if required else ""}{" checked" if entered.get(name) == choice else ""}>'
        f'{_WORDS.get(choice, page.joined(choice))}</label>' for choice in choices)
    return f'<fieldset><legend>{question}</legend>{inputs}</fieldset>'
