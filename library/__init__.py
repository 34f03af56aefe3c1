"""The ground floor: one library on disk (catalog, vectors, encoders, images). Internal; import from `pictor`."""
