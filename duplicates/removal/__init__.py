"""Doing away with duplicates: plans, their application step by step, and undoing it."""
