# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Repeat the plans of a policy before an incident, and compare them.

The policy node writes an incident file on HOLD, on FAULT and when /policy/dump is called: the
newest observations, noises and chunks, and the newest decisions of the loop. Exit status: 0 if
every chunk is equal (bit for bit on the same processor, runtime version and thread settings, to
1e-5 elsewhere), 1 if not, 2 for an unusable file.

  uncloning replay ~/.ros/uncloning_incidents/20260131_101500_hold.npz
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('incident', type=Path, metavar='FILE', help='incident file, .npz')
    parser.add_argument('--model', type=Path, metavar='MODEL.onnx',
                        help='path of the policy here (default: its path in the incident)')


def run(args: argparse.Namespace) -> int:
    """Print the decisions, repeat the chunks and compare them; return the exit status."""
    from uncloning_ros.runtime.incident import read_incident
    from uncloning_ros.runtime.inference import load_policy
    from uncloning_ros.runtime.replay import replay

    incident = read_incident(args.incident)
    policy = load_policy(args.model or incident.model_path, incident.model_sha256)
    last_ns = max((int(t) for t in (*incident.ticks_ns, *(e.now_ns for e in incident.events))),
                  default=0)
    print(f'model {incident.model_sha256[:12]}, seed {incident.seed}; the last decisions:')
    for event in incident.events[-12:]:
        print(f'  {(event.now_ns - last_ns) * 1e-9:8.3f} s  {event.state:<8}{event.sentence}')
    result = replay(incident, policy)
    for line in result.other:
        print(f'another machine: {line}')
    worst = max(result.differences, default=0.0)
    how = 'bit for bit' if worst == 0 else f'to {worst:.2g}'
    if result.reproduced:
        print(f'{len(result.indices)} chunks are equal, {how}')
        return 0
    first = next(index for index, difference in zip(result.indices, result.differences,
                                                    strict=True)
                 if not difference <= result.tolerance)
    print(f'chunk {first} differs; the largest difference of all is {worst:.3g}, allowed '
          f'{result.tolerance:g}')
    return 1
