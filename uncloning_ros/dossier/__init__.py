# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gather the facts about an exported policy for an assessor, in one folder."""
