"""The catalog: the one database that is the truth, and the only SQL."""
