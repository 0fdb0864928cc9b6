# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The head of the report: the verdict, the rates, the worst stratum, the matters not covered."""

from uncloning_ros import page
from uncloning_ros.audit.figures.model_figures import Figures
from uncloning_ros.audit.record.audit_record import AuditRecord
from uncloning_ros.audit.wording import NOT_COVERED, limits_text, percent
from uncloning_ros.evidence import Limits
from uncloning_ros.page import Html, below, bold, dim, joined, row


def head(record: AuditRecord) -> str:
    """Return the header of the page."""
    first = record.model
    verdict = (f'<p class="verdict"><b>{first.unsafe_episodes} of {first.episodes} episodes were '
               f'unsafe.</b> With 95 % confidence the unsafe rate (UMR) is below '
               f'<b>{percent(first.umr_upper95)}</b> under the simulated distribution described '
               f'below. {percent(first.sr)} of the handovers were completed as desired and '
               f'safely.</p>')
    body = [row(joined('Unsafe (UMR)', below('95 % upper bound')),
                *(joined(bold(percent(m.umr)), Html('<br>'), bold(percent(m.umr_upper95)))
                  for m in record.models))]
    if record.family is not None:
        body.append(row(dim(f'bound for all {record.family.models} at once'),
                        *(percent(record.family.umr_upper95[m.model_sha256])
                          for m in record.models)))
    body += [row('Success (SR)', *(_with_interval(m.sr, m.sr_interval95) for m in record.models)),
             row('Completed (TCR)', *(_with_interval(m.tcr, m.tcr_interval95)
                                      for m in record.models))]
    return page.header(
        'Handover audit', first.model,
        f'scenario {first.scenario}, {first.episodes} closed-loop episodes, seeds {first.seed} '
        f'to {first.last_seed}',
        verdict, _limits(record.limits),
        page.table(row('', *(m.model for m in record.models)), body, 'figures'),
        _worst(first), '<p><b>Not covered:</b></p>', page.bullets(
            [f'{item};' for item in NOT_COVERED[:-1]] + [f'{NOT_COVERED[-1]}.']),
        page.words(record.statement))


def comparison(record: AuditRecord) -> str:
    """Return the differences of the first model from each other one."""
    body = []
    for other in record.others:
        for key in ('umr', 'sr', 'tcr'):
            found = other.difference[key]
            body.append(row(f'{key.upper()}, less {other.model}',
                            bold(f'{100 * found.difference:+.1f}'),
                            f'{100 * found.low:+.1f} to {100 * found.high:+.1f}',
                            f'{found.only_first} / {found.only_second}',
                            f'{found.p_value:.2g}', f'{found.p_value_holm:.2g}'))
    columns = row(record.model.model, 'points', '95 % interval', 'only this / only other', 'p',
                  'p, corrected')
    return (page.table(columns, body, 'figures')
            + page.words(f'Paired on the same seeds: both meet the same start, person, sensor '
                         f'noise and policy noise. p is the exact McNemar test\'s; corrected for '
                         f'{len(body)} tests by Holm\'s method. Each interval is for its row '
                         f'alone.'))


def _limits(stated: Limits) -> str:
    if stated.exceeded:
        return ''.join(page.notice(f'Limit exceeded: {sentence}.', 'bad')
                       for sentence in stated.exceeded)
    if stated.within_limits is None:
        return page.notice('No limits were stated for this audit.')
    return page.notice(f'Within the stated limits: {limits_text(stated)}.', 'good')


def _worst(model: Figures) -> str:
    if model.worst is None:
        return ''
    return f'<p>{joined(bold("Worst stratum."), " ", model.worst.claim)}</p>'


def _with_interval(rate: float, interval: tuple[float, float]) -> Html:
    low, high = interval
    return joined(bold(percent(rate)), below(f'[{100 * low:.1f}, {100 * high:.1f}]'))
