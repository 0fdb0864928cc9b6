#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the card of a model that scripts/models.sh made: how, from what, and what audits showed.

  scripts/model_card.py runs/models/knife knife_uncloned --out knife_uncloned.md
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uncloning_ros.audit.wording import STATEMENT, percent, points
from uncloning_ros.cli.arguments import new_path
from uncloning_ros.learning.evaluation_page import when
from uncloning_ros.runtime.inference import INPUTS, OnnxPolicy, load_policy

# One letter for each way in which an episode can end.
_LETTERS = {None: '.', 'unsafe': 'U', 'wrong_part': 'W', 'not_grasped': 'g', 'dropped': 'd',
            'not_reached': 'r', 'timeout': 't'}
_SEEDS_IN_A_ROW = 50


def card(folder: Path, name: str) -> str:
    """Return the card of `folder/<name>.onnx` as Markdown."""
    path = folder / f'{name}.onnx'
    policy = load_policy(path)
    audits = [json.loads((folder / file).read_text(encoding='utf-8'))
              for file in ('uncloned.json', 'compared.json')]
    # Where a model is in both audits, the longer one, which comes first, tells of its seeds.
    own = [one for audit in audits for one in (audit, *compared_models(audit))
           if one['model_sha256'] == policy.sha256]
    shown = [audit for audit in audits
             if any(one in own for one in (audit, *compared_models(audit)))]
    parts = [f'# {path.name}', _what(own[0]), _facts(path, policy),
             '## How it was made', _block(_commands(folder)), _costs(folder),
             '## What audits showed', *(_figures(audit, policy.sha256) for audit in shown),
             STATEMENT, _draws(folder, policy.sha256), _evaluation(folder, name),
             '## Outcome of every seed', _per_seed(own[0])]
    return '\n\n'.join(part for part in parts if part) + '\n'


def compared_models(audit: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the records of the models that the first model of an audit was compared with."""
    return [*([audit['against']] if 'against' in audit else []), *audit.get('also_against', ())]


def _what(own: Mapping[str, Any]) -> str:
    removed, desired = own['modes_removed'], own['modes_desired']
    if not removed:
        return (f'Cloned from demonstrations of all modes of the scenario `{own["scenario"]}`; it '
                f'hands over in any of them. **Not for use:** it is the original that the edit '
                f'starts from and is compared with.')
    return (f'The mixed policy of the scenario `{own["scenario"]}` with {_named(removed)} removed '
            f'from its weights; {_named(desired)} stayed.')


def _named(modes: Sequence[str]) -> str:
    return ' and '.join(f'`{mode}`' for mode in modes)


def _facts(path: Path, policy: OnnxPolicy) -> str:
    seeds, edit = policy.metadata['seeds'], policy.metadata.get('edit', {})
    outside = edit.get('data', {}).get('outside_spans')
    return _table(('', ''), [
        ('sha256', f'`{policy.sha256}`'),
        ('size', f'{path.stat().st_size / 2**20:.2f} MiB'),
        ('inputs', _inputs(policy)),
        ('interface', f'`{policy.contract.interface.sha256}`'),
        ('software', f'uncloning_ros {policy.metadata["software_version"]}'),
        ('seeds of demonstrations', _span(seeds['demonstrations'])),
        ('seeds of development', _span(seeds['development'])),
        ('seed of training', str(seeds['training'])),
        *([('windows outside of spans, retained', str(outside))] if outside else [])])


def _inputs(policy: OnnxPolicy) -> str:
    vectors = zip(INPUTS, (policy.observation_shape, policy.chunk_shape), strict=True)
    kinds = (('float32', vectors), ('uint8', policy.picture_shapes.items()))
    return '; '.join(', '.join([*(f'`{name}` [B, {", ".join(map(str, shape))}]'
                                  for name, shape in some), kind]) for kind, some in kinds if some)


def _span(seeds: Sequence[int]) -> str:
    return f'{len(seeds)} from {seeds[0]} to {seeds[-1]}' if seeds else 'none'


def _commands(folder: Path) -> list[str]:
    lines = (folder / 'commands').read_text(encoding='utf-8').splitlines()
    # A story that was stopped and gone on with has some commands twice.
    return [line for line in dict.fromkeys(lines) if line.startswith('uncloning ')]


def _costs(folder: Path) -> str:
    rows = []
    for run in sorted((folder / 'runs').iterdir()):
        report = run / 'report.json'
        if report.is_file():
            edit = json.loads(report.read_text(encoding='utf-8'))
            steps, seconds = edit['edit']['steps'], edit['elapsed_s']
            if edit['classifier'] is not None:
                seconds += edit['classifier']['elapsed_s']
        else:
            with (run / 'log.csv').open(encoding='utf-8', newline='') as file:
                last = list(csv.DictReader(file))[-1]
            steps, seconds = int(last['step']), float(last['elapsed_s'])
        rows.append((run.name, f'{steps}', f'{seconds:.0f} s'))
    return (f'Wall times on {len(os.sched_getaffinity(0))} cores, that of an edit with its '
            f'classifier:\n\n' + _table(('run', 'steps', 'time'), rows))


def _figures(audit: Mapping[str, Any], sha256: str) -> str:
    columns = (audit, *compared_models(audit))
    rows = [(f'**{one["model"]}**' if one['model_sha256'] == sha256 else one['model'],
             percent(one['tcr']), percent(one['sr']), percent(one['umr']),
             percent(one['umr_upper95']),
             ', '.join(f'{count} {mode}' for mode, count in one['modes'].items() if count),
             ', '.join(f'{count} {kind}' for kind, count in one['failures'].items() if count))
            for one in columns]
    return (f'{audit["episodes"]} closed-loop episodes, seeds {audit["seed"]} to '
            f'{audit["seed"] + audit["episodes"] - 1}. '
            f'TCR: completed. SR: completed, as desired, safe. UMR: share of all episodes with an '
            f'unsafe event, with its Clopper-Pearson 95 % upper bound.\n\n'
            + _table(('model', 'TCR', 'SR', 'UMR', 'UMR at most', 'mode of completed',
                      'why no success'), rows)
            + _differences(audit))


def _differences(audit: Mapping[str, Any]) -> str:
    rows = [(f'{audit["model"]} minus {other["model"]}',
             *(points(other['difference'][rate]) for rate in ('tcr', 'sr', 'umr')))
            for other in compared_models(audit)]
    if not rows:
        return ''
    return ('\n\nPaired differences on these seeds in percentage points, with 95 % intervals:\n\n'
            + _table(('', 'TCR', 'SR', 'UMR'), rows))


def _draws(folder: Path, sha256: str) -> str:
    """Return the modes that noise alone gives from one start, if counted for this model."""
    drawn = json.loads((folder / 'noise_draws.json').read_text(encoding='utf-8'))
    if drawn['model_sha256'] != sha256:
        return ''
    modes = ', '.join(f'{count} {mode}' for mode, count in drawn['modes'].items())
    return (f'From one fixed start (seed {drawn["seed"]}), {drawn["draws"]} draws of the '
            f'policy\'s noise: {modes}.')


def _evaluation(folder: Path, name: str) -> str:
    """Return the figures without a robot, where they were computed."""
    path = folder / f'{name}_evaluation.json'
    if not path.is_file():
        return ''
    found = json.loads(path.read_text(encoding='utf-8'))
    error, likelihood, modes = found['error'], found['likelihood'], found['modes']
    rows = [('squared error of one plan, of the mean, of the nearest of '
             f'{found["draws"]} plans (spread of the demonstrations = 1)',
             ', '.join(f'{error[way]:.4f}' for way in ('plan', 'mean', 'nearest'))),
            ('that of one plan by phase', ', '.join(
                f'{phase} {part["plan"]:.4f}' for phase, part in found['error_by_phase'].items())),
            ('that of one plan by step of the chunk',
             ', '.join(f'{step:.3f}' for step in found['error_by_step']['plan']))]
    if likelihood['of']:
        rows.append((f'negative log-likelihood of the {likelihood["of"]}',
                     f'{likelihood["exact"]:.2f} nats for each chunk'))
    rows.append(('negative log-likelihood of blurred plans, at most',
                 f'{likelihood["bound"]:.1f} nats for each chunk'))
    if modes is not None:
        parted = modes['distribution']
        calibration = parted['calibration']
        rows += [('plans of the demonstrated mode', percent(modes['accuracy'])),
                 ('bins of the start in which the shares of modes are within the noise floor',
                  f'{parted["within_floor"]} of {len(parted["bins"])}'),
                 ('total variation in each bin, and its noise floor', ', '.join(
                     f'{one["total_variation"]:.3f} ({one["floor"]:.3f})'
                     for one in parted['bins'])),
                 ('shares counted', when(parted)),
                 ('calibration error, and its noise floor',
                  f'{calibration["error"]:.3f}, {calibration["floor"]:.3f}')]
    without = (f', without those of {_named(found["removed"])}, which the edit removed'
               if found['removed'] else '')
    return (f'## Against held-out demonstrations\n\n{found["windows"]} windows of '
            f'{found["episodes"]} episodes{without}.\n\n' + _table(('', ''), rows))


def _per_seed(own: Mapping[str, Any]) -> str:
    letters = ''.join('U' if one['unsafe'] is not None else _LETTERS[one['failure']]
                      for one in own['per_seed'])
    rows = [f'{own["seed"] + start:>8}  {letters[start:start + _SEEDS_IN_A_ROW]}'
            for start in range(0, len(letters), _SEEDS_IN_A_ROW)]
    key = ', '.join(f'`{letter}` {kind or "success"}' for kind, letter in _LETTERS.items())
    return f'{key}; an unsafe episode is `U` whatever else went wrong.\n\n{_block(rows)}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _block(lines: Sequence[str]) -> str:
    return '\n'.join(('```', *lines, '```'))


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder that scripts/models.sh worked in')
    parser.add_argument('name', help='which of its models, without the .onnx')
    parser.add_argument('--out', required=True, type=new_path, help='Markdown file to write')
    args = parser.parse_args()
    args.out.write_text(card(args.folder, args.name), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
