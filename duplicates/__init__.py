"""Files that are one picture: candidates, comparison, groups, decisions, removal, report."""
