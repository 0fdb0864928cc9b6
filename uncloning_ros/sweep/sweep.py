# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Edit with several strengths of the removal, audit each edit briefly, recommend one.

The weakest strength is the fine-tune; the others are multiples of the default weight of a method.
Each strength has a folder of its own, whose files a later call of the same sweep uses again.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from uncloning_ros.audit.audit import Audit
from uncloning_ros.audit.figures.statistics import paired_difference
from uncloning_ros.audit.run.seeds import derived_seed
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import alone_in, disk_errors, read_json, write_json, write_whole
from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.choice import ENOUGH, MOST_LOST, Judge, removal_for
from uncloning_ros.learning.export import export
from uncloning_ros.learning.options import METHODS, EditOptions
from uncloning_ros.learning.uncloning import Prepared
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario
from uncloning_ros.schema import plain, read
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.sweep.page import page
from uncloning_ros.sweep.record import Episodes, Strength, Sweep

RECOMMENDED = 'recommended.onnx'  # names the seeds that chose it, so that an audit refuses them
# Multiples of the default weight of a method; 0 is the fine-tune.
STRENGTHS = (0.0, 0.25, 1.0, 4.0, 16.0)


def sweep(edit: Prepared, out: Path, options: EditOptions, method: str | None,
          scenario: Scenario | None, episodes: int, workers: int) -> Sweep:
    """Make the edits that are missing in `out`, and write there the recommended one and figures.

    `options` are those of the fine-tune. Without a `method` it is the one that the choice of an
    edit would try. Raise `UncloningError` for a folder of another sweep.
    """
    asked = {'parent': edit.run.sha256, 'data': edit.dataset.sha256, 'options': plain(options),
             'method': method, 'scenario': None if scenario is None else scenario.sha256,
             'episodes': episodes}
    with disk_errors(f'cannot make {out}', UncloningError, 'give another --out'):
        out.mkdir(parents=True, exist_ok=True)
    with alone_in(out):
        _require_same(out / 'asked.json', asked)
        original = out / 'original.onnx'
        if not original.exists():
            export(edit.run, original)
        audited = None if scenario is None else partial(
            _audited, scenario, derived_seed([load_policy(original)], scenario), episodes, workers,
            options.remove)
        judge = Judge(edit, options)
        before = judge.left(edit.run.policy)
        wanted = method or removal_for(before, edit.has_spans)
        found = []
        for strength in STRENGTHS:
            made = replace(options, method=wanted, gamma=strength * METHODS[wanted].gamma,
                           tau=METHODS[wanted].tau) if strength else options
            found.append(_made(edit, judge, _folder(out, made.gamma), made, audited))
        place, reason = recommended(found)
        export(load_run(_folder(out, found[place].gamma) / 'run'), out / RECOMMENDED,
               found[place].seeds)
        result = Sweep(edit.run.sha256, options.remove, edit.kept,
                       None if scenario is None else scenario.name,
                       None if scenario is None else episodes, before, tuple(found), place, reason)
        write_json(out / 'sweep.json', plain(result))
        write_whole(out / 'index.html', page(result).encode())
    return result


def next_step(sweep: Sweep, out: Path, asks: bool) -> str:
    """Return the sentence that says what to do next with the recommended edit in `out`.

    `asks` is whether its contract wants doubt.
    """
    if not asks:
        return f'{out / RECOMMENDED} is this edit: audit it'
    one = sweep.strengths[sweep.recommended]
    seeds = (f' with --development-seeds {one.seeds[0]}:{one.seeds[-1] + 1}' if one.seeds else '')
    return (f'{RECOMMENDED} does not ask, and the contract wants doubt: give '
            f'{_folder(out, one.gamma) / "run"} to uncloning doubt{seeds}, and audit the file '
            f'that it writes')


def _folder(out: Path, gamma: float) -> Path:
    return out / f'gamma_{gamma:g}'


def _require_same(path: Path, asked: dict[str, object]) -> None:
    if path.exists():
        there = read_json(path, UncloningError, 'give another --out')
        if there != asked:
            other = next(key for key, value in asked.items() if there.get(key) != value)
            raise UncloningError(f'{path.parent} has a sweep with another {other}: expected '
                                 f'{there.get(other)}, got {asked[other]}; give another --out')
    elif any(path.parent.iterdir()):
        raise UncloningError(f'{path.parent} has files that are not of a sweep; give another '
                             f'--out')
    write_json(path, asked)


def _made(edit: Prepared, judge: Judge, folder: Path, options: EditOptions,
          audited: Callable[[Path], Episodes] | None) -> Strength:
    """Make, export and audit one edit, unless its files are there."""
    record = folder / 'strength.json'
    if record.exists():
        return read(Strength, read_json(record, UncloningError), str(record), UncloningError)
    folder.mkdir(exist_ok=True)
    run, model = folder / 'run', folder / 'model.onnx'
    if not checkpoint.has_ended(run):
        shutil.rmtree(folder / 'run.partial', ignore_errors=True)  # left by a killed process
        edit.edit(run, options)
    edited = load_run(run)
    if not model.exists():
        export(edited, model)
    report = read_json(run / 'report.json', UncloningError)
    found = Strength(options.gamma, options.method, judge.left(edited.policy),
                     report['retained_loss']['after'],
                     None if audited is None else audited(model))
    write_json(record, plain(found))
    return found


def _audited(scenario: Scenario, seed: int, episodes: int, workers: int,
             removed: Sequence[str], model: Path) -> Episodes:
    results = Audit([model], scenario, episodes, seed, INFERENCE_LATENCY_S, workers,
                    ignore_doubt=True).run(None, None)[0].results
    return Episodes(seed, *(''.join(str(int(one)) for one in each) for each in zip(*(
        (one.outcome.success, one.outcome.unsafe is not None, one.outcome.mode in removed)
        for one in results), strict=True)))


def recommended(found: Sequence[Strength]) -> tuple[int, str]:
    """Return the place of the strength to use, and the reason.

    With audits it is one that is neither shown to succeed less often than another one, nor to
    show a removed mode more often: of these the one with the fewest episodes in a removed mode,
    then the one that leaves the fewest plans of one, then the weakest.
    """
    audits = [one.audit for one in found if one.audit is not None]
    if not audits:
        return _without_audit(found)

    def beaten(one: Episodes) -> bool:
        return any(paired_difference(_flags(worse), _flags(better)).high < 0.0
                   for other in audits for worse, better in (
                       (one.success, other.success), (other.removed, one.removed)))

    unbeaten = [place for place, one in enumerate(audits) if not beaten(one)]
    if unbeaten:
        # All that leave hardly any plan are equal.
        return min(unbeaten, key=lambda place: (audits[place].removed.count('1'),
                                                max(found[place].left.most, ENOUGH))), (
            'of the strengths that no other one is shown to beat it has the fewest episodes in a '
            'removed mode, then the fewest plans of one, then the least weight')
    best = max(range(len(audits)), key=lambda place: audits[place].success.count('1'))
    return best, 'each strength is beaten by another one; this one has the most successes'


def _without_audit(found: Sequence[Strength]) -> tuple[int, str]:
    limit = None if found[0].retained_loss is None else MOST_LOST * found[0].retained_loss
    holding = [place for place, one in enumerate(found)
               if limit is None or one.retained_loss is None or one.retained_loss <= limit]
    for place in holding:
        if found[place].left.most <= ENOUGH:
            return place, 'the weakest strength that leaves hardly any plan of a removed mode'
    best = min(holding, key=lambda place: found[place].left.most)
    return best, ('it leaves the fewest plans of removed modes among the strengths that hold the '
                  'skill')


def _flags(digits: str) -> list[bool]:
    return [digit == '1' for digit in digits]
