"""What a person types at a terminal, with an escape key in it; a pure state machine."""

from __future__ import annotations

from dataclasses import dataclass, field

ESCAPE = 0x01  #: Ctrl-a, as QEMU's and picocom's terminals use it
ANNOUNCEMENT = "Ctrl-a x quits, Ctrl-a h help"
HELP = {
    "x": "quit",
    "h": "this help",
    "t": "take the keyboard, when another terminal of this line has it",
    "b": "send BREAK (then a letter: SysRq)",
    "w": "tell the shell over there how large this window is (types a stty command)",
    "l": "where the log is",
    "a": "send Ctrl-a itself (Ctrl-a twice does the same)",
}


@dataclass
class Keys:
    """Cuts typed bytes into what goes to the line and what is meant for the terminal.

    However the input is cut, the result is the same.
    """

    _escaped: bool = field(default=False)

    def feed(self, data: bytes) -> list[bytes | str]:
        """Bytes to send and one-letter commands ("?" for an unknown one), in order."""
        out: list[bytes | str] = []
        plain = bytearray()
        for byte in data:
            if self._escaped:
                self._escaped = False
                if byte in (ESCAPE, ord("a")):
                    plain.append(ESCAPE)
                    continue
                if plain:
                    out.append(bytes(plain))
                    plain.clear()
                # Ctrl-a Ctrl-x, with the finger still on Ctrl, means the same.
                letter = chr(byte + 96) if 0 < byte < 27 else chr(byte).lower()
                out.append(letter if letter in HELP else "?")
            elif byte == ESCAPE:
                self._escaped = True
            else:
                plain.append(byte)
        if plain:
            out.append(bytes(plain))
        return out
