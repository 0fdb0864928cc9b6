# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare methods that remove a mode from a policy. In bench/: python -m comparison --help."""
