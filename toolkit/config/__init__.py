"""Configuration: scopes that merge, each value with its origin."""
