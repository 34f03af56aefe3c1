"""Training of the built-in encoder: from the data folder to the files that ship.

Nothing here is imported by the product, and nothing of the product is imported here.
"""
