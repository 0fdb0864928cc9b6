# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Simulate many handovers of an exported policy and count the unsafe ones.

The policy runs in closed loop, one episode for each seed. The command reports the completion
rate (TCR), the success rate (SR: completed in a desired mode, and safe), and the unsafe rate
(UMR: with an unsafe event) with its 95 % upper bound. The result is statistical evidence under
the stated simulated distribution. Seeds that the policy was made with are refused.

Decide on the number of episodes before the audit. 299 episodes show a rate below 1 % if none is
unsafe; 1049 episodes show it if at most 5 are unsafe. A policy with a true rate of 0.3 % passes
41 of 100 audits of the first kind and 90 of 100 of the second. For other claims see uncloning
evidence plan.

Ctrl-C interrupts the audit and keeps the finished episodes beside the first output file. The
same command with --resume continues it, and writes exactly the same files as an audit that was
not interrupted.

Several machines share an audit with --shard: each runs some of the episodes, and uncloning
evidence merge writes the files that one machine would have written. With --on a Ray cluster runs
them, with the same result.

Exit status: 0 done, 1 a limit of --max-umr or --min-sr is exceeded, 2 bad input.

  uncloning audit policy.onnx --against mixed.onnx --scenario knife \
      --max-umr 0.01 --min-sr 0.9 --json audit.json --html audit.html \
      --evidence policy.evidence
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import (
    add_workers,
    count,
    fraction,
    new_path,
    non_negative_float,
    require_new_files,
    seed,
    shard_of,
)
from uncloning_ros.errors import AuditError
from uncloning_ros.files import write_whole

if TYPE_CHECKING:
    from uncloning_ros.audit.audit import Audit
    from uncloning_ros.audit.cluster.handing_out import Cluster
    from uncloning_ros.audit.record.finished_episodes import FinishedEpisodes

# Episodes by default: up to 5 unsafe ones show a rate below 1 %, so a good policy seldom fails.
_EPISODES = 1049


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('model', type=Path, metavar='MODEL', help='exported policy (ONNX file)')
    parser.add_argument('--scenario', required=True, metavar='NAME',
                        help='a shipped scenario, or the path of a scenario file')
    parser.add_argument('--episodes', type=count(), default=_EPISODES, metavar='N',
                        help='number of handovers (default: %(default)s)')
    parser.add_argument('--seed', type=seed, metavar='N',
                        help='seed of the first episode; each further one has the next seed '
                             '(default: derived from the digests of models and scenario)')
    parser.add_argument('--against', type=Path, action='append', default=[], metavar='MODEL',
                        help='another model, audited on the same seeds and compared seed by '
                             'seed; may be given several times')
    parser.add_argument('--partner', type=Path, metavar='MODEL',
                        help='policy of the arm that receives, in a scenario with two arms; '
                             'MODEL and those of --against give')
    parser.add_argument('--wrong-starts', type=count(), metavar='N',
                        help='also run N episodes for each undesired mode (default: none). In '
                             'them the scripted teacher grasps and lifts the tool in that mode, '
                             'then the policy takes over')
    parser.add_argument('--ignore-doubt', action='store_true',
                        help='judge doubt, but let it hold no arm; gives no evidence, for a robot '
                             'would hold')
    parser.add_argument('--max-umr', type=fraction, metavar='RATE',
                        help='limit of the 95 %% upper bound of UMR; exit with 1 above it')
    parser.add_argument('--min-sr', type=fraction, metavar='RATE',
                        help='limit of SR; exit with 1 below it')
    parser.add_argument('--json', type=Path, metavar='FILE',
                        help='write all figures and episodes to this file')
    parser.add_argument('--html', type=Path, metavar='FILE',
                        help='write a report with plots, pictures and films to this file')
    parser.add_argument('--evidence', type=Path, metavar='FILE',
                        help='write the evidence about MODEL to this file, for uncloning '
                             'evidence and the policy node')
    parser.add_argument('--resume', action='store_true',
                        help='continue an interrupted audit')
    parser.add_argument('--inference-latency', type=non_negative_float, metavar='S',
                        help='time from planning to the first command, in s (default: 0.005)')
    parser.add_argument('--shard', type=shard_of, metavar='I/N',
                        help='run shard I of N of the episodes, and write its episodes to the '
                             'file of --evidence, for uncloning evidence merge')
    parser.add_argument('--on', type=_address, metavar='ray[:ADDRESS]',
                        help='let a Ray cluster run the episodes: the one at ADDRESS with all its '
                             'cores, or one of --workers cores that is started here')
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Audit models on the same seeds; return 1 if a stated limit of the first is exceeded."""
    outputs: dict[str, Path] = {kind: path for kind in ('json', 'evidence', 'html')
                                if (path := getattr(args, kind)) is not None}
    if args.ignore_doubt and args.evidence is not None:
        raise AuditError('--evidence is about the file as it is deployed, got --ignore-doubt; '
                         'leave one of them out')
    _require_writable(list(outputs.values()), args.resume)
    if args.shard is not None:
        _require_shard_options(args, outputs)

    from uncloning_ros.audit.audit import Audit
    from uncloning_ros.audit.figures.model_figures import StatedLimits
    from uncloning_ros.audit.record.audit_record import audit_record
    from uncloning_ros.audit.report import terminal
    from uncloning_ros.audit.run.seeds import Shard
    from uncloning_ros.scenario import find_scenario
    from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S

    latency_s = (INFERENCE_LATENCY_S if args.inference_latency is None
                 else args.inference_latency)
    limits = StatedLimits(args.max_umr, args.min_sr)
    shard = None if args.shard is None else Shard(*args.shard)
    audit = Audit([args.model, *args.against], find_scenario(args.scenario), args.episodes,
                  args.seed, latency_s, args.workers, args.partner, shard,
                  args.ignore_doubt)
    with (_kept(audit, list(outputs.values()), args.resume) as finished,
          _cluster(args.on, args.workers) as cluster):
        models = audit.run(finished, args.wrong_starts, cluster)
        if shard is not None:
            write_whole(new_path(args.evidence), audit.shard_text(models, limits, shard).encode())
            if finished is not None:
                finished.finish()
            print(f'shard {shard.number} of {shard.count} is in {args.evidence}; give all shards '
                  f'to uncloning evidence merge')
            return 0
        record = audit_record(models, audit.scenario, latency_s, limits)
        texts = audit.files(models, record, limits, outputs)
        try:
            for path, text in texts.items():
                write_whole(new_path(path), text.encode())
            if finished is not None:
                finished.finish()
        finally:
            # Also if the disk is full; and after the files, since a closed pipe stops printing.
            print(terminal.audit_text(record))
    return 1 if record.limits.exceeded else 0


def _address(text: str) -> str:
    """Return the address of a text 'ray:ADDRESS', '' for 'ray'."""
    engine, colon, address = text.partition(':')
    if engine != 'ray' or bool(colon) != bool(address):
        raise argparse.ArgumentTypeError(f'expected ray or ray:ADDRESS, as in ray:auto, got '
                                         f'{text!r}')
    return address


def _cluster(address: str | None, cores: int) -> 'AbstractContextManager[Cluster | None]':
    from uncloning_ros.audit.cluster.ray_cluster import LOCAL, ray_cluster

    return nullcontext() if address is None else ray_cluster(address or LOCAL, cores)


@contextmanager
def _kept(audit: 'Audit', outputs: Sequence[Path],
          resume: bool) -> 'Iterator[FinishedEpisodes | None]':
    """Keep finished episodes beside the first output file; give None where there is none."""
    from uncloning_ros.audit.record.finished_episodes import finished_episodes, finished_path

    if not outputs:
        yield None
        return
    with finished_episodes(finished_path(outputs[0]), audit.setting, resume) as finished:
        try:
            yield finished
        except BaseException:
            if finished.done and finished.path.exists():
                print(f'\n{len(finished.done)} of {audit.total} episodes are kept in '
                      f'{finished.path}; continue with the same command and --resume',
                      file=sys.stderr)
            raise


def _require_shard_options(args: argparse.Namespace, outputs: Mapping[str, Path]) -> None:
    """Raise unless a shard has its one output, and nothing is asked of it but episodes."""
    if set(outputs) != {'evidence'}:
        raise AuditError(f'expected --evidence alone as the output of --shard, got '
                         f'{", ".join(f"--{kind}" for kind in outputs) or "none"}; give the '
                         f'others to uncloning evidence merge')
    if args.wrong_starts is not None:
        raise AuditError('expected --shard without --wrong-starts, got both; run the wrong starts '
                         'in an audit of their own')


def _require_writable(paths: Sequence[Path], resume: bool) -> None:
    """Raise before hours of simulation if the results could not be written."""
    require_new_files(paths)
    if resume and not paths:
        raise AuditError('expected --json, --evidence or --html with --resume, got none of them; '
                         'repeat the command that was '
                         'interrupted')
