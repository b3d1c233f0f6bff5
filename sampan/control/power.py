"""A target's power: QEMU's, or whatever switches a board.

In targets.toml, `power_on = "relay 3 on"` and `power_off = "relay 3 off"` are commands of this host.
"""

from __future__ import annotations

import shlex
from typing import Literal

from sampan.control.lines import LinePlace
from sampan.control.target import Line
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.run import run

_FREE_SECONDS = 10.0  #: a broker sees the end of its line at once


class Power:
    """Switches a target. What runs on it is not asked; `sync` first."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def state(self) -> Literal["on", "off", ""]:
        """ "" when nobody can tell."""
        if not self._line.machine:
            return ""
        from sampan.qemu.places import Place

        state = Place(self._line.machine).read()
        return "on" if state is not None and state.alive else "off"

    def off(self) -> None:
        """Cut the power. Harmless when it is off."""
        if not self._line.machine:
            return self._command(self._line.power_off, "power_off")
        from sampan.qemu import vm

        if self.state == "on":
            vm.power_off(self._line.machine)
            LinePlace(self._line.url).wait_until_free(_FREE_SECONDS)  # or the next command finds that line's broker

    def on(self) -> None:
        """Switch it on; a machine starts with the options that it had, and has asked for a login then."""
        if not self._line.machine:
            return self._command(self._line.power_on, "power_on")
        from sampan.qemu import vm

        if self.state == "off":
            vm.power_on(self._line.machine)

    def cycle(self) -> None:
        """Off and on."""
        self.off()
        self.on()

    def _command(self, command: str, key: str) -> None:
        if not command:
            hint = f'[NAME] with {key} = "COMMAND" in targets.toml'
            raise SampanError(f"{self._line.target}: nothing here switches its power", hint=hint, code=EXIT_USAGE)
        run(shlex.split(command))
