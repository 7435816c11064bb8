"""A local Bot API server, so that a fleet can be tried and tested without a token."""
