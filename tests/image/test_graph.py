"""The build graph: it rebuilds what it must, nothing else, and survives what happens to builds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import BOARD, Checkout

from sampan.core import tools

pytestmark = [
    pytest.mark.xdist_group("graph"),  # one tree, edited in turn
    pytest.mark.skipif(bool(tools.missing(["build"])), reason="needs the tools of a build: sampan doctor"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("graph") / "checkout")
    checkout.seed()
    checkout.scons()
    return checkout


@contextlib.contextmanager
def edited(path: Path, text: str) -> Iterator[None]:
    """Append `text` to a file while the block runs."""
    before = path.read_bytes()
    path.write_bytes(before + text.encode())
    try:
        yield
    finally:
        path.write_bytes(before)


# --- what is rebuilt --------------------------------------------------------


def test_nothing_changed_nothing_done(tree: Checkout) -> None:
    before = {path: path.stat().st_mtime_ns for path in tree.build.rglob("*") if path.is_file()}
    assert tree.scons().steps == []
    after = {path: path.stat().st_mtime_ns for path in tree.build.rglob("*") if path.is_file()}
    database = tree.build / ".sconsign.dblite"
    assert {path for path in before if before[path] != after.get(path)} <= {database}


def test_a_touched_file_with_the_same_content_is_no_change(tree: Checkout) -> None:
    for name in ("rootfs/skeleton/etc/issue", "runtime/src/util.h", "sampan/build/rootfs.py", "rootfs/base.manifest"):
        (tree.root / name).touch()
    assert tree.scons().steps == []


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo", "PATH": f"/nowhere:{os.environ['PATH']}"},
        {"CC": "false", "CROSS_COMPILE": "no-such-", "CFLAGS": "-O0", "MAKEFLAGS": "-n", "ARCH": "mips"},
        {"SOURCE_DATE_EPOCH": "12345", "PYTHONPATH": "/nowhere", "SCONS_CACHE_MSVC_CONFIG": "1"},
    ],
    ids=["locale", "compiler", "build"],
)
def test_the_callers_environment_changes_nothing(tree: Checkout, variables: dict[str, str]) -> None:
    with edited(tree.root / "rootfs/skeleton/etc/profile", "# edited\n"):
        tree.scons()
        wanted = tree.hashes()
    tree.scons()
    with edited(tree.root / "rootfs/skeleton/etc/profile", "# edited\n"):
        assert {"ROOTFS", "CPIO", "EXT4", "SQUASHFS"} <= tree.scons(umask=0o077, **variables).words
        assert tree.hashes() == wanted
    tree.scons()


def test_an_edited_helper_rebuilds_what_it_made_and_no_more(tree: Checkout) -> None:
    """manifest.py is on no command line: the modules that are import it."""
    with edited(tree.root / "sampan/build/manifest.py", "\n_UNUSED = 1\n"):
        words = tree.scons().words
        assert {"ROOTFS", "CPIO", "EXT4", "SQUASHFS"} <= words
        assert not words & {"CC", "LINK", "KEYS", "BUSYBOX", "FETCH", "TOOLS", "KERNEL"}
        assert tree.scons().steps == []
    tree.scons()


def test_an_edited_header_recompiles_who_includes_it(tree: Checkout) -> None:
    with edited(tree.root / "runtime/src/rules.h", "/* edited */\n"):
        done = tree.scons()
    compiled = {line.split()[1] for line in done.steps if line.startswith("CC")}
    assert "runtime/src/rules.c" in compiled and "runtime/src/util.c" not in compiled
    assert done.words == {"CC"}, "the same objects make nothing new"
    tree.scons()


def test_an_edited_key_table_reaches_the_image(tree: Checkout) -> None:
    before = tree.hashes()
    with edited(tree.root / "runtime/keys.toml", "\n# edited\n"):
        assert tree.scons().words == {"KEYS"}
    tree.scons()
    keys = (tree.root / "runtime/keys.toml").read_text()
    (tree.root / "runtime/keys.toml").write_text(keys.replace('name = "lxc.arch"', 'name = "lxc.arck"'))
    assert {"KEYS", "CC", "LINK", "ROOTFS", "CPIO"} <= tree.scons().words
    assert tree.hashes()[f"{BOARD}/rootfs.cpio.gz"] != before[f"{BOARD}/rootfs.cpio.gz"]
    (tree.root / "runtime/keys.toml").write_text(keys)
    tree.scons()
    assert tree.hashes() == before


def test_a_new_source_file_is_built_in(tree: Checkout) -> None:
    extra = tree.root / "runtime/src/zz_extra.c"
    extra.write_text("int zz_extra(void);\nint zz_extra(void)\n{\n\treturn 1;\n}\n")
    assert any("zz_extra.c" in step for step in tree.scons().steps)
    extra.unlink()
    tree.scons()


def test_a_warning_in_our_c_ends_the_build(tree: Checkout) -> None:
    with edited(tree.root / "runtime/src/util.c", "static int never_used;\n"):
        done = tree.scons(check=False)
    assert done.status != 0 and "never_used" in done.err and "-Wunused" in done.err
    tree.scons()


# --- boards and overlays ----------------------------------------------------


@pytest.fixture
def added(tree: Checkout, tmp_path: Path) -> Iterator[Path]:
    """A folder of boards with one that is added: the kernel built before, an overlay, a host name."""
    folder = tmp_path / "boards" / "added"
    (folder / "overlay" / "etc").mkdir(parents=True)
    kernel = tree.build / BOARD / "kernel"
    (folder / "board.toml").write_text(
        'description = "Added by a test"\narch = "x86_64"\n[console]\ntty = "ttyS0"\n'
        f'[kernel]\nprovider = "files"\nimage = "{kernel / "image"}"\nconfig = "{kernel / "config"}"\n'
        '[rootfs]\nhostname = "added-host"\nformats = ["cpio.gz"]\n'
        '[qemu]\nsystem = "qemu-system-x86_64"\nmachine = "q35"\ncpu = "qemu64"\n'
    )
    for name in ("one", "two"):
        (folder / "overlay" / "etc" / name).write_text(f"{name}\n")
    yield folder
    shutil.rmtree(tree.build / "added")


def _manifest(tree: Checkout) -> str:
    return (tree.build / "added" / "rootfs.manifest").read_text()


def test_a_board_is_a_folder_and_its_overlay_is_watched(tree: Checkout, added: Path) -> None:
    build = ("board=added",)
    boards = {"SAMPAN_BOARDS": str(added.parent)}
    done = tree.scons(*build, **boards)
    assert {"KERNEL", "ROOTFS", "IMAGE"} <= done.words and "BUSYBOX" not in done.words
    assert (tree.build / "added" / "image.json").is_file()
    assert "/etc/one file 0644" in _manifest(tree)
    assert tree.scons(*build, **boards).steps == []
    overlay = added / "overlay" / "etc"
    (overlay / "one").write_text("changed\n")
    (overlay / "two").unlink()
    (overlay / "three").symlink_to("one")
    assert "ROOTFS" in tree.scons(*build, **boards).words
    assert "/etc/two" not in _manifest(tree) and "/etc/three link" in _manifest(tree)
    (overlay / "one").chmod(0o755)
    assert "ROOTFS" in tree.scons(*build, **boards).words
    assert "/etc/one file 0755" in _manifest(tree)


def test_a_missing_file_of_a_manifest_is_named_with_its_line(tree: Checkout) -> None:
    path = tree.root / "rootfs/skeleton/etc/issue"
    content = path.read_bytes()
    path.unlink()
    done = tree.scons(check=False)
    path.write_bytes(content)
    assert done.status != 0 and "base.manifest:" in done.err and "/etc/issue" in done.err
    tree.scons()


# --- bad input --------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["board=qemuarmm"], "did you mean 'qemuarm'"),
        (["bord=qemuarm"], "unknown argument: bord"),
        (["--no-such-option"], "no such option"),
        (["board="], "no board"),
    ],
)
def test_a_wrong_argument_is_refused(tree: Checkout, arguments: list[str], says: str) -> None:
    done = tree.scons(*arguments, check=False)
    assert done.status != 0 and says in done.err and "Traceback" not in done.err


def test_two_builds_in_one_folder_are_refused(tree: Checkout) -> None:
    held = os.open(tree.build, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        done = tree.scons(check=False)
    finally:
        os.close(held)
    assert done.status != 0 and f"another build is running there (process {os.getpid()})" in done.err
    assert "SAMPAN_BUILD" in done.err


def test_a_failed_step_shows_command_reason_and_log(tree: Checkout) -> None:
    code = f"from sampan.build.scons import build; build([{BOARD!r}])"
    program = (
        "import sys\nfrom sampan.core.errors import SampanError\ntry:\n {}\nexcept SampanError as e:\n sys.exit(str(e))"
    )
    with edited(tree.root / "runtime/src/util.c", "#error on purpose\n"):
        done = subprocess.run(
            [tree.python, "-c", program.format(code)], cwd=tree.root, env=tree.env(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    assert done.returncode == 1
    for words in ("$ ", "zig cc", "| runtime/src/util.c", "on purpose", "full log: build/log/build.log"):
        assert words in done.stderr
    assert "on purpose" in (tree.build / "log" / "build.log").read_text()
    tree.scons()


# --- hermetic ---------------------------------------------------------------


def test_neither_sconsflags_nor_a_home_changes_the_build(tree: Checkout, tmp_path: Path) -> None:
    site = tmp_path / ".scons" / "site_scons"
    site.mkdir(parents=True)
    (site / "site_init.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    code = f"from sampan.build.scons import build; build([{BOARD!r}])"
    env = tree.env(HOME=str(tmp_path), SCONSFLAGS="--no-such-option")
    done = subprocess.run(
        [tree.python, "-c", code], cwd=tree.root, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "up to date" in done.stderr, done.stderr
    assert not (tmp_path / "executed").exists()


def _take_away(tree: Checkout) -> None:
    """What is made in seconds, folders too; busybox and the kernel stay."""
    made = [tree.build / "gen", tree.build / "arch/x86_64/runtime", tree.build / "arch/x86_64/sampan"]
    made += [path for path in (tree.build / BOARD).iterdir() if path.name != "kernel"]
    subprocess.run(["rm", "-rf", *map(str, made)], check=True)


def test_what_n_prints_can_be_pasted(tree: Checkout) -> None:
    _take_away(tree)
    tree.scons()
    wanted = tree.hashes()
    _take_away(tree)
    script = tree.scons("-n").out
    assert tree.hashes() != wanted and "mkdir -p build/arch/x86_64/runtime\n" in script
    subprocess.run(["sh", "-e"], input=script, cwd="/", env={"PATH": "/usr/bin:/bin"}, text=True, check=True)
    assert tree.hashes() == wanted
    tree.scons()
    assert tree.hashes() == wanted


# --- interrupted ------------------------------------------------------------


def _start(tree: Checkout) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        tree.argv(), cwd=tree.root, env=tree.env(), process_group=0, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@contextlib.contextmanager
def _much_changed(tree: Checkout) -> Iterator[None]:
    """Sources edited so that the runtime, the manifest and every image come out different."""
    with (
        edited(tree.root / "runtime/src/limits.h", "#undef NICS_MAX\n#define NICS_MAX 7\n"),
        edited(tree.root / "rootfs/skeleton/etc/issue", "edited\n"),
    ):
        yield


def test_a_build_killed_at_any_point_is_made_good(tree: Checkout) -> None:
    """Killed in the middle of edited sources, which are then taken back: the hardest case for a database."""
    plain = tree.hashes()
    with _much_changed(tree):
        started = time.monotonic()
        assert {"CC", "LINK", "ROOTFS", "EXT4"} <= tree.scons().words
        whole = time.monotonic() - started
        changed = tree.hashes()
    tree.scons()
    assert tree.hashes() == plain != changed
    for share in (random.uniform(0.05, 0.4), random.uniform(0.4, 0.7), random.uniform(0.7, 0.98)):
        with _much_changed(tree):
            build = _start(tree)
            time.sleep(share * whole)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(build.pid, signal.SIGKILL)
            build.wait()
        tree.scons()
        assert tree.hashes() == plain, f"killed after {share:.2f} of a build"
    leftover = [path for path in tree.build.rglob("*.tmp") if path.is_file()]
    assert len(leftover) <= 12, leftover  # what was being written when it was killed; -c takes it away


def _gone(group: int) -> bool:
    """Whether the group's last process ends: a compiler may need a moment to."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_ctrl_c_ends_every_process_and_the_next_build_goes_on(tree: Checkout) -> None:
    with _much_changed(tree):
        build = _start(tree)
        time.sleep(1.0)
        os.killpg(build.pid, signal.SIGINT)
        assert build.wait(timeout=60) != 0
        assert _gone(build.pid)
    tree.scons()
    assert tree.scons().steps == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_sampan_build_ends_the_compilers_below_it(tree: Checkout, number: signal.Signals) -> None:
    """Only sampan itself gets the signal, as from a CI that gives up or a terminal that is closed."""
    code = "import sys\nfrom sampan.cli.main import main\nsys.argv = ['sampan', 'build', sys.argv[1]]\nsys.exit(main())"
    with _much_changed(tree):
        build = subprocess.Popen(
            [tree.python, "-c", code, BOARD], cwd=tree.root, env=tree.env(), stderr=subprocess.PIPE, text=True
        )
        assert build.stderr
        for line in build.stderr:  # its first step runs
            if "runtime/src" in line:
                break
        build.send_signal(number)
        said = build.stderr.read()
        assert build.wait(timeout=60) == 128 + number, said
    assert "Traceback" not in said
    # The lock is free: nothing that could still write is left.
    tree.scons()
    assert tree.scons().steps == []


def test_another_compiler_is_found_on_the_callers_path_and_proved(tree: Checkout, tmp_path: Path) -> None:
    found = shutil.which("arm-linux-gnueabihf-gcc")
    if not found:
        pytest.skip("needs arm-linux-gnueabihf-gcc")
    for name in ("gcc", "strip"):  # an SDK lies where only its own environment file says
        (tmp_path / f"arm-sdk-linux-{name}").symlink_to(found.removesuffix("gcc") + name)
    folder = tmp_path / "build"
    sdk = {"SAMPAN_BUILD": str(folder), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    program = folder / "arch" / "armv7" / "sampan"
    for word in ("CROSS_COMPILE=arm-sdk-linux-", "CC=arm-sdk-linux-gcc -mthumb"):
        assert {"TOOLS", "CC", "LINK"} <= tree.scons("board=qemuarm", word, str(program), **sdk).words
        assert program.read_bytes()[:5] == b"\x7fELF\x01"
    done = tree.scons("board=qemux86-64", "CROSS_COMPILE=arm-sdk-linux-", check=False, **sdk)
    assert done.status != 0 and "the board needs x86_64" in done.err


# --- disks ------------------------------------------------------------------


@contextlib.contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "sampan-test", str(folder)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small tmpfs: needs root")
def test_a_full_disk_is_said_and_the_next_build_succeeds(tree: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    with _mounted(folder, "size=256k,mode=0755"):
        target = str(folder / "src" / "busybox.tar")
        done = tree.scons(target, check=False, SAMPAN_BUILD=str(folder))
        assert done.status != 0 and "the disk is full" in done.err and "Traceback" not in done.err
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        tree.scons(target, SAMPAN_BUILD=str(folder))
        assert (folder / "src" / "busybox.tar").stat().st_size > 1 << 20


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a read-only tmpfs: needs root")
def test_a_read_only_output_folder_is_said_before_anything_runs(tree: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "fixed"
    with _mounted(folder, "ro"):
        done = tree.scons(check=False, SAMPAN_BUILD=str(folder))
    assert done.status != 0 and "read-only" in done.err and "SAMPAN_BUILD" in done.err
    assert done.steps == [] and "Traceback" not in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_someone_else_is_said(tree: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    done = tree.scons(check=False, SAMPAN_BUILD=str(folder))
    assert done.status != 0 and "no permission" in done.err and "Traceback" not in done.err


# --- the end: this one takes the tree's build away ---------------------------


def test_clean_leaves_nothing(tree: Checkout) -> None:
    (tree.build / BOARD / "run").mkdir(exist_ok=True)
    (tree.build / BOARD / "run" / "console.log").write_text("what a boot leaves\n")
    tree.scons("-c")
    assert not tree.build.exists(), sorted(tree.build.rglob("*"))
