"""The read wing: query, candidates, hits. Internal; import from `pictor`."""
