# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks/trials.md and its figure: the statistics of observed trials, tried out.

    cd bench; python -m trials
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from comparison.markdown import table

from trials.series import (
    PAIRS,
    SIMULATED,
    STAND_IN,
    Saving,
    Together,
    convenient,
    equal_models,
    savings,
    sequences,
    simulators,
    stand_in,
)
from uncloning_ros import page
from uncloning_ros.files import write_whole

DOCS = Path(__file__).parents[2] / 'docs' / 'benchmarks'
SEED = 2026
_WIDTH, _TALL, _LEFT, _TOP, _BAR = 760, 250, 60, 40, 20
_COLORS = {'fixed plan': '#8b5a2b', 'may stop early': '#2b5f8a', 'made for 10 points': '#6b9e5b'}


def main() -> None:
    """Run all series and write page and figure."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--series', type=int, default=2000, help='simulated clipboards in a row')
    series = parser.parse_args().series
    saved = savings(series, SEED)
    write_whole(DOCS / 'trials.md', written(series, saved).encode())
    write_whole(DOCS / 'trials.svg', picture(saved).encode())


def written(series: int, saved: Sequence[Saving]) -> str:
    """Return the page."""
    nulls, held = equal_models(series, SEED), sequences(series, SEED)
    kinds, chosen = simulators(series, SEED), convenient(series, SEED)
    other, starts = stand_in(series, SEED, STAND_IN), len(STAND_IN.read_text().splitlines()) - 2
    return f'''# Statistics of trials, tried out

This page is written by `cd bench; python -m trials`, from {series} simulated clipboards in each
row. It checks [Stopping early](../trials.md#stopping-early) and
[Simulation and reality](../trials.md#simulation-and-reality-side-by-side). All claims are at 95 %,
so alpha is 5 %.

## Two equal models

Someone looks after every one of {PAIRS} pairs and stops at the first difference. The last column
does the same with the exact McNemar test, which is made for one look.

{table(('two models', 'difference found', 'McNemar, looked at as often'),
       ((row.words, _percent(row.bet), _percent(row.peeked)) for row in nulls))}

## Pairs saved

The plan that may stop early is as long as it has to be to find the difference as often as the
fixed plan (80 or 90 %), and runs until the first decision. The fixed plan is that of the exact
McNemar test, with the normal approximation beside it, which is too short for few pairs. In the
last column the difference was not known: the plan was made to find 10 points.

![Pairs of trials by the true difference](trials.svg)

{table(('rates', 'found', 'fixed plan', 'by approximation', 'plan with stops', 'runs on average',
        'saved', 'planned for 10 points, runs'),
       ((f'{_percent(row.rates[0])} and {_percent(row.rates[1])}', _percent(row.power),
         str(row.fixed), f'{row.normal:.0f}', str(row.most), f'{row.mean:.0f}',
         _percent(1 - row.mean / row.fixed), f'{row.for_ten:.0f}') for row in saved))}

## Intervals that may be looked at

Share of series whose interval holds the truth after every one of {PAIRS} trials or pairs.

{table(('truth', 'held at every look', 'Clopper-Pearson, looked at as often'),
       ((row.words, _percent(row.sequence), _percent(row.peeked) if row.peeked == row.peeked
         else '') for row in held))}

## Real and simulated trials in one interval

Starts are drawn at random; each pair is one real trial and one simulated episode of the same
start; {SIMULATED} more episodes are simulated. *Shorter* compares the interval with the
Clopper-Pearson interval of the real trials alone.

{_together(kinds)}

### Starts chosen because they are easy

The assumption is broken: real trials are of the easiest share of the starts, simulated episodes
and truth of all.

{_together(chosen)}

### A second physics setting in place of reality

`knife_uncloned.onnx` on {starts} starts, drawn more widely than those of its training, once in the
simulator and once with less friction, a heavier knife, slower and noisier tracking and other noise
of the policy (`bench/trials/stand_in.py`). Pairs are drawn from these starts, which are the whole
truth here: at random, or from the half of them whose tool lies most as in the training.

{_together(other)}
'''


def picture(saved: Sequence[Saving]) -> str:
    """Return an SVG file: pairs of fixed plans and of plans that may stop, by difference."""
    rows = [row for row in saved if row.power == 0.9]
    most, floor = max(max(row.fixed, row.for_ten) for row in rows), _TOP + _TALL
    parts = ['<rect width="100%" height="100%" fill="#ffffff"/>',
             page.text(_LEFT, _TOP - 26, 'Pairs of trials to find a difference 9 times of 10; '
                       'below: share of the fixed plan', 'start')]
    step = (_WIDTH - _LEFT - 20) / len(rows)
    for i, row in enumerate(rows):
        left = _LEFT + i * step
        for k, (pairs, color) in enumerate(zip((row.fixed, row.mean, row.for_ten),
                                               _COLORS.values(), strict=True)):
            height = _TALL * pairs / most
            parts.append(f'<rect x="{left + k * (_BAR + 8):.1f}" y="{floor - height:.1f}" '
                         f'width="{_BAR}" height="{height:.1f}" fill="{color}"/>')
            parts.append(page.text(left + k * (_BAR + 8) + _BAR / 2, floor - height - 5,
                                   f'{pairs:.0f}', 'middle', 'dim'))
        low, high = (f'{100 * rate:g}' for rate in row.rates)
        parts.append(page.text(left, floor + 20, f'{low} and {high} %', 'start'))
        parts.append(page.text(left, floor + 38, _percent(row.mean / row.fixed), 'start', 'dim'))
    x = float(_LEFT)
    for words, color in _COLORS.items():
        parts.append(f'<rect x="{x}" y="{floor + 56}" width="12" height="12" fill="{color}"/>')
        parts.append(page.text(x + 18, floor + 67, words, 'start'))
        x += 60 + 7.2 * len(words)
    style = ('<style>text{font:13px system-ui,sans-serif;fill:#1d2329}.dim{fill:#5a6672}'
             '</style>')
    return page.svg(_WIDTH, floor + 80, [style, *parts],
                    'Pairs of trials by the true difference').replace(
        '<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + '\n'


def _together(rows: Sequence[Together]) -> str:
    return table(
        ('starts or simulator', 'pairs', 'correlation', 'simulator off by', 'covered', 'shorter',
         'real alone covered'),
        ((row.words, str(row.pairs), f'{row.correlation:.2f}',
          f'{100 * row.simulator_off:+.0f} points', _percent(row.covered),
          f'{100 * row.shorter:.0f} %', _percent(row.alone_covered)) for row in rows))


def _percent(share: float) -> str:
    return f'{100 * share:.1f} %'.replace('.0 %', ' %')


if __name__ == '__main__':
    main()
