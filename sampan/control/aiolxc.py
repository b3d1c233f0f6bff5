"""Containers on an asyncio loop: the methods of sampan.control.lxc.Container with `await`, its properties too.

    if await web.start() and await web.wait("RUNNING", 10):
        print(await web.state, await web.init_pid)

What sits at a terminal (`console`) and `network`, whose attributes cannot be awaited, are for ordinary code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sampan.control import lxcops
from sampan.control.calls import Call, Done, Steps, drive_async
from sampan.control.lxcattach import File, FirstLine, background, command_of, read_all, writers
from sampan.control.lxcnamed import Named

_T = TypeVar("_T")


class Host(Protocol):
    """A target on a loop."""

    def perform(self, call: Call) -> Awaitable[Done]: ...


class AsyncContainer(Named):
    """A container on a target. Each method is that of python-lxc's Container, as a coroutine."""

    def __init__(self, host: Host, name: str, config_path: str | None = None) -> None:
        self._host = host
        super().__init__(name, config_path)
        self._attached: set[asyncio.Task[Done]] = set()

    def _do(self, steps: Steps[_T]) -> Coroutine[Any, Any, _T]:
        return drive_async(steps, self._host.perform)

    def _same(self, name: str, config_path: str | None = None) -> AsyncContainer:
        return AsyncContainer(self._host, name, config_path or self._ops.path)

    # ---- what it is

    @property
    def defined(self) -> Coroutine[Any, Any, bool]:
        return self._do(self._ops.defined())

    @property
    def state(self) -> Coroutine[Any, Any, str]:
        return self._do(self._ops.state())

    @property
    def running(self) -> Coroutine[Any, Any, bool]:
        return self._do(self._ops.running())

    @property
    def init_pid(self) -> Coroutine[Any, Any, int]:
        return self._do(self._ops.init_pid())

    # ---- its life

    async def start(
        self, useinit: bool = False, daemonize: bool = True, close_fds: bool = False, cmd: Sequence[str] = ()
    ) -> bool:
        to = (None, None) if daemonize else writers(None, None)
        return await self._do(self._ops.start(useinit, daemonize, cmd, to))

    async def stop(self) -> bool:
        return await self._do(self._ops.stop())

    async def shutdown(self, timeout: int = -1) -> bool:
        return await self._do(self._ops.shutdown(timeout))

    async def reboot(self) -> bool:
        return await self._do(self._ops.do("stop", "-r"))

    async def freeze(self) -> bool:
        return await self._do(self._ops.do("freeze"))

    async def unfreeze(self) -> bool:
        return await self._do(self._ops.do("unfreeze"))

    async def wait(self, state: str, timeout: int = -1) -> bool:
        return await self._do(self._ops.wait(state, timeout))

    # ---- making, copies, snapshots

    async def create(
        self,
        template: str | None = None,
        flags: int = 0,
        args: Iterable[str] | Mapping[str, str] = (),
        bdevtype: str | None = None,
        fssize: int = 0,
    ) -> bool:
        return await self._do(self._ops.create(template or "", args, bdevtype or ""))

    async def destroy(self) -> bool:
        return await self._do(self._ops.destroy())

    async def clone(
        self,
        newname: str,
        config_path: str | None = None,
        flags: int = 0,
        bdevtype: str | None = None,
        bdevdata: str | None = None,
        newsize: int = 0,
        hookargs: Iterable[str] = (),
    ) -> AsyncContainer | bool:
        path = config_path or ""
        done = await self._do(self._ops.clone(newname, path, flags, bdevtype or "", newsize, hookargs))
        return self._same(newname, config_path) if done else False

    async def rename(self, new_name: str) -> AsyncContainer | bool:
        return self._same(new_name) if await self._do(self._ops.rename(new_name)) else False

    async def snapshot(self, comment_path: str | None = None) -> str | bool:
        return await self._do(self._ops.snapshot(comment_path or ""))

    async def snapshot_list(self) -> tuple[tuple[str, str, str, str], ...]:
        return await self._do(self._ops.snapshot_list())

    async def snapshot_restore(self, name: str, newname: str | None = None) -> bool:
        return await self._do(self._ops.snapshot_restore(name, newname or ""))

    async def snapshot_destroy(self, name: str) -> bool:
        return await self._do(self._ops.do("snapshot", "-d", name))

    # ---- configuration

    async def load_config(self, path: str | None = None) -> bool:
        return await self._do(self._ops.load_config(path or ""))

    async def save_config(self, path: str | None = None) -> bool:
        return await self._do(self._ops.save_config(path or ""))

    async def get_config_item(self, key: str) -> str | list[str]:
        return await self._do(self._ops.get_config_item(key))

    async def set_config_item(self, key: str, value: str | list[str]) -> bool:
        return await self._do(self._ops.set_config_item(key, value))

    async def append_config_item(self, key: str, value: str) -> bool:
        return await self._do(self._ops.append_config_item(key, value))

    async def clear_config_item(self, key: str) -> bool:
        return await self._do(self._ops.clear_config_item(key))

    async def get_running_config_item(self, key: str) -> str | None:
        return await self._do(self._ops.get_running_config_item(key))

    async def get_keys(self, key: str | None = None) -> list[str]:
        return await self._do(self._ops.get_keys(key or ""))

    # ---- cgroup, devices, network

    async def get_cgroup_item(self, key: str) -> str:
        return await self._do(self._ops.get_cgroup_item(key))

    async def set_cgroup_item(self, key: str, value: str) -> bool:
        return await self._do(self._ops.do("cgroup", key, value))

    async def add_device_node(self, src_path: str, dest_path: str | None = None) -> bool:
        return await self._do(self._ops.do("device", "add", src_path, *([dest_path] if dest_path else [])))

    async def remove_device_node(self, src_path: str, dest_path: str | None = None) -> bool:
        return await self._do(self._ops.do("device", "del", src_path, *([dest_path] if dest_path else [])))

    async def add_device_net(self, name: str, destname: str | None = None) -> bool:
        return await self._do(self._ops.add_device_net(name, destname or ""))

    async def attach_interface(self, src_ifname: str, dest_ifname: str | None = None) -> bool:
        return await self.add_device_net(src_ifname, dest_ifname)

    async def detach_interface(self, ifname: str) -> bool:
        return await self._do(self._ops.detach_interface(ifname))

    async def get_interfaces(self) -> tuple[str, ...]:
        return await self._do(self._ops.get_interfaces())

    async def get_ips(
        self, interface: str | None = None, family: str | None = None, scope: int | None = None, timeout: int = 0
    ) -> tuple[str, ...]:
        while True:
            found = await self._do(self._ops.get_ips(interface or "", family or ""))
            if found or timeout == 0:
                return found
            timeout -= 1
            await asyncio.sleep(1)

    # ---- programs inside

    async def run(self, words: Sequence[str], *, stdin: bytes = b"") -> Done:
        """Run a program inside, and its output."""
        return await self._host.perform(await self._do(self._ops.attach(words, lxcops.Attach(stdin=stdin))))

    async def attach_wait(
        self,
        run: Callable[[Any], int],
        payload: object = None,
        *,
        stdin: File | int | None = None,
        stdout: File | int | None = None,
        stderr: File | int | None = None,
        **how: Any,
    ) -> int:
        words = command_of(run, payload)
        options = lxcops.Attach(stdin=read_all(stdin), **how)
        if not await self.running:
            return -1
        call = await self._do(self._ops.attach(words, options, writers(stdout, stderr)))
        return lxcops.wait_status(await self._host.perform(call))

    async def attach(self, run: Callable[[Any], int], payload: object = None, **how: Any) -> int:
        words = command_of(run, payload)
        to = writers(how.pop("stdout", None), how.pop("stderr", None))
        options = lxcops.Attach(stdin=read_all(how.pop("stdin", None)), **how)
        if not await self.running:
            return -1
        known = asyncio.Event()
        first = FirstLine(to[0], known.set)
        inner = await self._do(self._ops.attach(words, options))
        task = asyncio.ensure_future(
            self._host.perform(Call(background(inner), inner.stdin, on_stdout=first, on_stderr=to[1]))
        )
        self._attached.add(task)
        task.add_done_callback(lambda ended: known.set())
        task.add_done_callback(self._attached.discard)
        await known.wait()
        return first.number
