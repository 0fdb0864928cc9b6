# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other ways to be rid of a mode, each as its source has it, to compare the edit with.

Of weights: `edit(run, dataset, remove, options)` returns a policy with the averaged weights. At
inference time: frozen dataclasses with `steer(policy)` (`audit.rollout.Steering`).

Filtered retrain is `uncloning train --only-modes`; published edit and filtered fine-tune are
options of `uncloning unclone`.
"""
