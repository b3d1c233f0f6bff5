"""sampan: minimal root file systems, device allow-lists and containers for embedded boards."""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`sampan.connect`, imported when it is asked for: most commands do not need it."""
    if name == "connect":
        from sampan.control.remote import connect

        return connect
    raise AttributeError(f"module 'sampan' has no attribute {name!r}")
