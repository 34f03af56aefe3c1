"""Groups of duplicates, read from what the comparing pass stored, and which member to keep."""
