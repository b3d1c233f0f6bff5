"""`container.network[0].link = "br0"`: the keys of a container's interfaces as python-lxc shows them."""

from __future__ import annotations

from typing import Protocol


class Keeper(Protocol):
    """A container's configuration."""

    def get_config_item(self, key: str) -> str | list[str]: ...
    def set_config_item(self, key: str, value: str | list[str]) -> bool: ...
    def clear_config_item(self, key: str) -> bool: ...
    def get_keys(self, key: str | None = None) -> list[str]: ...


class ContainerNetwork:
    """One interface. Its keys are attributes, with `_` for the dots in them."""

    container: Keeper
    index: int
    props: dict[str, str]

    def __init__(self, container: Keeper, index: int) -> None:
        props = {key.replace(".", "_"): key for key in container.get_keys(f"lxc.net.{index}")}
        for name, value in (("container", container), ("index", index), ("props", props)):
            object.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        return sorted(self.props)

    def __repr__(self) -> str:
        return f"'{self.type}' network at index '{self.index}'"

    def _key(self, name: str) -> str:
        if name not in self.props:
            raise AttributeError(f"'{self.type}' network has no attribute '{name}'")
        return f"lxc.net.{self.index}.{self.props[name]}"

    def __getattr__(self, name: str) -> str | list[str]:
        return self.container.get_config_item(self._key(name))

    def __setattr__(self, name: str, value: str | list[str]) -> None:
        self.container.set_config_item(self._key(name), value)

    def __delattr__(self, name: str) -> None:
        self.container.clear_config_item(self._key(name))


class ContainerNetworkList:
    """All interfaces; one more than there are is made by asking for it."""

    def __init__(self, container: Keeper) -> None:
        self.container = container

    def __getitem__(self, index: int) -> ContainerNetwork:
        if index >= len(self):
            self.add("empty")
        return ContainerNetwork(self.container, index)

    def __len__(self) -> int:
        try:
            return len(self.container.get_config_item("lxc.net"))
        except KeyError:
            return 0

    def add(self, network_type: str) -> bool:
        return self.container.set_config_item(f"lxc.net.{len(self)}.type", network_type)

    def remove(self, index: int) -> bool:
        if index >= len(self):
            raise IndexError("list index out of range")
        return self.container.clear_config_item(f"lxc.net.{index}")
