"""The write wing: sources, decode, encode, commit. Internal; import from `pictor`."""
