# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the folders that come with the package: config, models, launch."""

import os
from pathlib import Path

from uncloning_ros.errors import UncloningError

_PACKAGE = 'uncloning_ros'


def share_path(folder: str) -> Path:
    """Return the shipped folder, from a checkout or from an installed ROS 2 package.

    A checkout has the folder beside the Python package; an installation has it under
    share/uncloning_ros of one of the prefixes in AMENT_PREFIX_PATH, or of the Python prefix.
    """
    here = Path(__file__).resolve().parent
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    # An installed module lies in <prefix>/lib/pythonX.Y/site-packages/uncloning_ros.
    prefixes += list(here.parents[3:5])
    candidates = [here.parent / folder] if (here.parent / 'package.xml').is_file() else []
    candidates += [prefix / 'share' / _PACKAGE / folder for prefix in prefixes]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise UncloningError(f'cannot find the folder {folder!r} of {_PACKAGE} in '
                         f'{", ".join(map(str, candidates)) or "no place"}; '
                         f'source the workspace, or install the package again')
