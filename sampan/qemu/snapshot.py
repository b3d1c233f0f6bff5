"""Boot snapshots: boot once to a shell, give every later start a copy of that moment.

    build/BOARD/run/snapshots/KEY/
        ram      the machine's memory; clones map it copy-on-write, so it is loaded by nobody
        state    all else of the machine, as QEMU's migration writes it
        disk     the data disk of that moment; clones write to overlays that nobody keeps

KEY is a hash of all that the moment depends on: the image's files, QEMU itself, its options. What
changes one of them makes another snapshot. A clone is told the time, gets fresh randomness and is
checked to answer before anybody sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shlex
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

from sampan.core.files import refuse_os_error
from sampan.core.run import tool_env
from sampan.qemu import machine, prepare
from sampan.qemu.instance import Instance, QemuDied
from sampan.qemu.machine import Wiring
from sampan.qemu.plan import Plan
from sampan.qemu.plug import fresh_mac
from sampan.serial.clock import Deadline
from sampan.serial.console import Console
from sampan.serial.errors import BootFailed
from sampan.serial.log import LineLog
from sampan.serial.session import LOGIN_SECONDS, Session

_FORMAT = 2  #: of the folder; another one is another KEY
_KERNEL_HEAD = 4096  #: bytes; holds the header of an arm64 Image
_KEPT = 6  #: snapshots of one image, for different options
_TRIES = 3
_ANSWER_SECONDS = 10.0
_SAVE_SECONDS = 60.0
_PROMPT = b"# "


async def launch(plan: Plan, log: LineLog) -> Instance:
    """Start what was planned: from a snapshot when that is wanted, else by booting."""
    if not plan.options.fast:
        return await plan.launch(log)
    folder = await ensure(plan)
    try:
        return await restore(plan, folder, log)
    except QemuDied:
        # Another QEMU's snapshot has another key, so this one is damaged: the next start makes a new one.
        _remove(folder)
        raise


def key(plan: Plan) -> str:
    """A hash of everything that decides whether a snapshot may be used."""
    image, options = plan.image, replace(plan.options, qmp=None, log=None, line="", data=None, fast=True)
    port, net = 0 if machine.has_port(image) else -1, 0 if options.net else -1
    wiring = Wiring(0, 0, Path("disk"), agent_fd=port, net_fd=net, ram=Path("ram"))
    command = machine.argv(image, Path(), options, wiring, plan.choice.accel)
    files = [image.kernel.boot, image.rootfs[image.initrd], image.data]
    qemu = Path(shutil.which(image.qemu.system, path=tool_env()["PATH"]) or image.qemu.system)
    facts = [_FORMAT, command, [file.sha256 for file in files], _stamp(qemu)]
    # The hashes are the build's; a file that was changed by hand since shows by its time.
    facts += [_stamp(plan.folder / file.file) for file in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _stamp(path: Path) -> list[object]:
    try:
        status = path.stat()
    except OSError as error:
        refuse_os_error(error, "read", path)
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def where(plan: Plan) -> Path:
    """The folder of the plan's snapshot, there or not."""
    return plan.folder / "run" / "snapshots" / key(plan)


async def ensure(plan: Plan) -> Path:
    """The plan's snapshot, made when it is not there; of several who want it one makes it."""
    folder = where(plan)
    if not folder.is_dir():
        async with _one_maker(folder.parent):
            if not folder.is_dir():
                await _make(plan, folder)
                _prune(folder.parent)
    with contextlib.suppress(OSError):
        os.utime(folder)  # the least used ones are pruned
    return folder


@contextlib.asynccontextmanager
async def _one_maker(parent: Path) -> AsyncIterator[None]:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(parent / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        refuse_os_error(error, "write", parent)
    try:
        await asyncio.to_thread(fcntl.flock, fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


async def _make(plan: Plan, folder: Path) -> None:
    """Boot to a shell and save that moment. The caller holds the lock of the snapshots."""
    for left in folder.parent.glob(".*.tmp"):  # of a maker that was killed
        _remove(left)
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        temporary.mkdir()
        disk, ram = temporary / "disk", temporary / "ram"
        disk.touch()
        prepare.copy_sparse(plan.data, disk)
        with (plan.folder / plan.image.kernel.boot.file).open("rb") as kernel:
            (temporary / "kernel").write_bytes(kernel.read(_KERNEL_HEAD))
        await _boot_and_save(plan, temporary)
        for path in (disk, ram, temporary / "state"):
            path.chmod(0o444)
        temporary.rename(folder)
    except OSError as error:
        refuse_os_error(error, "write", folder)
    finally:
        _remove(temporary)


async def _boot_and_save(plan: Plan, folder: Path) -> None:
    options = replace(plan.options, qmp=None, log=None, line="", fast=False, snapshot=False)
    maker = replace(plan, options=options, data=folder / "disk")
    instance = await maker.launch(LineLog(folder / "boot.log"), folder / "ram", connect=False)
    try:
        await Session(instance.console).login(timeout=LOGIN_SECONDS)
        # An answer to the shell's question for the cursor could be cut in two by the snapshot.
        instance.console.answers_cursor = False
        await _ask(instance.console, lambda: "sync")
        await _save(instance, folder / "state")
    finally:
        await instance.close()


def _resume(net: bool) -> str:
    """What makes a clone another machine than all the others: time, randomness, its card's address."""
    address = f" && ip link set eth0 address {fresh_mac()}" if net else ""
    return f"sampan resume {time.time_ns() // 1_000_000} {secrets.token_hex(32)}{address}"


async def _ask(console: Console, make: Callable[[], str]) -> None:
    """Type a command at the shell until it has succeeded, and wait for the next prompt."""
    for _ in range(_TRIES):
        command = make()
        mark = secrets.token_hex(4)
        await console.write(f"{command} && echo {mark[:4]}''{mark[4:]}\n")
        deadline = Deadline(console.clock, _ANSWER_SECONDS)
        if await console.poll([mark.encode()], deadline) and await console.poll([_PROMPT], deadline):
            return
    raise console.error(BootFailed, "the shell of the snapshot does not answer")


async def _save(instance: Instance, path: Path) -> None:
    await instance.qmp("stop")
    await _leave_memory_out(instance)
    # 7.2 knows no file: yet, and its shell needs the path quoted.
    await instance.qmp("migrate", {"uri": f"exec:cat > {shlex.quote(str(path))}"})
    deadline = Deadline(instance.console.clock, _SAVE_SECONDS)
    while deadline.left > 0:
        answer = await instance.qmp("query-migrate")
        status = answer.get("status") if isinstance(answer, dict) else None
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            break
        await asyncio.sleep(0.005)
    raise instance.console.error(BootFailed, "QEMU cannot save the machine's state")


def _kernel(plan: Plan, folder: Path) -> Path | None:
    """On ARM, QEMU keeps a copy of -kernel for the next reset: 20 MB and more that a clone never reads.

    The head is what QEMU looks at to place it. A PC's kernel is given through fw_cfg and is mapped.
    """
    wanted = plan.image.arch in ("armv6", "armv7", "aarch64") and not plan.options.reboot
    return folder / "kernel" if wanted else None


async def _leave_memory_out(instance: Instance) -> None:
    """The stream of states then only has the devices: 0.4 MB. QEMU calls it experimental; it is there since 4.0."""
    capability = {"capability": "x-ignore-shared", "state": True}
    await instance.qmp("migrate-set-capabilities", {"capabilities": [capability]})


async def restore(plan: Plan, folder: Path, log: LineLog) -> Instance:
    """A clone: running, on time, with randomness of its own, its shell waiting at a prompt."""
    clone = replace(plan, data=folder / "disk")
    state = os.open(folder / "state", os.O_RDONLY | os.O_CLOEXEC)
    try:
        instance = await clone.launch(
            log, folder / "ram", _kernel(plan, folder), state
        )  # there the descriptor has the same number
    finally:
        os.close(state)
    try:
        await _leave_memory_out(instance)
        await instance.qmp("migrate-incoming", {"uri": f"fd:{state}"})
        await instance.until_loaded()
        await instance.qmp("cont")
        await _ask(instance.console, lambda: _resume(plan.options.net != ""))
        instance.mark_up()
    except BaseException:
        await instance.close()
        raise
    return instance


def _prune(parent: Path) -> None:
    """Forget all but the snapshots that were used last; machines that run on one keep its files open."""
    found = [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for old in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
        _remove(old)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
