"""The command line: one small file a command group; each command parses, makes one library call, and prints."""
