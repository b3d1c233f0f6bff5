"""sampan: minimal root file systems, device allow-lists and containers for embedded boards."""

__version__ = "0.1.0"
