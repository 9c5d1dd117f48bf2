"""Statistics of paired comparisons: arrays of numbers in; effects, intervals and verdicts out.

Nothing here imports another part of normlab, and misuse raises ValueError.
"""
