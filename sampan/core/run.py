"""Running tools: argument lists only, no shell, a clean environment, failures shown whole."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sampan.core.errors import EXIT_MISSING, SampanError

_KEPT = ("PATH", "HOME", "USER", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy")
_TAIL_LINES = 25


def tool_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment a tool gets: C locale, UTC, and nothing of the caller's but the basics."""
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # e2fsprogs and dosfstools live in sbin, which a user's PATH often lacks.
    env["PATH"] = env.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    env |= {"LC_ALL": "C", "TZ": "UTC"}
    if extra:
        env |= extra
    return env


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end and return it with its output (stdout and stderr apart, as text).

    `env` is added to `tool_env()`. With `check`, a failure becomes a SampanError with the
    command as it can be pasted, the exit status and the last lines of output. A missing
    program always raises, with the way to install it.
    """
    args = [str(part) for part in argv]
    try:
        done = subprocess.run(
            args,
            cwd=cwd,
            env=tool_env(env),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise SampanError(f"cannot run {args[0]}: there is no folder {cwd}") from error
        raise SampanError(
            f"{args[0]}: not found", hint="`sampan doctor --install` installs missing tools", code=EXIT_MISSING
        ) from error
    except PermissionError as error:
        raise SampanError(f"{args[0]}: not executable", code=EXIT_MISSING) from error
    except subprocess.TimeoutExpired as error:
        raise SampanError(f"{shlex.join(args)}\n  took longer than {timeout:g} s and was stopped") from error
    out = subprocess.CompletedProcess(
        args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
    if check and out.returncode != 0:
        raise SampanError(failure_text(args, out.returncode, out.stdout + out.stderr, cwd))
    return out


def failure_text(args: Sequence[str], returncode: int, output: str, cwd: Path | None = None) -> str:
    """A failed command for a person: how it ended, the command to paste, its last lines."""
    end = f"killed by signal {-returncode}" if returncode < 0 else f"exit status {returncode}"
    where = f"cd {shlex.quote(str(cwd))} && " if cwd else ""
    lines = output.rstrip().splitlines()[-_TAIL_LINES:]
    tail = "".join(f"\n  | {line}" for line in lines)
    return f"{Path(args[0]).name} failed ({end})\n  $ {where}{shlex.join(args)}{tail}"
