"""Put a fleet in force: say what will be done, then do it."""
