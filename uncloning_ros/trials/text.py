# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The outcomes of trials, and observed evidence, as text of at most 80 columns."""

import textwrap
from collections.abc import Sequence

from uncloning_ros.audit.figures.statistics import PairedDifference
from uncloning_ros.audit.wording import limits_text, percent, points
from uncloning_ros.errors import counted
from uncloning_ros.trials import sequential
from uncloning_ros.trials.evidence import ObservedDocument, by_label, compared, differ
from uncloning_ros.trials.plan import LABELS, TrialPlan
from uncloning_ros.trials.results import Observed, succeeded

_WIDTH, _LABEL = 80, 15


def observed_text(document: ObservedDocument) -> str:
    """Return the contents of observed evidence in words; its figures are not checked here."""
    found, plan, limits = document.figures, document.plan, document.limits
    rows = [
        ('kind', 'observed: people saw and wrote down the outcomes of trials on a robot'),
        ('model', f'{found.model} {found.model_sha256}'),
        ('deployment', found.deployment_sha256),
        ('plan', f'{plan.code}, {plan.ending}'),
        ('task', plan.task or 'not stated'),
        ('trials', counted(found.trials, 'trial') + (
            f', {found.not_observed} of them not observed: they count as unsafe and as not '
            f'completed' if found.not_observed else '')),
        ('unsafe', f'{found.unsafe_trials}; with 95 % confidence the rate is below '
                   f'{percent(found.umr_upper95)}'),
        ('success', f'{percent(found.sr)}; with 95 % confidence the rate is above '
                    f'{percent(found.sr_lower95)}'),
        ('modes', ', '.join(f'{mode} {count}' for mode, count in found.modes.items() if count)
         or 'none was completed'),
        ('limits', limits_text(limits, 'lower bound of SR')),
        ('verdict', limits.verdict)]
    if (two := document.comparison) is not None:
        rows += [('compared with', f'{two.other.model} {two.other.model_sha256}'),
                 ('', f'{two.other.unsafe_trials} of {two.other.trials} unsafe, below '
                      f'{percent(two.other.umr_upper95)}; success {percent(two.other.sr)}'),
                 ('difference', _difference(two.fixed, two.anytime, plan))]
    rows += [('made with', f'uncloning_ros {document.software_version}'),
             ('not covered', '; '.join(document.not_covered)),
             ('', document.statement)]
    return _lines(rows) + _side_by_side(document)


def _side_by_side(document: ObservedDocument) -> str:
    """Return the figures of trials and audit next to each other, '' without an audit."""
    found, sim = document.figures, document.simulated
    if sim is None:
        return ''
    rows = [('', 'on the robot', 'simulated'),
            ('trials, episodes', str(found.trials), str(sim.episodes)),
            ('unsafe', str(found.unsafe_trials), str(sim.unsafe_episodes)),
            ('  rate is below', percent(found.umr_upper95), percent(sim.umr_upper95)),
            ('success', percent(found.sr), percent(sim.sr))]
    lines = [f'{label:<20}{robot:>16}{simulated:>16}' for label, robot, simulated in rows]
    about = (f'simulated: scenario {sim.scenario}, evidence {sim.digest}. The bounds of the two '
             f'unsafe rates stand side by side: neither says anything about the other.')
    if (both := sim.combined) is not None:
        about += (f' The success rate has an interval from both: {percent(both.low)} to '
                  f'{percent(both.high)}, from the trials alone {percent(both.real_alone[0])} to '
                  f'{percent(both.real_alone[1])} (95 %); on {both.agreed} of {both.pairs} starts '
                  f'both did the same. Assumed: the starts of the trials are a random sample of '
                  f'the simulated ones.')
    return '\n\n' + '\n'.join([*lines, *textwrap.wrap(about, _WIDTH)])


def blinded_text(plan: TrialPlan, results: Sequence[Observed]) -> str:
    """Return the counts of the trials by label, and with two models their comparison."""
    rows = []
    for label, side in by_label(results, plan).items():
        rows.append((f'model {label}'.strip(), (
            f'{counted(len(side), "trial")}, '
            f'{sum(succeeded(one, plan) for one in side)} succeeded, '
            f'{sum(one.counts_unsafe for one in side)} unsafe')))
    if len(plan.models) == 2:
        fixed, anytime = compared(results, plan, LABELS[0])
        rows += [('A less B', _difference(fixed, anytime, plan)),
                 ('', 'Which is which: give --key and --model at the end.')]
    return _lines(rows)


def _difference(fixed: PairedDifference | None, anytime: sequential.Comparison | None,
                plan: TrialPlan) -> str:
    if anytime is not None:
        found, blocks, after = vars(anytime), anytime.pairs, anytime.decided_after
        decides = f'above {anytime.needed_e_value:.3g} decides'
        decides += f', reached after {counted(after, "block")}' if after else ''
        proof = f'e value {anytime.e_value:.3g} ({decides})'
    else:
        assert fixed is not None
        found, proof, blocks = vars(fixed), f'p {fixed.p_value:.2g}', len(plan.blocks)
    shown = 'a difference is shown' if differ(fixed, anytime, plan) else 'no difference is shown'
    return (f'success rate {points(found)} points, {proof} after {counted(blocks, "block")}: '
            f'{shown} at alpha {plan.alpha:g}')


def _lines(rows: Sequence[tuple[str, str]]) -> str:
    return '\n'.join(line for label, text in rows for line in textwrap.wrap(
        text, _WIDTH, initial_indent=f'{label:<{_LABEL}}', subsequent_indent=' ' * _LABEL))
