"""sampan: minimal root file systems, device allow-lists and containers for embedded boards."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sampan.control.aio import connect_async as connect_async
    from sampan.control.remote import connect as connect


def __getattr__(name: str) -> object:
    """`sampan.connect` and `connect_async`, imported when they are asked for: most commands do not need them."""
    if name == "connect":
        from sampan.control.remote import connect

        return connect
    if name == "connect_async":
        from sampan.control.aio import connect_async

        return connect_async
    raise AttributeError(f"module 'sampan' has no attribute {name!r}")
