"""Checkpoints on this machine: how they come, where they lie, if they are whole, how they go."""
