# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check the statistics of observed trials on simulated clipboards, and draw their page."""
