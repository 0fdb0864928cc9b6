# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Build training data from bags: label, align, resample and split their episodes.

Reads bags of this package's recorder and of plain ros2 bag record (MCAP or SQLite,
split, compressed). Writes a folder with float32 arrays and dataset.json, which
describes them. Episodes without a label, too short, or with a gap are left out and
named, and so are damaged bags, bags of another robot and recordings of other formats.

  uncloning dataset demos/ --out data/

With --keep-unlabelled episodes without a label stay, with no mode; uncloning train
clones them like all others.

Bags of plain ros2 bag record need a contract: a file with the topics, their types,
the rate of the policy and the modes. --topic names a topic that differs in the bags:

  uncloning dataset monday/ rosbag2_2026_01_31/ --contract my_contract.yaml \
      --topic hand_pose=/tracker/hand --out data/

A correction, in which a person took the arm over from a policy, keeps the part
that the person commanded, alone: the recorder marked it. It is listed as such.

--cut finds several episodes in one bag. They are named after the bag, as in
monday#3, and labelled and split like any other episode. Parts of the bag that belong
to no episode are reported. The three ways to cut:

  event    at the messages of a topic. std_msgs/msg/Bool: true begins an
           episode, false ends it. std_msgs/msg/String: the words start, stop
           and discard, plain or as the "event" of JSON. A discard, or a second
           start, drops the open episode
  gripper  at every handover, by the measured width: open, closed, opened again
           (open_width_m in the contract). An episode ends as the running
           policy's does; it begins where the one before it ended, after the
           last pause of the commands
  idle     where the tool stands still for --idle seconds or more

  uncloning dataset monday/ --contract my_contract.yaml --cut event \
      --event-topic /pedal --out data/
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import add_workers, new_path, seed, share
from uncloning_ros.cli.output import SHOWN, filled, listed, more
from uncloning_ros.cli.reading import add_reading, reading_of
from uncloning_ros.demos.dataset.recipe import LABELS, Recipe, Split
from uncloning_ros.errors import counted

if TYPE_CHECKING:
    from uncloning_ros.demos.dataset.building import BuildReport

_NAMED = ', named in dataset.json'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('bags', type=Path, metavar='BAG', nargs='+',
                        help='bag (directory, .mcap or .db3 file), or folder of bags')
    parser.add_argument('--out', required=True, type=new_path, metavar='DATA',
                        help='folder to make')
    parser.add_argument('--scenario', metavar='NAME',
                        help='shipped scenario, or the path of a .yaml file, whose rule '
                             'recognises the modes (default: knife where the contract has what '
                             'a rule needs, else none)')
    add_reading(parser, 'contract file that replaces policy and deployment parts of the bags; ')
    parser.add_argument('--labels', default=Recipe.labels, choices=LABELS,
                        help="source of an episode's mode: the label of an operator, the "
                             'geometric rule, a named cluster, the simulator, or the mode that '
                             'was planned; auto takes the first of the first four that has '
                             'one (default: %(default)s)')
    parser.add_argument('--keep-unlabelled', action='store_true',
                        help='keep episodes without a label, with no mode')
    parser.add_argument('--validation', type=share, default=Split.validation, metavar='SHARE',
                        help='share of the episodes of each mode, and of those of none, that '
                             'is held out (default: %(default)s)')
    parser.add_argument('--seed', type=seed, default=Split.seed, metavar='N',
                        help='seed of the split (default: %(default)s)')
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Build the dataset; print its modes, the episodes left out and the warnings."""
    from uncloning_ros.demos.dataset.building import build_dataset
    from uncloning_ros.progress import progress_bar
    from uncloning_ros.scenario import find_scenario

    recipe = Recipe(None if args.scenario is None else find_scenario(args.scenario),
                    reading_of(args), args.labels, args.keep_unlabelled)
    with progress_bar('reading episodes') as bar:
        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = build_dataset(args.bags, args.out, recipe, Split(args.validation, args.seed),
                               args.workers, advance)
    print(summary(report))
    print(f'wrote {args.out}')
    return 0


def summary(report: 'BuildReport') -> str:
    """Return the modes of a dataset as a table, then cuts, episodes left out and warnings."""
    from uncloning_ros.demos.dataset.store import SPLITS

    dataset = report.dataset
    rate_hz = dataset.contract.policy.rate_hz
    lines = [f'{"mode":<20} {"episodes":>8} {"train":>7} {"validation":>10} {"frames":>8} '
             f'{"mean s":>7}']
    rows = {mode: [one for one in dataset.episodes if one.mode == mode]
            for mode in (*dataset.contract.interface.mode_names, None)}
    named = {mode or 'without a label': found for mode, found in rows.items() if mode or found}
    for name, found in {**named, 'all': dataset.episodes}.items():
        splits = Counter(one.split for one in found)
        frames = sum(one.frames for one in found)
        mean_s = frames / rate_hz / len(found) if found else 0.0
        lines.append(f'{name:<20} {len(found):>8} {splits["train"]:>7} '
                     f'{splits["validation"]:>10} {frames:>8} {mean_s:>7.1f}')
    sources = Counter(one.label_source for one in dataset.episodes if one.label_source)
    lines.append('labels by ' + (', '.join(f'{source} {n}' for source, n in sources.items())
                                 or '-'))
    spans = [one for one in dataset.episodes if one.span is not None]
    if spans:
        outside = sum(len(dataset.frames_without_mode(split, labelled=True)) for split in SPLITS)
        lines.append(f'{counted(len(spans), "label")} with a span; {outside} of '
                     f'{len(dataset.observations)} windows lie outside and have no mode')
    corrections = [one for one in dataset.episodes if one.correction_s is not None]
    if corrections:
        lines.append(filled(f'{counted(len(corrections), "correction")}: of an episode in which a '
                            f'person took the arm over, the frames are those that the person '
                            f'commanded, {sum(one.frames for one in corrections)} in all'))
    lines += _cut_lines(report)
    lines += listed(f'left out {len(dataset.left_out)}',
                    [f'{one.name}: {one.reason}' for one in dataset.left_out], _NAMED)
    return '\n'.join([*lines, *(filled(f'warning: {one}') for one in report.warnings)])


def _cut_lines(report: 'BuildReport') -> list[str]:
    """Return the number of pieces of each bag, and the length cut off by reason."""
    lines = []
    for name, cut in [*report.cuts.items()][:SHOWN]:
        lines.append(f'cut {name} into {len(cut.pieces)}')
        rest_ns: Counter[str] = Counter()
        for rest in cut.remainders:
            rest_ns[rest.reason] += rest.end_ns - rest.begin_ns
        lines += [f'  cut off {length_ns * 1e-9:.1f} s: {reason}'
                  for reason, length_ns in rest_ns.items()]
    return lines + more(len(report.cuts), _NAMED)
