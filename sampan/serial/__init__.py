"""Bytes on a line: transports, the console that owns a line, the terminal for a person."""
