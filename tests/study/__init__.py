"""Tests of studies: their design, execution and records."""
