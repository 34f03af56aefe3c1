"""How good a search is, measured: captions and labels read, ranks, recall, accuracy. Internal."""
