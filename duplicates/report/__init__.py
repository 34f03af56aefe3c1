"""Groups of duplicates as one HTML file to decide in: no network, nothing beside it."""

from pictor.duplicates.report.page import write_report

__all__ = ["write_report"]
