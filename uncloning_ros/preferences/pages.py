# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pages on which people compare handovers, and see the reward that their answers tell.

Every rater has addresses of his or her own, so several answer at once. An answer is in the file
before the next page is sent. The question that is open for a rater stays until it is answered.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import numpy as np

from uncloning_ros import page
from uncloning_ros.demos.bags.answers import (
    WITHDRAWN,
    Answer,
    Shown,
    about,
    add_answer,
    now,
    read_answers,
    require_rater,
    standing,
)
from uncloning_ros.errors import BagError, UncloningError, counted
from uncloning_ros.page_server import Request, Response, message
from uncloning_ros.preferences.asking import next_pair, next_single
from uncloning_ros.preferences.judged import Judged, judged
from uncloning_ros.preferences.result import result_sections
from uncloning_ros.preferences.scene import Handover, tool_json
from uncloning_ros.preferences.viewer import SCRIPT, STYLE, TIME
from uncloning_ros.scenario import Scenario

_TABS = {'pairs': 'Compare two', 'one': 'Good or bad', 'answers': 'Result'}
# Answer -> words of its button, the keys that press it, and how the key is named.
_PAIR_BUTTONS = {'left': ('Left is better', 'ArrowLeft 1', '←'),
                 'equal': ('Equal', 'ArrowDown 2 =', '↓'),
                 'right': ('Right is better', 'ArrowRight 3', '→'),
                 'cannot tell': ('Cannot tell', 'ArrowUp 0 ?', '↑')}
_SINGLE_BUTTONS = {'good': ('Good', 'ArrowRight g', 'G'), 'bad': ('Bad', 'ArrowLeft b', 'B')}
_STYLE = STYLE + """
.answers{display:grid;grid-template-columns:repeat(3,1fr);gap:10px}
.answers [value="cannot tell"]{grid-column:1/-1}
.answers.single{grid-template-columns:1fr 1fr}
[value=left],[value=right]{background:#2b5f8a;color:#fff}
[value=good]{background:#1f5c50;color:#fff}
[value=bad]{background:#8c1214;color:#fff}
.answers button kbd{color:inherit}
@media (max-width:520px){.answers kbd{display:none}button{padding:8px 6px}}
"""


class ComparePages:
    """The pages about the handovers of a folder, whose answers go into the file at `path`.

    `digests` are those of the handovers by name. `rater` is the name of the one who sits here, ''
    asks for it. `on_saved` gets each answer. `changed` returns by name what changed in the folder
    since the last call: a new handover with its digest, about which the page of good or bad asks
    first, or None for one that is gone. It is an `Answer` of the page server.
    """

    def __init__(self, handovers: Sequence[Handover], digests: Mapping[str, str],
                 scenario: Scenario, path: Path, rater: str = '',
                 on_saved: Callable[[Answer], object] = lambda _: None,
                 changed: Callable[[], Iterable[tuple[str, tuple[Handover, str] | None]]] = (
                     lambda: ()),
                 rng: np.random.Generator | None = None) -> None:
        self._handovers = {one.name: one for one in handovers}
        self._digests = {name: digests[name] for name in self._handovers}
        self._tool, self._path, self._on_saved = tool_json(scenario), path, on_saved
        self._rater = require_rater(rater) if rater else ''
        self._changed, self._new = changed, list[str]()
        self._rng = rng or np.random.default_rng()
        self._open: dict[tuple[str, str], tuple[str, ...]] = {}
        self._judged: Judged | None = None

    def __call__(self, request: Request) -> Response:
        """Return the page of a request; an answer that was sent is saved first."""
        tab, _, rater = request.path.partition('/')
        if request.path == 'viewer.js':
            return Response(SCRIPT, kind='text/javascript')
        for name, found in self._changed():
            self._forget(name)
            if found is not None:
                self._handovers[name], self._digests[name] = found
                self._new.append(name)
        if not self._handovers:
            return message('No handovers', 'Expected handovers in this folder, got none; record '
                                           'some, then load the page again.', 404)
        if request.path == '':
            return self._begin(request)
        if tab not in _TABS or not rater:
            return message('No such page', 'Expected the page of a rater, got another address; '
                                           'open the address without its end.', 404)
        require_rater(rater)
        if tab == 'answers':
            return Response(page.html('Result', [
                self._head(tab, rater, 'What the answers tell'),
                *result_sections(self.judged(), self.gone())], _STYLE))
        if request.form is not None:
            return self._save(tab, rater, request.form)
        return self._question(tab, rater)

    def judged(self) -> Judged:
        """Return the handovers with the answers that stand in the file."""
        usable, _ = about(standing(read_answers(self._path)), self._digests)
        if self._judged is None or self._judged.answers != tuple(usable):
            self._judged = judged({name: one.features for name, one in self._handovers.items()},
                                  usable)
        return self._judged

    def gone(self) -> list[str]:
        """Return a sentence for each recording that is not here, but has answers."""
        return about(standing(read_answers(self._path)), self._digests)[1]

    def _forget(self, name: str) -> None:
        """Forget a handover and the questions about it."""
        for known in (self._handovers, self._digests):
            known.pop(name, None)
        self._new = [one for one in self._new if one != name]
        self._open = {key: names for key, names in self._open.items() if name not in names}
        self._judged = None

    def _begin(self, request: Request) -> Response:
        name = ' '.join((request.form or {}).get('rater', self._rater).split())
        notice = ''
        if name or request.form is not None:
            try:
                return Response(go_to=f'pairs/{require_rater(name)}', status=303)
            except BagError as err:
                notice = page.notice(str(err), 'bad')
        return Response(page.html('Compare handovers', [
            page.header('uncloning', 'Compare handovers', counted(len(self._handovers),
                                                                  'handover')),
            notice,
            '<form method="post"><label>Your name, or a pseudonym'
            '<input type="text" name="rater" required maxlength="60" autofocus></label>'
            '<button>Begin</button></form>'], _STYLE), 422 if notice else 200)

    def _save(self, tab: str, rater: str, form: Mapping[str, str]) -> Response:
        shown = tuple(Shown(*form[side].rpartition(' ')[::2])
                      for side in ('left', 'right') if side in form)
        names, said = tuple(one.name for one in shown), form.get('said', '')
        try:
            lost = [one.name for one in shown if self._digests.get(one.name) != one.digest]
            if lost or not names:
                raise BagError(f'expected handovers that are in this folder now, got '
                               f'{", ".join(lost) or "none"}; answer the question below')
            answer = Answer(shown, cast(Any, said), rater, now())  # which checks the word
            before = next((one for one in self.judged().answers
                           if one.question == answer.question), None)
            if (before is None) == (said == WITHDRAWN):
                raise BagError(f'{rater} has {"not answered this" if before is None else "said"} '
                               f'already: {answer.sentence if before is None else before.sentence}'
                               f'; answer the question below')
            add_answer(self._path, answer)
        except UncloningError as err:
            return self._question(tab, rater, page.notice(str(err), 'bad'), 422)
        self._on_saved(answer)
        if said == WITHDRAWN:
            tab = 'pairs' if len(names) == 2 else 'one'
            self._open[tab, rater] = names
        elif self._open.get((tab, rater)) == names:
            del self._open[tab, rater]
        return Response(go_to=f'{tab}/{rater}', status=303)

    def _next(self, tab: str, rater: str) -> tuple[str, ...]:
        """Return the names of the handovers that the rater is asked about; none if all are."""
        known = self.judged()
        row = {name: i for i, name in enumerate(known.names)}
        mine = [[row[name] for name in one.names] for one in known.answers if one.rater == rater]
        if tab == 'one':
            for name in reversed(self._new):
                if [row[name]] not in mine:
                    return (name,)
        if (tab, rater) not in self._open:
            asking = known.belief, known.scaled
            found: tuple[int, ...] | None
            if tab == 'pairs':
                pairs = {(min(each), max(each)) for each in mine if len(each) == 2}
                found = next_pair(*asking, pairs, known.rater(rater), self._rng)
            else:
                one = next_single(*asking, {each[0] for each in mine if len(each) == 1},
                                  known.rater(rater), self._rng)
                found = None if one is None else (one,)
            if found is None:
                return ()
            self._open[tab, rater] = tuple(known.names[i] for i in found)
        return self._open[tab, rater]

    def _question(self, tab: str, rater: str, notice: str = '', status: int = 200) -> Response:
        names, pairs = self._next(tab, rater), tab == 'pairs'
        title = ('Which handover would you rather have?' if pairs else
                 'Would you accept this handover?')
        head = self._head(tab, rater, title)
        if not names:
            return Response(page.html('All answered', [
                head, notice, page.notice('You have answered every question.', 'good'),
                self._last(rater)], _STYLE), status)
        buttons = _PAIR_BUTTONS if pairs else _SINGLE_BUTTONS
        sides = ('left', 'right')[:len(names)]
        single = '' if pairs else ' single'
        motions = ','.join(self._handovers[name].motion for name in names)
        return Response(page.html(title, [
            head, notice,
            f'<div class="stage{single}">' + ''.join(
                f'<figure><canvas role="img" aria-label="handover{side}"></canvas>'
                f'<figcaption>{side}</figcaption></figure>'
                for side in ([' left', ' right'] if pairs else [''])) + '</div>',
            TIME,
            f'<form method="post" class="answers{single}">' + ''.join(
                _hidden(side, Shown(name, self._digests[name]))
                for side, name in zip(sides, names, strict=True)) + ''.join(
                f'<button name="said" value="{said}" data-keys="{keys}">{words}<kbd>{key}</kbd>'
                f'</button>' for said, (words, keys, key) in buttons.items()) + '</form>',
            self._last(rater),
            page.words('Space plays and pauses; drag to turn, scroll to come nearer. Red is the '
                       'edge of the tool.'),
            f'<script type="application/json" id="motions">{{"tool":{self._tool},'
            f'"motions":[{motions}]}}</script><script src="../viewer.js" defer></script>'],
            _STYLE), status)

    def _head(self, tab: str, rater: str, title: str) -> str:
        """Return the head of a page with the tabs."""
        own = sum(one.rater == rater for one in self.judged().answers)
        tabs = ''.join(f'<a href="../{name}/{page.joined(quote(rater))}"'
                       f'{" aria-current=page" if name == tab else ""}>{words}</a>'
                       for name, words in _TABS.items())
        return page.header(f'{rater}: {counted(own, "answer")}', title, '', f'<nav>{tabs}</nav>')

    def _last(self, rater: str) -> str:
        """Return the rater's last answer, with a button that takes it back."""
        last = next((one for one in reversed(self.judged().answers) if one.rater == rater), None)
        if last is None:
            return ''
        hidden = ''.join(map(_hidden, ('left', 'right'), last.shown))
        return (f'<form method="post" class="saved">{hidden}<span>Saved: '
                f'{page.joined(last.sentence)}</span><button name="said" value="{WITHDRAWN}" '
                f'data-keys="Backspace z">Take it back</button></form>')


def _hidden(side: str, one: Shown) -> str:
    """Return the field of a form that tells which recording was shown on one side."""
    return f'<input type="hidden" name="{side}" value="{page.joined(f"{one.name} {one.digest}")}">'
