# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Gather model, evidence, change and hazards in a folder for an assessor.

The new folder holds a page, index.html, and everything that it says as files: the model, the
policy before the edit, the evidence, the hazards, a software bill of materials (CycloneDX), their
sha256, and check.sh, which computes the figures again without torch. Before anything is copied,
evidence has to be about the model and to follow from its own episodes or trials.

The hazards, and the measures against each, are yours: copy config/hazards.yaml of this package,
fill it in, and give it to --hazards. A hazard without a measure stands at the top of the page.

The folder has facts. It is not a certificate and not a legal opinion.

  uncloning dossier policy.onnx --evidence policy.evidence \
      --original mixed.onnx --hazards hazards.yaml --out dossier/
  dossier/check.sh
"""

import argparse
from pathlib import Path

from uncloning_ros.cli.arguments import new_path
from uncloning_ros.errors import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('model', type=Path, metavar='MODEL', help='exported policy (ONNX file)')
    parser.add_argument('--evidence', type=Path, nargs='+', default=[], metavar='FILE',
                        help='evidence about the model, of audits and of trials')
    parser.add_argument('--original', type=Path, metavar='MODEL',
                        help='exported policy before the edit; needed for an edited one')
    parser.add_argument('--partner', type=Path, metavar='MODEL',
                        help='exported policy of the arm that received, in a scenario with two')
    parser.add_argument('--hazards', type=Path, required=True, metavar='YAML',
                        help='your hazards and measures, as in config/hazards.yaml')
    parser.add_argument('--out', type=new_path, required=True, metavar='DIR',
                        help='folder to make')


def run(args: argparse.Namespace) -> int:
    """Make the folder; print its contents and the hazards that no measure covers."""
    from uncloning_ros.dossier.dossier import facts, write_dossier
    from uncloning_ros.dossier.page import page

    found = facts(args.model, args.evidence, args.partner, args.original, args.hazards)
    write_dossier(found, args.hazards, page(found), args.out)
    print(f'{counted(len(found.hazards.hazards), "hazard")}, '
          f'{len(found.hazards.uncovered)} without a measure; '
          f'{counted(len(found.evidence), "file")} of evidence')
    for one in found.hazards.uncovered:
        print(f'  without a measure: {one}')
    print(f'wrote {args.out}; compute it again with {args.out / "check.sh"}')
    return 0
