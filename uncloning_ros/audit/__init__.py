# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run closed-loop episodes in simulation, compute their figures, and report them."""
