# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Remove modes from the weights of a trained policy.

A few hundred steps move the weights; the result is a run like the original one: same network, same
normaliser, other weights. Demonstrations of the kept modes hold the skill; few demonstrations are
joined by retargeted copies, with tool and hand moved to other places.

The method is chosen by measures: fine-tuning on kept modes, and where that leaves plans of removed
modes, own chunks (`self-distillation`: the policy learns its own plans of a kept mode where it is
torn), or the published `redirect` (Wang et al. 2026: a classifier steers plans to a kept mode), as
hard as the kept skill allows. The report has the reason. Outside of the spans of labels the policy
is held to its old plans. Spans are found where labels have none and do not hold for whole
episodes.

  uncloning unclone runs/mixed --data data/ --remove blade_first \
      --out runs/uncloned

First the labels are compared: episodes that look alike have one mode. Labels that look wrong are
named, and their episodes take no part. Episodes without a label get the mode of those that they
look like; such a dataset is made with uncloning dataset --keep-unlabelled.

After an incident, recordings of it take the place of the data: bags, or the incident files of the
policy node. Where the policy had another plan, it learns that plan; its own plans hold the rest.
Recordings of normal operation help to hold it; with more than two modes they have to show which
other plan is wanted. Without --remove the undesired mode goes that the incidents show:

  uncloning unclone runs/mixed --incidents tuesday/ --out runs/uncloned

After a take-over, corrections teach the policy the person's commands; --data, where it is still
there, holds the rest, else the policy's own plans do. Modes that were removed before stay removed:

  uncloning unclone runs/uncloned --corrections corrections/ --data data/ \
      --out runs/corrected

How hard to remove? A sweep makes edits of several strengths, judges each in a few episodes, and
draws suppression against success:

  uncloning unclone runs/mixed --data data/ --remove blade_first --sweep \
      --out sweep/

A policy of the class plan draws its mode in a head of its own. There the default is `lock`,
which takes no step: the head never draws the removed modes again.

The answers of people in place of named modes: the episodes that they do not accept are listed with
the probability of that, and go once you confirm them; those that are unsure take no part.

  uncloning unclone runs/mixed --data data/ \
      --preferences demos/preferences.json --out runs/uncloned
"""

import argparse
import os
import select
import signal
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncloning_ros.cli.arguments import (
    available_cores,
    count,
    fraction,
    names,
    new_path,
    positive_float,
    share,
)
from uncloning_ros.cli.optimisation import add_optimisation, default_threads, given
from uncloning_ros.cli.output import print_warnings
from uncloning_ros.errors import UncloningError, counted
from uncloning_ros.learning import edit_report
from uncloning_ros.learning.options import (
    EDIT,
    FEW_DEMONSTRATIONS,
    FINE_TUNE,
    FROM_CORRECTIONS,
    FROM_INCIDENTS,
    LOCK,
    LOCKED,
    METHODS,
    PLAN,
    REDIRECT,
    EditOptions,
)

_EPISODES = 100  # of the audit of each strength of a sweep

if TYPE_CHECKING:
    from uncloning_ros.learning.checkpoint import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('run', type=Path, metavar='RUN', help='folder of a run that has ended')
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--data', type=Path, metavar='DIR',
                        help='dataset with demonstrations of kept and removed modes')
    source.add_argument('--incidents', type=Path, nargs='+', metavar='PATH',
                        help='bags, incident files, or folders of them: recordings of removed '
                             'modes, from before the robot sets off')
    parser.add_argument('--corrections', type=Path, nargs='+', metavar='PATH',
                        help='bags or folders of them: episodes in which a person took the arm '
                             'over; with --data, the old demonstrations beside them')
    parser.add_argument('--normal', type=Path, nargs='+', default=[], metavar='PATH',
                        help='recordings of normal operation, beside --incidents; needed if the '
                             'policy has more than two modes')
    parser.add_argument('--scenario', metavar='NAME',
                        help='scenario whose rule recognises the modes of --incidents, '
                             '--normal and --corrections, that judges a --sweep, and that has '
                             'the tool of --preferences (default: that of the run)')
    parser.add_argument('--remove', type=names, metavar='MODE[,MODE]',
                        help='modes to remove; all others are kept')
    parser.add_argument('--preferences', type=Path, nargs='+', metavar='FILE',
                        help='answers of uncloning compare or of the recorder, in place of '
                             '--remove: the episodes of --data go that people do not accept, of '
                             'whichever mode; answers on bags beside a FILE count as well')
    parser.add_argument('--yes', action='store_true',
                        help='with --preferences: remove without asking')
    parser.add_argument('--out', required=True, type=Path, metavar='RUN',
                        help='folder of the edited run')
    parser.add_argument('--method', choices=(*METHODS, LOCK),
                        help=f'method of the edit (default: {FINE_TUNE}, and if it leaves '
                             f'removed modes in the plans, the method that fits; of a {PLAN} '
                             f'policy {LOCK})')
    parser.add_argument('--gamma', type=positive_float, metavar='WEIGHT',
                        help=f'weight of the method\'s loss ({_defaults("gamma")}; from incidents '
                             f'{FROM_INCIDENTS.gamma:g})')
    parser.add_argument('--tau', type=fraction, metavar='P',
                        help='of the redirect: a sample counts while the classifier gives its own '
                             f'mode a lower probability (default: {METHODS[REDIRECT].tau:g})')
    parser.add_argument('--retarget', type=share, metavar='SHARE',
                        help='largest share of retargeted copies in a batch; they are used where '
                             f'the kept modes have at most {FEW_DEMONSTRATIONS} demonstrations '
                             f'and another mode has more ({_defaults("retarget")}); of '
                             f'--corrections {FROM_CORRECTIONS.retarget:g} of their part')
    parser.add_argument('--trust-labels', action='store_true',
                        help='take all labels as they are; without it, labels that look wrong '
                             'are named and left out, and episodes without a label get the mode '
                             'of those that they look like')
    parser.add_argument('--sweep', action='store_true',
                        help='try several strengths of the removal in the folder --out, and '
                             'recommend one; the same command continues a stopped sweep')
    parser.add_argument('--episodes', type=count(), metavar='N',
                        help='episodes of the scenario that judge each strength of a --sweep '
                             f'(default: {_EPISODES}; none without a scenario)')
    add_optimisation(parser, EDIT, 'with --corrections', FROM_CORRECTIONS)


def _defaults(option: str) -> str:
    """Return the defaults of an option by method, as its help has them."""
    values = {method: getattr(defaults, option) for method, defaults in METHODS.items()}
    shown = [f'{value:g} for {method}' for method, value in values.items() if value]
    return f'default: {", ".join(shown)}, else 0'


def run(args: argparse.Namespace) -> int:
    """Edit one run and print what the edit did."""
    _require_sweep(args)
    if args.sweep:
        return _sweep(args)
    out = new_path(args.out)
    new_path(out.with_name(out.name + '.partial'))
    _require_consistent(args)

    from uncloning_ros.learning.checkpoint import load_run

    run = load_run(args.run)
    if args.corrections:
        report = _from_corrections(run, args, out)
    elif args.incidents:
        report = _from_incidents(run, args, out)
    elif args.preferences:
        report = _by_preferences(run, args, out)
    else:
        from uncloning_ros.demos.dataset.store import load_dataset
        from uncloning_ros.learning import choice
        from uncloning_ros.learning.lock import lock
        from uncloning_ros.learning.uncloning import prepared

        dataset = load_dataset(args.data)
        if run.config.network.kind != PLAN:
            _require_no_weight(args)
        options = _options(args, run, LOCKED if run.config.network.kind == PLAN else EDIT)
        if options.method == LOCK:
            report = lock(run, dataset, out, options)
        else:
            edit = prepared(run, dataset, options)
            report = (edit.edit(out, options) if args.method else
                      choice.unclone(edit, out, options))
    following = ('uncloning doubt, since the contract asks for doubt'
                 if run.config.contract.deployment.doubt is not None else
                 'uncloning export, or uncloning doubt for a file with doubt')
    print('\n'.join([*_lines(out, report), f'{"next":<20}{following}']))
    print_warnings(edit_report.warnings_of(report))
    return 0


def _require_consistent(args: argparse.Namespace) -> None:
    """Raise for an option that does not go with the source of the edit."""
    if args.corrections is not None:
        for option, there in {
                '--incidents': args.incidents is not None, '--remove': args.remove is not None,
                '--preferences': args.preferences is not None, '--yes': args.yes,
                '--normal': bool(args.normal), '--method': args.method is not None,
                '--gamma': args.gamma is not None, '--tau': args.tau is not None,
                '--trust-labels': args.trust_labels}.items():
            if there:
                raise UncloningError(f'{option} does not go with --corrections, which are cloned '
                                     f'and remove nothing; leave it out, and remove modes in an '
                                     f'edit of its own')
        return
    if args.data is None and args.incidents is None:
        raise UncloningError('expected --data, --incidents or --corrections, got none of them; '
                             'say what the edit learns from')
    if args.yes and args.preferences is None:
        raise UncloningError('--yes goes with --preferences, which asks before it removes; leave '
                             'it out')
    if args.trust_labels and args.preferences is not None:
        raise UncloningError('--trust-labels is about labels, which --preferences does not use; '
                             'leave it out')
    if args.data is not None:
        if (args.remove is None) == (args.preferences is None):
            raise UncloningError(f'expected --remove or --preferences with --data, got '
                                 f'{"neither" if args.remove is None else "both"}; name the modes '
                                 f'to remove, or give the answers of people')
        if args.sweep and args.preferences is not None:
            raise UncloningError('--preferences has one strength; leave out --sweep')
        for option in ('normal', *(() if args.sweep or args.preferences else ('scenario',))):
            if getattr(args, option):
                raise UncloningError(f'--{option} goes with --incidents; leave it out, or give '
                                     f'--incidents in place of --data')
        return
    for option, reason in {'method': 'has one method', 'retarget': 'retargets nothing',
                           'tau': 'takes no redirect', 'trust_labels': 'judges no labels',
                           'preferences': 'takes no answers of people'}.items():
        if (value := getattr(args, option)) is not None and value is not False:
            raise UncloningError(f'--incidents {reason}; leave out --{option.replace("_", "-")}')


def _require_sweep(args: argparse.Namespace) -> None:
    """Raise for an option that does not go with a sweep, or without one."""
    if not args.sweep:
        if args.episodes is not None:
            raise UncloningError('--episodes goes with --sweep; leave it out')
        return
    for option in ('incidents', 'corrections', 'gamma', 'tau'):
        if getattr(args, option) is not None:
            raise UncloningError(f'--sweep varies the weight of a removal with --data; leave out '
                                 f'--{option}')
    if args.method in (LOCK, FINE_TUNE):
        raise UncloningError(f'--sweep varies the weight of a removal, got --method '
                             f'{args.method}, which has none; leave it out')


def _sweep(args: argparse.Namespace) -> int:
    """Make a sweep and print its table."""
    _require_consistent(args)
    from uncloning_ros.demos.dataset.store import load_dataset
    from uncloning_ros.learning.checkpoint import load_run
    from uncloning_ros.learning.uncloning import prepared
    from uncloning_ros.scenario import find_scenario
    from uncloning_ros.sweep.page import text
    from uncloning_ros.sweep.sweep import next_step, sweep

    run = load_run(args.run)
    asked = {name: value for name, value in given(args, EditOptions).items() if name != 'method'}
    options = replace(EDIT, **{'threads': default_threads(run.config.contract)} | asked)
    name = args.scenario or run.config.data.get('scenario')
    scenario = None if name is None else find_scenario(name)
    if scenario is not None and scenario.receiver_arm is not None:
        scenario = None  # one policy alone cannot be judged there
    if scenario is None and (args.scenario or args.episodes):
        raise UncloningError('--scenario and --episodes of a --sweep need a scenario with a '
                             f'person, got {name or "none"}; leave them out to have measures '
                             f'alone judge, or give another --scenario')
    found = sweep(prepared(run, load_dataset(args.data), options), args.out, options, args.method,
                  scenario, args.episodes or _EPISODES, args.threads or available_cores())
    print(text(found))
    print(next_step(found, args.out, run.config.contract.deployment.doubt is not None))
    print(f'{args.out / "index.html"} has the page')
    return 0


def _require_no_weight(args: argparse.Namespace) -> None:
    """Raise for an option of a method's loss where no method is named."""
    for option in ('gamma', 'tau'):
        if args.method is None and getattr(args, option) is not None:
            raise UncloningError(f'--{option} belongs to a method; name it with --method, or '
                                 f'leave --{option} out')


def _from_incidents(run: 'Run', args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Edit a run by recordings."""
    from uncloning_ros.learning.incidents import shown_by, unclone_incidents
    from uncloning_ros.learning.recordings import recordings_in
    from uncloning_ros.scenario import find_scenario

    options = _options(args, run, FROM_INCIDENTS)
    name = args.scenario or run.config.data.get('scenario')
    scenario = None if name is None else find_scenario(name)
    incidents, unusable = recordings_in(run, args.incidents, scenario)
    normal, others = recordings_in(run, args.normal, scenario) if args.normal else ([], [])
    shown = shown_by(run, incidents, normal, options.remove)
    shown = replace(shown, left_out=[*unusable, *others, *shown.left_out])
    return unclone_incidents(run, shown, out, replace(options, remove=shown.remove))


def _from_corrections(run: 'Run', args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Teach a run corrections, beside old demonstrations where there are some."""
    from uncloning_ros.demos.dataset.store import load_dataset
    from uncloning_ros.learning.corrections import adapt, corrections_in
    from uncloning_ros.scenario import find_scenario

    options = _options(args, run, FROM_CORRECTIONS)
    name = args.scenario or run.config.data.get('scenario')
    old = None if args.data is None else load_dataset(args.data)
    found = corrections_in(run, args.corrections, None if name is None else find_scenario(name))
    return adapt(run, found, old, out, options)


def _by_preferences(run: 'Run', args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Edit a run by the answers of people, once the user has confirmed the episodes."""
    from uncloning_ros.demos.dataset.store import load_dataset
    from uncloning_ros.files import write_json
    from uncloning_ros.learning import choice
    from uncloning_ros.learning.uncloning import Prepared, kept_modes, look
    from uncloning_ros.preferences.removal import ACCEPTED, REFUSED, divided
    from uncloning_ros.scenario import find_scenario

    _require_no_weight(args)
    options = _options(args, run, EDIT)
    if options.method == LOCK or run.config.network.kind == PLAN:
        raise UncloningError(f'--preferences goes with a method that takes steps, got a {PLAN} '
                             f'policy, whose modes have names; remove them with --remove')
    dataset = load_dataset(args.data)
    kept_modes(run, dataset, ())
    name = args.scenario or dataset.scenario
    if name is None:
        raise UncloningError('expected the scenario of the dataset, which has the tool, got none; '
                             'name it with --scenario')
    division = divided(dataset, find_scenario(name), args.preferences)
    print_warnings(division.warnings)
    beside = counted(len(division.beside), 'other recording')
    print(f'{counted(division.answers, "answer")} on episodes of {args.data} and {beside}')
    refused = division.of(REFUSED)
    print(f'{"episode":<34} {"mode":<22} {"reward":>7} {"not accepted":>14}')
    for one in refused:
        print(f'{one.name:<34.34} {one.mode or "-":<22.22} {one.reward:>+7.2f} '
              f'{one.refused:>14.0%}')
    print(f'{len(refused)} to be removed, {len(division.of(ACCEPTED))} kept, '
          f'{len(division.of(None))} unsure and left out')
    if not args.yes and not _confirmed():
        raise UncloningError('nothing was removed; give --yes to remove these episodes')
    sides, options = division.applied(dataset), replace(
        options, remove=(REFUSED,), trust_labels=True)
    edit = Prepared(run, sides, (ACCEPTED,), look(run.policy, sides), None)
    report = (edit.edit(out, options) if args.method else choice.unclone(edit, out, options)) | {
        'preferences': division.report()}
    write_json(out / 'report.json', report)
    return report


def _confirmed() -> bool:
    """Ask in the terminal; without one, or at its end, nothing is confirmed."""
    if not sys.stdin.isatty():
        return False
    print('Remove these episodes? [y/N] ', end='', flush=True)
    # A Ctrl-C between prompt and reading would not end `input`; it is waited for beside the key.
    stopped, stop = os.pipe()
    os.set_blocking(stop, False)
    before = signal.set_wakeup_fd(stop)
    try:
        select.select([sys.stdin, stopped], [], [])
        return sys.stdin.readline().strip().lower() in ('y', 'yes')
    finally:
        signal.set_wakeup_fd(before)
        os.close(stopped)
        os.close(stop)


def _options(args: argparse.Namespace, run: 'Run', default: EditOptions) -> EditOptions:
    """Return the options; raise for one that the method does not have."""
    if args.method == LOCK:
        default = LOCKED
    elif args.method is not None:
        default = replace(EDIT, method=args.method, **vars(METHODS[args.method]))
    if default.method == LOCK:
        for name in [name for name, value in given(args, EditOptions).items()
                     if value is not False and name not in ('remove', 'method')]:
            option = {'learning_rate': 'lr'}.get(name, name.replace('_', '-'))
            raise UncloningError(f'--{option} goes with a method that takes steps, got it with '
                                 f'{LOCK}; leave it out, or choose another --method')
        return replace(LOCKED, remove=args.remove)
    return replace(default, **{'threads': default_threads(run.config.contract)}
                   | given(args, EditOptions))


def _lines(out: Path, report: Mapping[str, Any]) -> list[str]:
    """Return the report as lines of at most 80 columns, the folder's name apart."""
    edit, loss, retargeted, classifier, removal = (report[key] for key in (
        'edit', 'retained_loss', 'retargeted', 'classifier', 'removal'))
    incidents = report.get('incidents')
    rows = [(edit['method'], f'{report["stopped"]}, {report["elapsed_s"]:.1f} s')]
    if loss['before'] is not None:
        change = 100 * (loss['after'] / loss['before'] - 1)
        rows.append(('retained loss', f'{loss["before"]:.4f} before, {loss["after"]:.4f} after '
                                      f'({change:+.1f} %), {loss["windows"]} windows'))
    if incidents is not None:
        if loss['before'] is None:
            rows.append(('retained loss', 'not measured; it takes 5 recordings with --normal'))
        rows += [
            ('incidents', f'{incidents["recordings"]}, {incidents["observations"]} observations; '
                          f'{incidents["forks"]} with a choice'),
            *([('normal operation', f'{counted(incidents["normal"], "recording")}, '
                                    f'{incidents["held_out_normal"]} held out')]
              if incidents['normal'] else []),
            ('plans removed mode', f'{_percent(incidents["removed_before"])} % before, '
                                   f'{_percent(incidents["removed_after"])} % after, at '
                                   f'{incidents["places"]} ' + (
                'held-out choices' if incidents['held_out'] else 'choices it learned from'))]
    if taught := report.get('corrections'):
        rows += _rows_of_corrections(taught)
    if labels := report['labels']:
        verdict = (f'taken as they are: {labels["trusted"]}' if labels['trusted'] else
                   f'{len(labels["doubted"])} look wrong')
        rows += [('labels', f'{counted(labels["labelled"], "episode")}, {verdict}'),
                 ('', 'none could be compared' if labels['agreement'] is None else
                  f'{labels["judged"]} compared with like episodes, '
                  f'{_percent(labels["agreement"])} % confirmed')]
        if labels['unlabelled']:
            given = labels['given']
            rest = labels['unlabelled'] - sum(given.values())
            rows += [('without a label', f'{counted(labels["unlabelled"], "episode")}, '
                                         f'{sum(given.values())} given a mode, {rest} left out'),
                     *(('', f'{count} {mode}') for mode, count in sorted(given.items()))]
        if labels['spans']:
            rows += [('', f'right in {_percent(labels["told"])} % of unseen windows'),
                     ('', f'spans found in {counted(labels["spans"], "episode")}')]
    if report['outside_spans']:
        rows.append(('outside of spans', f'{report["outside_spans"]} windows, held to the '
                                         f'original plans'))
    if retargeted['episodes']:
        batch = 'a batch' if taught else 'a batch of kept modes'
        rows.append(('retargeted', f'{_percent(retargeted["share"])} % of {batch}, '
                                   f'{retargeted["episodes"]} episodes'))
    if classifier is not None:
        accuracy, part = classifier['accuracy'], classifier['choice']
        tested = ('not tested: no episode is held out' if accuracy is None else
                  f'{_percent(accuracy)} % right on held-out windows')
        rows.append(('classifier', f'{tested}, {classifier["steps"]} steps, '
                                   f'{classifier["elapsed_s"]:.1f} s'))
        if part is not None:
            rows.append(('  where modes part', f'{_percent(part["right"])} % right, follows a '
                                               f'swapped chunk in {_percent(part["swapped"])} %'))
    if chosen := report.get('choice'):
        rows += [('removed modes left', 'at starts %  on the way %  retained loss  gamma'),
                 ('  before', f'{_percent(chosen["before"]["starts"]):>11}  '
                              f'{_percent(chosen["before"]["way"]):>12}'),
                 *((f'  {one["method"]}', f'{_percent(one["left"]["starts"]):>11}  '
                    f'{_percent(one["left"]["way"]):>12}  {one["retained_loss"]:13.4f}  '
                    f'{one["gamma"]:5g}')
                   for one in chosen['tried']),
                 ('chosen', edit['method']),
                 *(('', line) for line in textwrap.wrap(chosen['reason'], 59))]
    if removal is not None:
        rows.append(('', ''))
        if 'looks' in removal:
            looks = removal['looks']
            rows += [('after step', ''.join(f'{look["step"]:6d}' for look in looks)),
                     ('plans a kept mode, %', _row([look['open'] / look['observations']
                                                    for look in looks])),
                     ('of these torn, %', _row([look['torn'] / look['open'] if look['open']
                                                else None for look in looks]))]
        else:
            rows += [('hidden share', ''.join(f'{(i + 1) / 10:6.1f}' for i in range(10))),
                     ('gate open, %', _row(removal['open_by_level']))]
            if classifier['accuracy'] is not None:
                rows.append(('classifier, %', _row(classifier['accuracy_by_level'])))
    done = f'removed {", ".join(edit["remove"])}; kept' if edit['remove'] else 'corrected;'
    return [f'{out}: {done} {", ".join(report["kept"])}',
            *(f'{label:<20}{text}'.rstrip() for label, text in rows)]


def _rows_of_corrections(taught: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the lines about corrections: what was learned, and what held the rest."""
    rows = [('corrections', f'{taught["recordings"]}, {taught["observations"]} observations')]
    if taught['off_before_m'] is not None:
        rows.append(('plans off by', f'{1e3 * taught["off_before_m"]:.1f} mm before, '
                                     f'{1e3 * taught["off_after_m"]:.1f} mm after, of the '
                                     f'corrections\' commands'))
    held = ('own plans' if taught['held'] is None else counted(taught['held'], 'demonstration'))
    rows.append(('held by', f'{held}, {taught["held_windows"]} windows'))
    if taught['removed_before']:
        rows.append(('removed before', f'{", ".join(taught["removed_before"])}; not taught'))
    return rows


def _row(values: list[float | None]) -> str:
    return ''.join(f'{_percent(value):>6}' for value in values)


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.1f}'
