"""Tags from labels: sets of labels, their prompts, scores and thresholds, and the pass itself."""
