# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Show what a session of demonstrations holds: facts, pages, pictures."""
