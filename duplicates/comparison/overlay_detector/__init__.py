"""What differs between two aligned pictures, and how surely it was laid over one of them.

One function, `find_changes`. `fitting.py` is for the benchmark that fits the network; everything
else stays inside.
"""

from pictor.duplicates.comparison.overlay_detector.changed_parts import Changes, find_changes

__all__ = ["Changes", "find_changes"]
