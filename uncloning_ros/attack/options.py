# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of the attacks on an edit; the command line is built on them, so no torch here."""

from dataclasses import dataclass

from uncloning_ros.errors import UncloningError, near_miss

ROUNDING, FINE_TUNING, SEARCH = 'rounding', 'fine-tuning', 'search'
NAMES = (ROUNDING, FINE_TUNING, SEARCH)

# Demonstrations of removed modes by default, of which the dataset has to have as many.
FROM_DEMONSTRATIONS = (1, 3, 10, 30)


@dataclass(frozen=True)
class AttackOptions:
    """What attacks an edit, and how much.

    `seed` of the first episode is None for one that follows from the file. `steps` are those of
    each fine-tuning; `from_demonstrations` are numbers of demonstrations of removed modes, None
    for those of `FROM_DEMONSTRATIONS` that the dataset has. `draws` are the noises at each
    observation of the search. `max_removed` is the limit of the bound of removed-mode episodes.
    """

    attacks: tuple[str, ...] = NAMES
    episodes: int = 300
    seed: int | None = None
    steps: int = 1000
    from_demonstrations: tuple[int, ...] | None = None
    draws: int = 64
    max_removed: float | None = None
    development_seeds: tuple[int, ...] = ()
    workers: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        for name in self.attacks:
            if name not in NAMES:
                raise UncloningError(f'unknown attack {name!r}{near_miss(name, NAMES)}; expected '
                                     f'some of {", ".join(NAMES)}')
