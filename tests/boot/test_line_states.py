"""What a line may show instead of a shell at its prompt: each is said, and the next command works."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.control import install
from sampan.control.client import Connection, LineFailure
from sampan.control.packets import Kind
from sampan.control.remote import Target
from sampan.control.target import Line, resolve
from sampan.qemu import vm
from sampan.qemu.machine import BootOptions

BOARDS = ("qemux86-64",)
_SECRET = "$1$salt$JbpZ1j2io5d0jGpffZnEj/"  # openssl passwd -1 -salt salt "right one"
_PATIENCE = 120.0


@pytest.fixture(scope="module", params=BOARDS)
def line(
    request: pytest.FixtureRequest, folder_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    """A machine that reboots by itself after a panic or a reset, with its console alone; one boot for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
        name = f"states-{request.param}"
        vm.up(
            str(folder_of(request.param)),
            name,
            BootOptions(snapshot=True, reboot=True, append="panic=1", line="instant"),
        )
        try:
            found = resolve(f"qemu:{request.param}:{name}")
            works(found)
            yield found
        finally:
            vm.down(name)


def typed(line: Line, text: str, until: str) -> str:
    """What a person at a terminal sees after typing that, up to `until`."""
    with Connection(line, {"do": "terminal"}) as terminal:
        shown(terminal, "")  # what was there before
        terminal.send(Kind.INPUT, text.encode())
        return shown(terminal, until)


def shown(terminal: Connection, until: str) -> str:
    """What a terminal shows from now on, up to `until`."""
    seen = b""
    end = time.monotonic() + _PATIENCE
    while not seen or until.encode() not in seen:
        assert time.monotonic() < end and select.select([terminal], [], [], _PATIENCE)[0], seen
        seen += b"".join(payload for kind, payload in terminal.read() if kind == Kind.STDOUT)
    return seen.decode(errors="replace")


def refused(line: Line) -> str:
    with pytest.raises(LineFailure) as caught:
        Target(line).run("true")
    assert caught.value.hint
    return caught.value.message.partition("\n")[0]


def works(line: Line) -> None:
    assert Target(line).run("echo well").check().output == "well\n"


def test_an_unfinished_command_is_left_alone(line: Line) -> None:
    works(line)
    typed(line, 'echo "abc\r', "> ")
    assert "waits for the rest of a command" in refused(line)
    typed(line, "\x03", "# ")
    works(line)


def test_a_program_on_the_screen_is_not_typed_at(line: Line) -> None:
    typed(line, "stty rows 24 cols 80; vi /tmp/text\r", "/tmp/text 1/1")
    typed(line, "itext", "Modified")
    assert "draws on the screen" in refused(line)
    typed(line, "\x1b", "- /tmp/text")  # in one piece vi would take it for a cursor key
    typed(line, ":wq\r", "# ")
    assert Target(line).run("cat /tmp/text").output == "text\n"


def test_a_program_that_only_reads_is_recognised(line: Line) -> None:
    typed(line, "cat >/dev/null\r", "null")
    assert "a program is in the foreground" in refused(line)
    typed(line, "\x03", "# ")
    works(line)


def test_a_terminal_and_programs_share_the_line(line: Line) -> None:
    works(line)
    with Connection(line, {"do": "terminal"}) as person:
        person.send(Kind.INPUT, b"echo by''hand\r")
        shown(person, "byhand\r\nroot@")
        works(line)
        with Connection(line, {"do": "terminal"}) as other:
            notes = [payload for kind, payload in other.read() if kind == Kind.NOTE]
            while not notes:
                notes = [payload for kind, payload in other.read() if kind == Kind.NOTE]
            assert b"has the keyboard" in notes[0]
        person.send(Kind.INPUT, b"half a comm")
        shown(person, "half a comm")
        assert "is at a terminal on this line" in refused(line)
        person.send(Kind.INPUT, b"\x15")
    works(line)


def test_a_login_asks_for_a_password(line: Line) -> None:
    target = Target(line)
    target.run(f"sed -i 's,^root:[^:]*:,root:{_SECRET}:,' /etc/shadow").check()
    typed(line, "exit\r", "login: ")
    with pytest.raises(LineFailure, match="wants a password") as caught:
        target.run("true")
    assert caught.value.reason == "password"
    with pytest.raises(LineFailure, match="wrong user or password"):
        Target(Line(line.target, line.url, password="wrong one", machine=line.machine)).run("true")
    works(Line(line.target, line.url, password="right one", machine=line.machine))
    target.run("sed -i 's,^root:[^:]*:,root::,' /etc/shadow").check()


def operations(line: Line, folder: Path) -> dict[str, Callable[[], object]]:
    """What may be under way when a board dies; each would take for ever, or longer than the board lives."""
    target = Target(line)
    containers(target)
    big = folder / "big"
    big.write_bytes(os.urandom(2_000_000))
    (folder / "box").mkdir(exist_ok=True)
    (folder / "box" / "config").write_text("lxc.uts.name = box\n")
    (folder / "box" / "rootfs").mkdir(exist_ok=True)
    (folder / "box" / "rootfs" / "big").write_bytes(big.read_bytes())
    return {
        "run": lambda: target.run("sleep 1000"),
        "push": lambda: target.push(big, "/tmp/big"),
        "pull": lambda: target.pull("/dev/shm/../../proc/kcore", folder / "back"),
        "install": lambda: install.install(target, install.read(str(folder / "box")), replace=True),
        "monitor": lambda: target.verb("monitor", "-a"),
        "start": lambda: target.verb("start", "-n", "hooked"),
        "stop": lambda: target.verb("stop", "-t", "1000", "-n", "deaf"),
        "exec": lambda: target.verb("attach", "-n", "deaf", "--", "sleep", "1000"),
        "console": lambda: at_console(line),
        "logs": lambda: target.run("exec cat /dev/kmsg"),
        "wait": lambda: target.verb("wait", "-n", "nobody", "-s", "RUNNING"),
    }


def containers(target: Target) -> None:
    """One that takes for ever to start, and one that runs and takes for ever to stop."""
    base = "lxc.rootfs.path = overlay:/:tmpfs\\nlxc.net.0.type = empty\\n"
    target.run(
        "for n in hooked deaf; do mkdir -p /var/lib/lxc/$n; "
        f"printf '{base}' >/var/lib/lxc/$n/config; done; "
        "echo 'lxc.hook.pre-start = /var/lib/lxc/hooked/hook' >>/var/lib/lxc/hooked/config; "
        "printf '#!/bin/sh\\nexec sleep 1000\\n' >/var/lib/lxc/hooked/hook; chmod +x /var/lib/lxc/hooked/hook; "
        "echo 'lxc.init.cmd = /bin/sh -c \"trap : PWR TERM INT; while :; do sleep 1; done\"' >>/var/lib/lxc/deaf/config"
    ).check()
    target.verb("start", "-n", "deaf").check()


def at_console(line: Line) -> None:
    """Sits at a container's console until something ends that."""
    words = ["console", "-n", "deaf", "-t", "0"]
    with Connection(line, {"do": "run", "words": words, "verb": True, "terminal": True, "urgent": True}) as seat:
        for kind, payload in seat.packets():
            assert kind != Kind.END, payload


_DEATHS = {"run": "cb", "push": "b", "pull": "c", "install": "c", "monitor": "b", "wait": "c"}
_DEATHS |= {"start": "c", "stop": "b", "exec": "c", "console": "b", "logs": "c"}


@pytest.mark.parametrize(("operation", "end"), [(name, end) for name, ends in _DEATHS.items() for end in ends])
def test_a_board_that_dies_in_the_middle_says_so(line: Line, operation: str, end: str, tmp_path: Path) -> None:
    works(line)
    under_way = operations(line, tmp_path)[operation]
    Target(line).run(f"setsid sh -c 'sleep 2; echo {end} >/proc/sysrq-trigger' >/dev/null 2>&1 &")
    failed: list[LineFailure] = []

    def work() -> None:
        with pytest.raises(LineFailure) as caught:
            under_way()
        failed.append(caught.value)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(_PATIENCE)
    assert failed, "nothing was said"
    # A boot may be silent for longer than an agent may.
    says = ("has rebooted", "nothing was heard of the agent") if end == "b" else ("panicked: Kernel panic",)
    assert any(words in failed[0].message for words in says)
    assert "how far the command came is unknown" in failed[0].hint
    works(line)
