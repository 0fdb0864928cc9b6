# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Closed-loop episodes in simulation, what they show, and the report that says it."""
