# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Hand over in simulation, many times, and count what was unsafe.

Runs an exported policy in closed loop, one episode for each seed, and reports how many
handovers were completed (TCR), were completed as desired and safely (SR), and held an unsafe
event (UMR), with the 95 % upper bound of the last. The result is statistical evidence under
the stated simulated distribution, and no more. Seeds by which the policy was made are refused.

Exit status: 0 done, 1 a limit of --max-umr or --min-sr is exceeded, 2 bad input.

  uncloning audit policy.onnx --against mixed.onnx --scenario knife \
      --episodes 300 --seed 1000 --json audit.json --html audit.html
"""

import argparse
import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncloning_ros.cli.arguments import (
    add_workers,
    fraction,
    new_path,
    non_negative_float,
    positive_int,
    seed,
)
from uncloning_ros.errors import AuditError
from uncloning_ros.files import write_whole

if TYPE_CHECKING:
    from uncloning_ros.audit.metrics import EpisodeResult
    from uncloning_ros.audit.report import Strip
    from uncloning_ros.audit.summary import Audited
    from uncloning_ros.runtime.inference import OnnxPolicy
    from uncloning_ros.scenario import Scenario

# The least number whose bound is below 1 % when nothing unsafe happens is 299.
_EPISODES = 300
# Records of a model that name seeds of environments; training seeds draw weights and batches.
_SEED_RECORDS = ('demonstrations', 'development')
_JSON_LINE = 1200
_COLUMN = 17
_LABEL = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('model', type=Path, metavar='MODEL', help='exported policy (ONNX file)')
    parser.add_argument('--scenario', required=True, metavar='NAME',
                        help='a shipped scenario, or the path of a scenario file')
    parser.add_argument('--episodes', type=positive_int, default=_EPISODES, metavar='N',
                        help='how many handovers (default: %(default)s; 299 without an unsafe '
                             'event show a rate below 1 %%)')
    parser.add_argument('--seed', type=seed, metavar='N',
                        help='seed of the first episode, the next has the next seed '
                             '(default: derived from the digests of models and scenario)')
    parser.add_argument('--against', type=Path, metavar='MODEL',
                        help='second model, audited on the same seeds and compared in pairs')
    parser.add_argument('--max-umr', type=fraction, metavar='RATE',
                        help='exit with 1 if the 95 %% upper bound of the unsafe rate is above')
    parser.add_argument('--min-sr', type=fraction, metavar='RATE',
                        help='exit with 1 if the success rate is below')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures here')
    parser.add_argument('--html', type=Path, metavar='FILE',
                        help='write a report with plots and pictures here')
    parser.add_argument('--inference-latency', type=non_negative_float, metavar='S',
                        help='time from planning to the first command, in s (default: 0.005)')
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Audit one model, or two on the same seeds; return 1 if a stated limit is exceeded."""
    outputs = [path for path in (args.json, args.html) if path is not None]
    _require_writable(outputs)

    from uncloning_ros.audit.rollout import INFERENCE_LATENCY_S
    from uncloning_ros.audit.summary import StatedLimits, audit_record
    from uncloning_ros.runtime.inference import load_policy
    from uncloning_ros.scenario import find_scenario

    latency_s = (INFERENCE_LATENCY_S if args.inference_latency is None
                 else args.inference_latency)
    scenario = find_scenario(args.scenario)
    paths = [args.model] if args.against is None else [args.model, args.against]
    policies = {path: load_policy(path) for path in paths}
    _require_comparable(paths, policies, scenario)
    first = _derived_seed(policies.values(), scenario) if args.seed is None else args.seed
    seeds = range(first, first + args.episodes)
    for path, policy in policies.items():
        _require_unseen(path, policy, seeds)

    audited = [_audit(path, policies[path], scenario, seeds, args.workers, latency_s)
               for path in paths]
    against = audited[1] if args.against is not None else None
    record = audit_record(audited[0], scenario, latency_s,
                          StatedLimits(args.max_umr, args.min_sr), against)
    page = None
    if args.html is not None:
        from uncloning_ros.audit.report import html_report

        page = html_report(record, scenario,
                           _strips(audited, paths, scenario, args.workers, latency_s))
    try:
        if args.json is not None:
            write_whole(new_path(args.json), f'{json_text(record)}\n'.encode())
        if page is not None:
            write_whole(new_path(args.html), page.encode())
    finally:
        # Neither takes a full disk the figures from the screen, nor a reader who has seen
        # enough of them, as `head` does, the files.
        print(table(record))
    return 1 if record['limits']['exceeded'] else 0


def json_text(value: Any, indent: str = '') -> str:
    """Return JSON that people can read as well: one line for what fits, such as an episode."""
    text = json.dumps(value, allow_nan=False)
    if len(text) <= _JSON_LINE or not isinstance(value, dict | list):
        return text
    inner = f'{indent} '
    if isinstance(value, dict):
        rows = [f'{json.dumps(key)}: {json_text(item, inner)}' for key, item in value.items()]
        opening, closing = '{', '}'
    else:
        rows = [json_text(item, inner) for item in value]
        opening, closing = '[', ']'
    return opening + ','.join(f'\n{inner}{row}' for row in rows) + f'\n{indent}{closing}'


def table(record: Mapping[str, Any]) -> str:
    """Return the figures as text of at most 80 columns."""
    from uncloning_ros.audit.summary import percent, points

    against = record.get('against')
    columns = [record] if against is None else [record, against]
    lines = [f'scenario {record["scenario"]}, {record["episodes"]} episodes, seeds '
             f'{record["seed"]} to {record["seed"] + record["episodes"] - 1}', '']

    def row(label: str, cells: Sequence[str], more: str = '') -> None:
        lines.append((f'{label:{_LABEL}}' + ''.join(f'{cell:>{_COLUMN}}' for cell in cells)
                      + more).rstrip())

    row('', [_shortened(column['model']) for column in columns],
        '   difference (95 %)' if against else '')
    for label, key in (('completed (TCR)', 'tcr'), ('success (SR)', 'sr'),
                       ('unsafe (UMR)', 'umr')):
        difference = against['difference'][key] if against else None
        row(label, [percent(column[key]) for column in columns],
            f'   {points(difference)}' if difference else '')
        if key == 'umr':
            row('  95 % upper bound', [percent(column['umr_upper95']) for column in columns])
    for part, title in (('modes', 'mode of completed'), ('failures', 'why no success')):
        names = [name for name in record[part] if any(column[part][name] for column in columns)]
        if names:
            row(title, [])
        for name in names:
            row(f'  {name}', [str(column[part][name]) for column in columns])
    row('worst stratum', [])
    for column in columns:
        stratum = next(s for s in column['strata'] if s['stratum'] == column['worst_stratum'])
        lines.append(f'  {_shortened(column["model"])}: {stratum["stratum"]}, '
                     f'{stratum["unsafe_episodes"]} of {stratum["episodes"]} unsafe, SR '
                     f'{percent(stratum["sr"])}')
    lines += ['', 'Statistical evidence under the stated simulated distribution, for this file '
              'and', 'no other; it is no safety certificate.']
    for sentence in record['limits']['exceeded']:
        lines += textwrap.wrap(f'LIMIT EXCEEDED: {sentence}.', 80, subsequent_indent='  ')
    return '\n'.join(lines)


def _audit(path: Path, policy: 'OnnxPolicy', scenario: 'Scenario', seeds: Sequence[int],
           workers: int, latency_s: float) -> 'Audited':
    from tqdm import tqdm

    from uncloning_ros.audit.rollout import run_rollouts
    from uncloning_ros.audit.summary import Audited

    unsafe = 0
    with tqdm(total=len(seeds), unit='episode', desc=f'audit of {path.name}') as bar:
        def tell(result: 'EpisodeResult') -> None:
            nonlocal unsafe
            unsafe += result.outcome.unsafe is not None
            bar.set_postfix(unsafe=unsafe, refresh=False)
            bar.update()

        results = run_rollouts(path, scenario, seeds, workers, latency_s, tell)
    return Audited(path.name, policy.sha256, policy.contract, tuple(results))


def _strips(audited: 'Sequence[Audited]', paths: Sequence[Path], scenario: 'Scenario',
            workers: int, latency_s: float) -> 'list[Strip]':
    """Return the pictures that the report shows."""
    from uncloning_ros.audit.report import Strip, worth_a_picture
    from uncloning_ros.audit.rollout import film_episodes

    strips = []
    chosen = worth_a_picture(audited)
    for model, path in zip(audited, paths, strict=True):
        results = [result for name, result in chosen if name == model.sha256]
        films = film_episodes(path, scenario, results, workers, latency_s)
        strips += [Strip(model.name, result, film)
                   for result, film in zip(results, films, strict=True)]
    return strips


def _require_writable(paths: Sequence[Path]) -> None:
    """Raise before hours of simulation what would stop the result from being written."""
    for path in paths:
        new_path(path)
        if not path.parent.is_dir():
            raise AuditError(f'{path}: there is no folder {path.parent}; make it first')
    if len(paths) != len({path.absolute() for path in paths}):
        raise AuditError(f'--json and --html both name {paths[0]}; give two names')


def _require_comparable(paths: Sequence[Path], policies: 'Mapping[Path, OnnxPolicy]',
                        scenario: 'Scenario') -> None:
    from uncloning_ros.audit.rollout import require_fit

    for path in paths:
        require_fit(policies[path], path, scenario)
    if len({policies[path].sha256 for path in paths}) < len(paths):
        raise AuditError(f'{paths[0]} and {paths[1]} are the same model; give another one to '
                         f'--against')
    if len({policies[path].contract.interface.sha256 for path in paths}) > 1:
        raise AuditError(f'{paths[0]} and {paths[1]} were made for different interfaces, so they '
                         f'cannot be compared; audit each on its own')


def _require_unseen(path: Path, policy: 'OnnxPolicy', seeds: range) -> None:
    records = policy.metadata['seeds']
    for record in _SEED_RECORDS:
        used = [number for number in records.get(record, ()) if number in seeds]
        if used:
            free = max(number for name in _SEED_RECORDS for number in records.get(name, ())) + 1
            raise AuditError(
                f'{len(used)} of the {len(seeds)} seeds, such as {used[0]}, were used for '
                f'{record} of {path}; an audit needs unseen ones, for instance --seed {free}')


def _derived_seed(policies: 'Iterable[OnnxPolicy]', scenario: 'Scenario') -> int:
    """Return a seed that nobody chose: it follows from what is audited."""
    import hashlib

    digests = sorted(policy.sha256 for policy in policies) + [scenario.sha256]
    digest = hashlib.sha256(''.join(digests).encode()).digest()
    # Above a million, where no demonstrations are made by habit.
    return 10**6 + int.from_bytes(digest[:4], 'big')


def _shortened(name: str) -> str:
    name = name.removesuffix('.onnx')
    return name if len(name) < _COLUMN else f'{name[:_COLUMN - 3]}..'
