"""Which pairs of contents are worth comparing, without n × n work."""
