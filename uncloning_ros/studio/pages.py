# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pages on which people see and label episodes; every label goes into the episode's sidecar.

Every person has addresses of his or her own, so several label at once. A label is in its sidecar
before the next page is sent.
"""

import datetime
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from uncloning_ros import page
from uncloning_ros.demos.bags.answers import require_rater
from uncloning_ros.demos.bags.labels import Label, newest_label
from uncloning_ros.demos.dataset.spans import require_windows
from uncloning_ros.demos.inspection.strips import GAP, Strip, strip_of
from uncloning_ros.demos.labelling.opinions import add_labels, by_hand
from uncloning_ros.errors import BagError, UncloningError, counted
from uncloning_ros.page_server import Request, Response, message
from uncloning_ros.preferences.scene import motion_json, tool_json
from uncloning_ros.preferences.viewer import SCRIPT, STYLE, TIME
from uncloning_ros.scenario import Scenario
from uncloning_ros.studio.cluster_tab import ClusterTab
from uncloning_ros.studio.script import STUDIO_SCRIPT
from uncloning_ros.studio.state import ALL, LISTS, Row, State

_TABS = {'list': 'Episodes', 'clusters': 'Clusters', 'warnings': 'Warnings'}
_TILES, _EVERY_S = 60, 0.2  # most pictures of a camera on a page, and the time between two
_NOTHING = '{"tool":null,"length_s":0,"motions":[]}'  # of an episode that cannot be read
_REMEMBERED = 20  # episodes whose motion and pictures stay in memory
_STYLE = STYLE + """
.modes,.moves,.span{display:flex;flex-wrap:wrap;gap:8px;margin:.6em 0;align-items:center}
.modes button[aria-pressed=true]{background:#1f5c50;color:#fff}
.modes button[aria-pressed=true] kbd{color:inherit}
.moves button,.span button{min-height:40px;font-weight:400;padding:4px 12px}
.span input{width:5.5em;font:inherit;padding:6px;border:1px solid #8b96a1;border-radius:6px}
.camera{background-repeat:no-repeat;border:1px solid #d9dee3;border-radius:6px;width:100%;
image-rendering:auto}
td.look{color:#8c1214}
"""


class StudioPages:
    """The pages about the episodes of a state. It is an `Answer` of the page server.

    `scenario` has the tool that is drawn, None draws none. `clusters` shows and names the
    clusters.
    """

    def __init__(self, state: State, clusters: ClusterTab, scenario: Scenario | None) -> None:
        self._state, self._clusters = state, clusters
        self._tool = 'null' if scenario is None else tool_json(scenario)
        self._drawn: OrderedDict[int, tuple[str, str]] = OrderedDict()

    def __call__(self, request: Request) -> Response:
        """Return the page of a request; a label that was sent is saved first."""
        scripts = {'viewer.js': SCRIPT, 'studio.js': STUDIO_SCRIPT}
        if request.path in scripts:
            return Response(scripts[request.path], kind='text/javascript')
        if request.path == '':
            return self._begin(request)
        tab, _, rest = request.path.partition('/')
        person, _, number = rest.partition('/')
        if tab not in (*_TABS, 'episode') or not person or (tab == 'episode') == (number == ''):
            return _no_page()
        require_rater(person)
        if tab == 'episode':
            return self._episode(request, person, number)
        if tab == 'clusters':
            notice = self._clusters.save(request.form, person) if request.form else ''
            return self._page(tab, person, 'Clusters', notice, *self._clusters.sections(person))
        if tab == 'warnings':
            found = self._state.warnings()
            return self._page(tab, person, 'Warnings', self._still_reading(), page.bullets(found)
                              if found else page.notice('Nothing to warn of.', 'good'))
        return self._list(person, request.query.get('of', ALL))

    def _begin(self, request: Request) -> Response:
        notice = ''
        if request.form is not None:
            name = ' '.join(request.form.get('person', '').split())
            try:
                return Response(go_to=f'list/{require_rater(name)}', status=303)
            except BagError as err:
                notice = page.notice(str(err), 'bad')
        return Response(page.html('Studio', [
            page.header('uncloning', 'Studio',
                        f'{self._state.name}: {counted(len(self._state.episodes), "episode")}'),
            notice,
            '<form method="post"><label>Your name, or a pseudonym: it stands in each label'
            '<input type="text" name="person" required maxlength="60" autofocus></label>'
            '<button>Begin</button></form>'], _STYLE), 422 if notice else 200)

    # lists

    def _list(self, person: str, of: str) -> Response:
        lists = LISTS | {mode: mode for mode in self._state.contract.interface.modes}
        if of not in lists:
            return _no_page()
        rows = self._state.rows()
        links = ''.join(
            f'<a href="?of={quote(name)}"{" aria-current=page" if name == of else ""}>'
            f'{page.joined(words)} ({sum(row.is_in(name) for row in rows)})</a>'
            for name, words in lists.items())
        body = [[f'<a href="../episode/{quote(person)}/{row.index}?of={quote(of)}">'
                 f'{page.joined(row.name)}</a>', page.joined(
                     *_label_words(row.label), '' if row.label is None else
                     f' ({row.label.source})'),
                 '' if row.facts is None else f'{row.facts.length_s:.1f} s',
                 page.joined('; '.join(row.reasons))] for row in rows if row.is_in(of)]
        return self._page('list', person, self._state.name, f'<nav>{links}</nav>',
                          self._still_reading(),
                          page.table(('episode', 'label', 'length', 'to look at'), body)
                          if body else page.notice('No episode is in this list.'))

    def _still_reading(self) -> str:
        read, all_of_them = self._state.read, len(self._state.episodes)
        return '' if read == all_of_them else page.notice(
            f'{read} of {all_of_them} episodes are read; reload the page for what is found in '
            f'the others.')

    # one episode

    def _episode(self, request: Request, person: str, number: str) -> Response:
        if number not in map(str, range(len(self._state.episodes))):
            return _no_page()
        index, of = int(number), request.query.get('of', ALL)
        notice, status = '', 200
        if request.form is not None:
            try:
                self._save(index, person, request.form)
                place = index if not request.form.get('mode') else self._next(
                    self._state.rows(), index, of, 1)
                return Response(go_to=f'episode/{person}/{place}?of={of}', status=303)
            except UncloningError as err:
                notice, status = page.notice(str(err), 'bad'), 422
        return self._shown(index, person, of, notice, status)

    def _save(self, index: int, person: str, form: Mapping[str, str]) -> None:
        ref = self._state.episodes[index]
        if form.get('name') != ref.name:
            raise BagError(f'expected a label of {ref.name}, got one of '
                           f'{form.get("name") or "no episode"}; open the episode again')
        if 'mode' not in form:
            raise BagError('expected a mode, or an empty one to take a label back, got none; '
                           'press a button of the page')
        mode = form['mode'] or None
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
        label = Label(mode, 'operator', 1.0 if mode else 0.0, now, person,
                      from_s=_seconds(form, 'from_s') if mode else None,
                      to_s=_seconds(form, 'to_s') if mode else None)
        opinion = by_hand(ref, label, self._state.reading)
        if label.has_span:
            require_windows(ref, label, self._state.reading)
        add_labels([opinion])

    @staticmethod
    def _next(rows: Sequence[Row], index: int, of: str, step: int) -> int:
        """Return the next episode of a list in a direction, the same one at its end."""
        places = [row.index for row in rows if row.is_in(of)]
        after = [place for place in places[::step] if (place - index) * step > 0]
        return after[0] if after else index

    def _shown(self, index: int, person: str, of: str, notice: str, status: int) -> Response:
        ref, rows = self._state.episodes[index], self._state.rows()
        row, labels = rows[index], tuple[Label, ...]()
        try:
            labels = self._state.labels(ref)
            scene, data = self._drawing(index)
        except UncloningError as err:
            scene, data = TIME, _NOTHING
            row = replace(row, reasons=tuple(dict.fromkeys((str(err), *row.reasons))))
        modes = ''.join(
            f'<button name="mode" value="{page.joined(mode)}" data-keys="{key}" '
            f'aria-pressed="{str(mode == row.mode).lower()}">{page.joined(mode)}<kbd>{key}</kbd>'
            f'</button>' for mode, key in zip(self._state.contract.interface.modes, [
                *'123456789', *[''] * len(self._state.contract.interface.modes)], strict=False))
        own = newest_label(labels, 'operator')
        undo = ('' if own is None else '<button name="mode" value="" data-keys="Backspace z">'
                'Take the label back<kbd>Z</kbd></button>')
        moves = ''.join(
            f'<form action="{self._next(rows, index, of, step)}"><input type="hidden" name="of" '
            f'value="{page.joined(of)}"><button data-keys="{keys}">{words}<kbd>{key}</kbd>'
            f'</button></form>' for step, words, keys, key in (
                (-1, 'Before', 'ArrowLeft p', '←'), (1, 'Next', 'ArrowRight n', '→')))
        history = [page.row(*_label_words(one), one.source, one.by, one.at) for one in labels]
        return self._page(
            'list', person, ref.name, notice, scene,
            f'<form method="post"><input type="hidden" name="name" '
            f'value="{page.joined(ref.name)}"><div class="modes">{modes}{undo}'
            '</div><div class="span">Only from '
            '<input id="from_s" name="from_s" inputmode="decimal"> to '
            '<input id="to_s" name="to_s" inputmode="decimal"> s'
            '<button type="button" id="begins" data-keys="[">begins here<kbd>[</kbd></button>'
            '<button type="button" id="ends" data-keys="]">ends here<kbd>]</kbd></button></div>'
            f'</form><div class="moves">{moves}</div>',
            page.notice('Look at this one: ' + '; '.join(row.reasons), 'bad')
            if row.reasons else '',
            page.table(('mode', 'part', 'source', 'by', 'at'), history) if history else
            page.notice('It has no label.') if data != _NOTHING else '',
            page.words('Digits label and go on in the list. Space plays and pauses; drag to turn, '
                       'scroll to come nearer.'),
            f'<script type="application/json" id="motions">{data}</script>'
            '<script src="../../viewer.js" defer></script>'
            '<script src="../../studio.js" defer></script>', deep=True, status=status)

    def _drawing(self, index: int) -> tuple[str, str]:
        """Return the scene of an episode's page and the JSON of its data."""
        if index in self._drawn:
            self._drawn.move_to_end(index)
            return self._drawn[index]
        episode = self._state.episodes[index].read(self._state.reading)
        begin_ns, end_ns = episode.bounds_ns
        length_s = (end_ns - begin_ns) * 1e-9
        tiles = min(max(int(length_s / _EVERY_S), 2), _TILES)
        strips = [strip_of(one.key, episode.samples[one.key], begin_ns, tiles)
                  for one in episode.contract.interface.cameras if episode.samples.get(one.key)]
        motion = motion_json(episode)
        canvas = ('' if motion is None else
                  '<figure><canvas role="img" aria-label="handover"></canvas></figure>')
        scene = (f'<div class="stage">{canvas}{"".join(map(_camera, strips))}</div>{TIME}')
        data = (f'{{"tool":{self._tool},"length_s":{length_s:.3f},'
                f'"motions":[{motion or ""}]}}')
        self._drawn[index] = scene, data
        if len(self._drawn) > _REMEMBERED:
            self._drawn.popitem(last=False)
        return scene, data

    def _page(self, tab: str, person: str, title: str, *parts: str, deep: bool = False,
              status: int = 200) -> Response:
        """Return a page with the tabs; `deep` is one step further below the token."""
        up = '../../' if deep else '../'
        tabs = ''.join(f'<a href="{up}{name}/{quote(person)}"'
                       f'{" aria-current=page" if name == tab else ""}>{words}</a>'
                       for name, words in _TABS.items())
        return Response(page.html(title, [
            page.header(f'studio: {person}', title, '', f'<nav>{tabs}</nav>'), *parts], _STYLE),
            status)


def _camera(strip: Strip) -> str:
    """Return the pictures of a camera, of which the script shows one."""
    import base64

    count = len(strip.times_s)
    width = (strip.size[0] - GAP * (count - 1)) / count
    times = ' '.join(f'{one:.3f}' for one in strip.times_s)
    return (f'<figure><div class="camera" data-times="{times}" data-step="{width + GAP}" '
            f'data-rest="{strip.size[0] - width}" style="aspect-ratio:{width}/{strip.size[1]};'
            f'background-size:{100 * strip.size[0] / width:.4f}% 100%;background-image:'
            f'url(data:image/jpeg;base64,{base64.b64encode(strip.jpeg).decode()})"></div>'
            f'<figcaption>{page.joined(strip.camera)}</figcaption></figure>')


def _seconds(form: Mapping[str, str], name: str) -> float | None:
    text = form.get(name, '').strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError as err:
        raise BagError(f'expected seconds since the episode began, got {text!r}; give a number '
                       f'such as 1.5') from err


def _label_words(label: Label | None) -> tuple[str, str]:
    if label is None:
        return '-', ''
    return label.mode or 'taken back', f' {label.span}' if label.has_span else ''


def _no_page() -> Response:
    return message('No such page', 'Expected the page of a person, got another address; open the '
                                   'address without its end.', 404)
