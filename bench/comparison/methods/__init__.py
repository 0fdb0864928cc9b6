# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other methods that remove a mode, each as its source describes it.

A method that changes the weights has `edit(run, dataset, remove, options)`, which returns a policy
with averaged weights. A steering method is a frozen dataclass with `steer(policy)`
(`audit.run.rollout.Steering`).

The filtered retrain is `uncloning train --only-modes`; the published edit and the filtered
fine-tune are options of `uncloning unclone`.
"""
