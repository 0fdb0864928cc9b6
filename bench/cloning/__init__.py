# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare methods that remove a mode on tasks of others, and on one 2-D task with 24 modes."""
