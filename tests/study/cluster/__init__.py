"""Tests of studies whose chunks are trained by Ray's workers."""
