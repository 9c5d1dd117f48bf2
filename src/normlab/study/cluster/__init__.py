"""Chunks trained by the workers of a Ray cluster: the driver gives them out and writes records, nobody else does."""
