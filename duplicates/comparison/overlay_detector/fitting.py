"""What `benchmarks/fit_overlaid.py` fits the network with: parts, measured as when judged."""

from pictor.duplicates.comparison.overlay_detector.changed_parts import changed_pixels, parts_of
from pictor.duplicates.comparison.overlay_detector.network import MOST_SPREAD, OVERLAID_FILE
from pictor.duplicates.comparison.overlay_detector.traits import Traits

__all__ = ["MOST_SPREAD", "OVERLAID_FILE", "Traits", "changed_pixels", "parts_of"]
