"""Comparison of contents: fingerprints, candidates, and the pixels of each pair."""
