"""labgrid's own put, for tests/bench/line.py: TTY FILE REMOTE; prints the seconds. Runs in labgrid's environment."""

import sys
import time

from labgrid import Target
from labgrid.driver import SerialDriver, ShellDriver
from labgrid.resource import RawSerialPort


def main() -> None:
    port, local, remote = sys.argv[1:]
    target = Target("bench")
    RawSerialPort(target, "port", port=port, speed=115200)
    SerialDriver(target, "console")
    shell = ShellDriver(target, "shell", prompt=r"board# ", login_prompt=r" login: ", username="root")
    target.activate(shell)
    began = time.monotonic()
    shell.put(local, remote)
    print(time.monotonic() - began)


if __name__ == "__main__":
    main()
