# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plan trials that people observe, record their outcomes, and compute figures of them."""
