"""Published results, replicated: one file each."""
