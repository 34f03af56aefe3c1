"""Whether what differs between two aligned pictures was laid over one of them."""
