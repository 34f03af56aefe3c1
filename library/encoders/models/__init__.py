"""Checkpoints on this machine: download, storage, verification, removal."""
