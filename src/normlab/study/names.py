"""The names of the files in a study's folder."""

from __future__ import annotations

STUDY, ENGINE, MANIFEST = "study.json", "engine.json", "manifest.json"
SUMMARY, EXAMPLE, REPORT = "summary.json", "example.json", "report.html"
# What `normlab attribute` adds.
ATTRIBUTION, ATTRIBUTION_PAGE = "attribution.json", "attribution.html"
EPOCHS, RUNS, PROBES = "epochs.parquet", "runs.parquet", "probes.parquet"
PARTS, CHECKPOINTS, DAMAGED = "parts", "checkpoints", "damaged"
# What tells a study from every other, in study.json, in receipts and in checkpoints.
IDENTITY = "identity_sha256"
