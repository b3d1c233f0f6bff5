"""A boot that was decided on: everything that can be refused is refused before QEMU starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sampan.build.image import Image
from sampan.qemu import accel, machine, prepare
from sampan.qemu.accel import Choice
from sampan.qemu.instance import Instance, Sockets
from sampan.qemu.machine import BootOptions, Wiring
from sampan.qemu.net import Cable, Plugged
from sampan.qemu.places import switches
from sampan.qemu.plug import fresh_mac
from sampan.serial.linespec import LineSpec
from sampan.serial.log import LineLog


@dataclass(frozen=True)
class Plan:
    """An image, what the user wants of its boot, and what was made ready for it."""

    image: Image
    folder: Path
    options: BootOptions
    choice: Choice
    data: Path

    @classmethod
    def make(cls, board_or_folder: str | Path, options: BootOptions) -> Plan:
        """Find the image, choose the accelerator (which may try KVM once), make the data disk."""
        image, folder = prepare.find(board_or_folder)
        choice = accel.choose(image, folder, options.accel)
        if options.qmp is not None:
            prepare.free_socket_path(options.qmp)
        return cls(image, folder, options, choice, prepare.data_disk(image, folder, options))

    async def launch(
        self,
        log: LineLog,
        ram: Path | None = None,
        kernel: Path | None = None,
        incoming_fd: int = -1,
        *,
        connect: bool = True,
    ) -> Instance:
        """Start QEMU; the instance owns the log from now on. `ram`, `kernel`, `incoming_fd`: see Wiring.

        `connect`: the network card's cable leads to its switch, else nowhere.
        """
        log.note(f"{self.image.board}: {self.choice.accel} ({self.choice.reason})")
        sockets = Sockets.make(agent=machine.has_port(self.image), net=self.options.net != "")
        fds = {f"{name}_fd": sockets.fd(name) for name in ("console", "qmp", "agent", "net")}
        wiring = Wiring(**fds, mac=fresh_mac(), data=self.data, ram=ram, kernel=kernel, incoming_fd=incoming_fd)
        command = machine.argv(self.image, self.folder, self.options, wiring, self.choice.accel)
        if self.options.line:
            from sampan.serial.linerun import LineRunner  # with its simulation, for those who want one

            log.note(f"a simulated line: {self.options.line}")
            sockets = sockets.with_line(LineRunner(LineSpec.parse(self.options.line)))
        instance = await Instance.start(command, sockets, log, [incoming_fd] if incoming_fd >= 0 else [])
        if sockets.net is not None:
            cable = Plugged(Cable.parse(self.options.net), switches(), sockets.net) if connect else sockets.net
            instance.on_close.append(cable.close)
        return instance
