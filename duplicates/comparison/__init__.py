"""The comparing pass: fingerprints, candidates, and a look at the pixels of each pair."""
