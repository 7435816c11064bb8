"""The command line: parses, makes one library call, prints."""
