"""Bytes on a line: transports, console, log, terminal."""
