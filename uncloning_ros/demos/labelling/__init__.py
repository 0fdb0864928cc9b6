# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decide which mode an episode shows: by rule, by cluster, by hand."""
