"""What a container of python-lxc's kind tells without asking its target."""

from __future__ import annotations

from sampan.control import lxcops


class Named:
    """A container by its name; what becomes of its operations is its kind's own."""

    def __init__(self, name: str, config_path: str | None = None) -> None:
        self._ops = lxcops.Ops(name, config_path or "")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} in {self.get_config_path()}>"

    @property
    def name(self) -> str:
        return self._ops.name

    @property
    def config_file_name(self) -> str:
        """Path of its configuration on the target."""
        return self._ops.file

    @property
    def controllable(self) -> bool:
        """Whoever reaches the target is root there."""
        return True

    def get_config_path(self) -> str:
        """The folder its own is in."""
        return self._ops.path

    def set_config_path(self, path: str) -> bool:
        self._ops = lxcops.Ops(self.name, path)
        return True

    def clear_config(self) -> None:
        self._ops.clear_config()
