"""The ground floor: one library on disk. Internal; import from `pictor`."""
