#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks/labels.md: what an edit makes of few labels, and of wrong ones.

    cd bench; python labels.py ../runs/knife ../runs/knife_route --page

Each folder is that of a scenario of the comparison, with its demonstrations as `data` and its
mixed policy as `mixed`. No simulation is needed. The modes that the contract does not desire are
removed. Without --page the page is printed.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from comparison.markdown import STATEMENT, bullets, listed, table
from comparison.relabelled import few_labels, kept_first, wrong_labels

from uncloning_ros.demos.dataset.store import Dataset, load_dataset
from uncloning_ros.files import write_whole
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.opinions import Opinions, opinions
from uncloning_ros.learning.uncloning import look
from uncloning_ros.learning.windows import Looked

PAGE = Path(__file__).parents[1] / 'docs' / 'benchmarks' / 'labels.md'
FEW, WRONG, DRAWS = (1, 3, 5, 10), (0.0, 0.1, 0.2, 0.3), 3


@dataclass(frozen=True)
class Task:
    """A dataset whose labels are right, the policy of its edit, and the modes, kept ones first."""

    name: str
    run: Run
    dataset: Dataset
    looked: Looked | None
    modes: tuple[str, ...]
    kept: int

    def judged(self, labels: Sequence[str | None]) -> Opinions:
        """Return the opinions of the edit on the dataset with these labels."""
        episodes = tuple(replace(one, mode=mode, label_source=mode and one.label_source)
                         for one, mode in zip(self.dataset.episodes, labels, strict=True))
        return opinions(self.run.policy.normaliser, replace(self.dataset, episodes=episodes),
                        self.modes, self.kept, 0, self.looked)

    def crossed(self, index: int, mode: str | None) -> bool:
        """Tell whether a mode of an episode is on the wrong side: kept, or removed."""
        true, taken = (self.modes.index(str(one)) < self.kept
                       for one in (self.dataset.episodes[index].mode, mode))
        return true != taken


def task_of(folder: Path) -> Task:
    """Return the task in the folder of a scenario."""
    run, dataset = load_run(folder / 'mixed'), load_dataset(folder / 'data')
    contract = run.config.contract
    return Task(folder.name, run, dataset, look(run.policy, dataset), kept_first(contract),
                len(contract.interface.desired_modes))


def few(task: Task, each: int, seed: int) -> tuple[Opinions, Sequence[int]]:
    """Leave a few labels of training episodes of each mode; return the opinions, and the counts.

    The counts are those of modes given, of right ones, and of those on the wrong side.
    """
    labels = few_labels(task.dataset.episodes, task.modes, each, seed)
    truth, found = [one.mode for one in task.dataset.episodes], task.judged(labels)
    return found, (len(found.given), sum(truth[i] == mode for i, mode in found.given.items()),
                   sum(task.crossed(i, mode) for i, mode in found.given.items()))


def wrong(task: Task, share: float, seed: int) -> tuple[Opinions, Sequence[int]]:
    """Make a share of the labels wrong; return the opinions, and the counts.

    The counts are those of wrong labels, of those found, of right ones that are doubted, and of
    wrong ones left on the wrong side.
    """
    labels = wrong_labels(task.dataset.episodes, task.modes, share, seed)
    bad = {i for i, one in enumerate(task.dataset.episodes) if one.mode != labels[i]}
    found = task.judged(labels)
    return found, (len(bad), len(bad & {*found.doubted}), len({*found.doubted} - bad),
                   sum(task.crossed(i, labels[i]) for i in bad - {*found.doubted}))


def rows(tasks: Sequence[Task], values: Sequence[float], what: str) -> list[list[str]]:
    """Return the rows of a table: each draw's figures with commas between them."""
    found = []
    for task in tasks:
        for value in values:
            draws = [few(task, int(value), seed) if what == 'few' else wrong(task, value, seed)
                     for seed in range(DRAWS)]
            agreement = ['-' if one.agreement is None else f'{one.agreement:.0%}'
                         for one, _ in draws]
            found.append([f'`{task.name}`', f'{value:g}' if what == 'few' else f'{value:.0%}',
                          listed(one.judged for one, _ in draws), listed(agreement),
                          *map(listed, zip(*(counts for _, counts in draws), strict=True))])
    return found


def page(tasks: Sequence[Task]) -> str:
    """Return the page as Markdown."""
    sizes = [f'`{one.name}`: {len(one.dataset.episodes)} demonstrations of {len(one.modes)} '
             f'modes; kept: {", ".join(one.modes[:one.kept])}' for one in tasks]
    return '\n\n'.join([
        '# Few labels, wrong labels, measured',
        f'{STATEMENT} This page is written by `bench/labels.py --page`; [The '
        f'edit](../uncloning.md#few-labels-wrong-labels) explains how labels are judged.',
        bullets([*sizes, f'{DRAWS} draws of the labels; their figures have commas between them.',
                 'Judged: labels that could be compared with others. Agreement: the share of '
                 'these that the others confirm.',
                 'Wrong side: a removed mode in place of a kept one, or the other way round. A '
                 'mistake between two removed modes changes nothing in the edit.']),
        '## Few labels',
        table(('scenario', 'labels of each mode', 'judged', 'agreement', 'modes given', 'right',
               'wrong side'), rows(tasks, FEW, 'few')),
        '## Wrong labels',
        'All episodes have a label. A wrong one is drawn from the other modes.',
        table(('scenario', 'labels that are wrong', 'judged', 'agreement', 'wrong labels', 'found',
               'right ones doubted', 'left on the wrong side'), rows(tasks, WRONG, 'wrong')),
    ]) + '\n'


def main() -> int:
    """Measure, and write or print the page."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folders', nargs='+', type=Path, metavar='FOLDER',
                        help='folder of a scenario, with data and mixed')
    parser.add_argument('--page', action='store_true', help=f'write {PAGE.name}')
    args = parser.parse_args()
    torch.set_num_threads(1)
    text = page([task_of(folder) for folder in args.folders])
    if args.page:
        write_whole(PAGE, text.encode())
    else:
        print(text)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
