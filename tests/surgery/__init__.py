"""Tests of surgery."""
