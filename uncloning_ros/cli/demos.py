# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Simulate demonstrations of every mode and record them as rosbag2 episodes.

A scripted teacher hands over. The mode is drawn independently of the start of the episode. A
take that fails is discarded and made again until N episodes are on disk. Each is labelled by the
scenario's geometric rule, from the recorded data; without poses of tool and hand, as with
cameras, by the simulator. Ctrl-C keeps the finished episodes; the same command with
--resume makes the rest. The result does not depend on the interruption.

  uncloning demos --scenario knife --episodes 400 --seed 0 --out demos/

Corrections in place of demonstrations: a policy begins, and the teacher takes the arm over at a
moment drawn from 1 to 6 s, and hands over in a desired mode:

  uncloning demos --scenario shifted.yaml --episodes 10 --seed 0 \
      --take-over-from policy.onnx --out corrections/
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import add_workers, count, names, new_path, seed
from uncloning_ros.contract import Contract
from uncloning_ros.errors import UncloningError, counted
from uncloning_ros.files import alone_in
from uncloning_ros.scenario import Scenario, contract_of, find_scenario, partner_of

if TYPE_CHECKING:
    from uncloning_ros.simulation.generate import MadeEpisode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('--scenario', required=True, metavar='NAME',
                        help='a shipped scenario, or the path of a scenario file')
    parser.add_argument('--episodes', required=True, type=count(), metavar='N',
                        help='number of demonstrations')
    parser.add_argument('--seed', type=seed, default=0, metavar='N',
                        help='seed of the first episode, the next has the next seed '
                             '(default: %(default)s)')
    parser.add_argument('--only-modes', type=names, metavar='MODE[,MODE]',
                        help='demonstrate these modes alone (default: all, evenly)')
    parser.add_argument('--contract', type=Path, metavar='FILE',
                        help='contract to record by (default: the shipped contract.yaml, for a '
                             'scenario with cameras contract_camera.yaml, with two arms '
                             "contract_giver.yaml, with the scenario's modes)")
    parser.add_argument('--partner-contract', type=Path, metavar='FILE',
                        help='contract of the second arm, in a scenario with two (default: the '
                             "shipped contract_receiver.yaml, with the scenario's modes)")
    parser.add_argument('--take-over-from', type=Path, metavar='MODEL',
                        help='make corrections: this exported policy begins each episode')
    parser.add_argument('--begin-as', metavar='MODE',
                        help='with --take-over-from: the policy is handed the tool as it is '
                             'lifted in this mode, and has the arm for 0.1 to 2 s')
    parser.add_argument('--out', required=True, type=Path, metavar='DIR',
                        help='folder for the episodes')
    parser.add_argument('--resume', action='store_true',
                        help='make the episodes that are still missing in --out')
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Make the demonstrations; return 0, or 130 if Ctrl-C stopped it."""
    from uncloning_ros.demos.bags.episode import bag_topics
    from uncloning_ros.progress import progress_bar
    from uncloning_ros.simulation.capabilities import require_pair, require_simulable
    from uncloning_ros.simulation.demonstrator import require_teachable
    from uncloning_ros.simulation.generate import SimulatedSession, generate, remove_takes
    from uncloning_ros.simulation.receivers.teacher import require_receivable
    from uncloning_ros.simulation.sensors import TRACKED_KEYS

    scenario = find_scenario(args.scenario)
    contract = _contract(args, scenario)
    partner = partner_of(args.partner_contract, scenario)
    require_simulable(contract.interface, scenario)
    require_pair(contract.interface, None if partner is None else partner.interface, scenario)
    modes = contract.interface.require_modes(args.only_modes or (
        tuple(scenario.modes) if args.take_over_from is None else
        contract.interface.desired_modes))
    require_teachable(contract.interface, TRACKED_KEYS, scenario)
    if partner is not None:
        require_receivable(partner.interface)
    for one in (contract, *([] if partner is None else [partner])):
        for topic in bag_topics(one).values():
            topic.require_one_signal()
    if not args.resume:
        new_path(args.out)
    elif not args.out.is_dir():
        raise UncloningError(f'{args.out} is not a folder, so there is nothing to resume; check '
                             f'the path, or leave --resume out')
    session = SimulatedSession(scenario, contract, modes, args.seed, args.out, partner,
                               args.take_over_from, args.begin_as)
    args.out.mkdir(parents=True, exist_ok=args.resume)
    with alone_in(args.out):
        missing = session.missing(args.episodes)
        try:
            with progress_bar('demonstrations', len(missing)) as bar:
                made = generate(session, missing, args.workers, lambda _: bar.update())
        except KeyboardInterrupt:
            remove_takes(args.out)
            complete = len(missing) - len(session.missing(args.episodes))
            print(f'\nstopped: {complete} new episodes are complete in {args.out}; '
                  f'go on with the same command and --resume')
            return 130
    _tell(made, args.episodes - len(missing), args.out, scenario)
    return 0


def _contract(args: argparse.Namespace, scenario: Scenario) -> Contract:
    """Return the contract to record by: for corrections that of the policy that begins.

    Raise `UncloningError` for options that do not go together, `ModelError` for a policy that
    cannot be used, and `ContractError` for a mode that it does not know.
    """
    if args.take_over_from is None:
        if args.begin_as is not None:
            raise UncloningError('--begin-as goes with --take-over-from; name the policy that '
                                 'begins, or leave it out')
        return contract_of(args.contract, scenario)
    from uncloning_ros.runtime.inference import load_policy

    if args.contract is not None:
        raise UncloningError(f'--contract does not go with --take-over-from: '
                             f'{args.take_over_from} has its own contract; leave it out')
    contract = load_policy(args.take_over_from).contract
    if contract.interface.cameras or scenario.receiver_arm is not None:
        raise UncloningError(f'expected a policy without cameras and a scenario with a person for '
                             f'--take-over-from, got {args.take_over_from} in {scenario.name}; '
                             f'record corrections with the nodes')
    if args.begin_as is not None:
        contract.interface.require_modes([args.begin_as])
    return contract


def _tell(made: 'list[MadeEpisode]', before: int, out: Path, scenario: Scenario) -> None:
    counts = Counter(one.mode for one in made)
    shares = ', '.join(f'{counts[mode]} {mode}' for mode in scenario.modes if counts[mode])
    already = f'; {before} were there already' if before else ''
    print(f'{counted(len(made), "new episode")} in {out}: '
          f'{shares or "nothing was missing"}{already}')
    discarded = sum(one.discarded for one in made)
    if discarded:
        print(f'{counted(discarded, "failed take")} discarded and made again')
    odd = [one for one in made if one.labelled != one.mode]
    for one in odd[:5]:
        print(f'{one.name}: expected the label {one.mode}, the rule gives '
              f'{one.labelled or "none"}')
    if len(odd) > 5:
        print(f'... and {len(odd) - 5} more')
