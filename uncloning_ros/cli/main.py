# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Turn demonstrations of mixed handover modes into a policy that keeps the desired ones.

The commands follow one another; each reads the output of the one before:

  uncloning demos --scenario knife --episodes 400 --seed 0 --out demos/
  uncloning recover demos/
  uncloning import-lerobot set/ --contract contract.yaml --out demos/
  uncloning label demos/ --rule --scenario knife
  uncloning inspect demos/ --html session.html
  uncloning studio demos/ --scenario knife
  uncloning compare demos/ --scenario knife
  uncloning export-lerobot demos/ --out set/
  uncloning dataset demos/ --out data/
  uncloning train data/ --out runs/mixed
  uncloning unclone runs/mixed --data data/ --remove blade_first \
      --out runs/uncloned
  uncloning evaluate runs/mixed --data data/ --html evaluation.html
  uncloning export runs/mixed --out mixed.onnx
  uncloning export runs/uncloned --out policy.onnx
  uncloning doubt runs/uncloned --data data/ --out asking.onnx
  uncloning diff mixed.onnx policy.onnx
  uncloning audit policy.onnx --against mixed.onnx --scenario knife \
      --max-umr 0.01 --html audit.html --evidence policy.evidence
  uncloning attack runs/uncloned --data data/ --scenario knife --out attack/
  uncloning evidence check policy.evidence --model policy.onnx
  uncloning dossier policy.onnx --evidence policy.evidence \
      --original mixed.onnx --hazards hazards.yaml --out dossier/
  uncloning replay incident.npz

Every command explains itself, as in: uncloning audit --help. Nothing is ever
overwritten. Exit status: 0 done, 1 a stated limit is exceeded, two models
differ, or evidence does not hold, 2 bad input, 130 stopped with Ctrl-C or
SIGTERM.
"""

import argparse
import contextlib
import errno
import importlib
import os
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import uncloning_ros
from uncloning_ros.errors import UncloningError, near_miss
from uncloning_ros.extras import missing

# Command -> its line in the overview. Each is the module of its name, _ in place of -.
COMMANDS = {
    'demos': 'simulate demonstrations and record them as bags',
    'recover': 'finish the recordings that a crash or a full disk left unfinished',
    'import-lerobot': 'make episodes of a LeRobotDataset v3',
    'label': 'say which mode each episode shows: by hand, by rule, by clustering',
    'inspect': 'show the contents of a session of demonstrations, and its gaps',
    'studio': 'see and label episodes on pages in the browser',
    'compare': 'ask people which of two handovers is better, and learn their reward',
    'dataset': 'align, resample and split bags into training data',
    'export-lerobot': 'write episodes as a LeRobotDataset v3',
    'train': 'clone a policy from a dataset',
    'evaluate': 'compare the plans of a policy with held-out demonstrations',
    'unclone': 'remove undesired modes from the weights of a trained policy',
    'export': 'write a trained policy as one self-contained ONNX file',
    'doubt': 'export a policy that holds and asks where it does not know',
    'diff': 'show that two exported policies differ in weights alone',
    'audit': 'simulate many handovers and count the unsafe ones',
    'attack': 'attack an edited policy and count how often a removed mode comes back',
    'evidence': 'show, check, merge and plan evidence: of audits, and of trials',
    'dossier': 'gather model, evidence, change and hazards in a folder for an assessor',
    'replay': 'repeat the plans of a policy before an incident',
}

_STOPPED = 128 + 2  # exit status that a shell reports after SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; bad input gives one sentence and 2."""
    words = list(sys.argv[1:] if argv is None else argv)
    with _signals() as interrupted:
        try:
            return _run(words)
        except KeyboardInterrupt:
            return _stopped()
        except Exception:
            # A library that Ctrl-C interrupts amid its import may raise any exception.
            if not interrupted():
                raise
            return _stopped()


def _run(words: Sequence[str]) -> int:
    try:
        command = _command_of(words)
        args = _parser(command).parse_args(words)
        status = _module(command).run(args)
        if sys.stdout is not None:  # closed by the caller, as with >&-
            sys.stdout.flush()
        return int(status)
    except UncloningError as err:
        return _refuse(str(err))
    except ImportError as err:
        sentence = missing(command, err)
        if sentence is None:
            raise
        return _refuse(sentence)
    except BrokenPipeError:
        # The reader of the output has ended, as `head` does; there is nothing left to print to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as err:
        return _refuse(_os_sentence(err))


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Let SIGTERM end a command as Ctrl-C does; yield whether either was received."""
    received = threading.Event()
    # Only the main thread may listen for signals.
    if threading.current_thread() is not threading.main_thread():
        yield received.is_set
        return

    def interrupt(number: int, frame: object) -> None:
        received.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    # By way of SIGINT, for which a command may have a handler of its own.
    before_term = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield received.is_set
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, before_term)


def _stopped() -> int:
    print('\nuncloning: stopped; nothing half-written was left behind', file=sys.stderr)
    return _STOPPED


def _command_of(words: Iterable[str]) -> str | None:
    """Return the command that the words name; None where only an overview was asked for."""
    command = next((word for word in words if not word.startswith('-')), None)
    if command is not None and command not in COMMANDS:
        raise UncloningError(f'unknown command {command!r}{near_miss(command, COMMANDS)}; '
                             f'see uncloning --help')
    return command


def _parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser; only the chosen command's module is imported, so help stays fast."""
    description, _, chain = (__doc__ or '').partition('\n\n')
    parser = argparse.ArgumentParser(prog='uncloning', description=description, epilog=chain,
                                     formatter_class=_HelpFormatter)
    parser.add_argument('--version', action='version',
                        version=f'uncloning_ros {uncloning_ros.__version__}')
    commands = parser.add_subparsers(metavar='COMMAND', required=True, title='commands')
    for name, summary in COMMANDS.items():
        if name != command:
            commands.add_parser(name, help=summary)
            continue
        module = _module(name)
        module.add_arguments(commands.add_parser(
            name, help=summary, description=module.__doc__, formatter_class=_HelpFormatter))
    return parser


def _module(command: str | None) -> Any:
    return importlib.import_module(f'uncloning_ros.cli.{str(command).replace("-", "_")}')


class _HelpFormatter(argparse.HelpFormatter):
    """Fill paragraphs to the terminal's width, but keep indented examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return '\n\n'.join(_filled(block, width, indent)
                           for block in textwrap.dedent(text).strip('\n').split('\n\n'))


def _filled(block: str, width: int, indent: str) -> str:
    if block.startswith(' '):
        return textwrap.indent(block, indent)
    return textwrap.fill(block, width, initial_indent=indent, subsequent_indent=indent)


def _refuse(sentence: str) -> int:
    print(f'uncloning: error: {sentence}', file=sys.stderr)
    return 2


def _os_sentence(err: OSError) -> str:
    where = '' if err.filename is None else f'{err.filename}: '
    if err.errno in (errno.ENOSPC, errno.EDQUOT):
        return f'{where}the disk is full; free some space and run the command again'
    return f'{where}{err.strerror or err}'


if __name__ == '__main__':
    sys.exit(main())
