# SPDX-License-Identifier: Apache-2.0
# Placeholder until the stores can be broken.
SCENARIOS = []
