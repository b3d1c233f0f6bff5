"""`sampan config` on the host: check, show, convert; what a person sees and what a script gets."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from sampan.cli.config import command
from sampan.config import convert, keys, load, oci
from sampan.config.language import words
from sampan.core.errors import SampanError
from sampan.core.paths import ROOT

TABLE = keys.load(keys.default_path())


def sampan(*args: object) -> Result:
    return CliRunner().invoke(command, [str(arg) for arg in args])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


# -- check


def test_a_good_file(config: Path) -> None:
    config.write_text("lxc.uts.name = web\n")
    done = sampan("check", config)
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{config}: ok\n", "")


def test_every_mistake_is_named_with_its_line_and_what_was_meant(config: Path) -> None:
    config.write_text("lxc.utsnane = web\n\nlxc.tty.max = 99\nlxc.mount.entry = proc /proc /r/proc ro 0 0\n")
    done = sampan("check", config)
    assert done.exit_code == 1 and done.stdout == ""
    assert f"{config}:1: lxc.utsnane = web: unknown key\n  hint: did you mean lxc.utsname?\n" in done.stderr
    assert f"{config}:3: lxc.tty.max = 99: must be a number from 0 to 16\n" in done.stderr
    assert "  hint: lxc.mount.entry = proc /r/proc proc ro 0 0\n" in done.stderr


def test_check_for_scripts(config: Path) -> None:
    config.write_text("x = 1\n")
    done = sampan("check", "--json", config)
    (row,) = json.loads(done.stdout)
    assert done.exit_code == 1 and row["level"] == "error" and row["line"] == 1 and row["file"] == str(config)


def test_a_missing_file_is_one_message(config: Path) -> None:
    done = sampan("check", config)
    assert isinstance(done.exception, SampanError) and "there is no such file" in done.exception.message


def test_includes_are_looked_up_below_the_targets_root(config: Path, tmp_path: Path) -> None:
    (tmp_path / "root/usr/share").mkdir(parents=True)
    (tmp_path / "root/usr/share/common.conf").write_text("lxc.tty.max = 4\n")
    config.write_text("lxc.include = /usr/share/common.conf\n")
    assert sampan("check", config).exit_code == 1
    assert sampan("show", "--root", tmp_path / "root", config).stdout == "lxc.tty.max = 4\n"


def test_a_message_cannot_drive_the_terminal(config: Path) -> None:
    config.write_bytes(b"lxc.uts.name = \xc2\x9b31m\n")
    assert "\x9b" not in sampan("check", config).stderr


# -- show


def test_what_is_left(config: Path, tmp_path: Path) -> None:
    (tmp_path / "more").write_text("lxc.cap.drop = kill\nlxc.uts.name = inner\n")
    config.write_text(f"lxc.tty = 4\nlxc.tty =\nlxc.include = {tmp_path}/more\nlxc.utsname = outer\n")
    assert sampan("show", config).stdout == "lxc.cap.drop = kill\nlxc.uts.name = outer\n"
    rows = json.loads(sampan("show", "--json", config).stdout)
    assert [row["file"] for row in rows] == [f"{tmp_path}/more", str(config)]


def test_a_file_with_errors_is_not_shown(config: Path) -> None:
    config.write_text("lxc.uts.name = web\nlxc.tty.max = x\n")
    done = sampan("show", config)
    assert done.exit_code == 1 and done.stdout == "" and ":2: " in done.stderr


# -- convert

LEGACY = """\
# the network
lxc.rootfs.backend = overlayfs
lxc.network.type = empty
lxc.network.flags=up
lxc.network.type = veth
  lxc.network.ipv4 = 10.0.0.2/24
lxc.network.3.ipv4 = 10.0.0.3/24

lxc.rootfs = /lower:/upper
lxc.limit.nofile = 1024
lxc.kmsg = 0
lxc.tty = 4
lxc.cgroup.devices.deny = a
"""
MODERN = """\
# the network
lxc.net.0.type = empty
lxc.net.0.flags = up
lxc.net.1.type = veth
lxc.net.1.ipv4.address = 10.0.0.2/24
lxc.net.3.ipv4.address = 10.0.0.3/24

lxc.rootfs.path = overlay:/lower:/upper
lxc.prlimit.nofile = 1024
lxc.tty.max = 4
lxc.cgroup.devices.deny = a
"""


def test_legacy_keys_become_modern_ones(config: Path) -> None:
    config.write_text(LEGACY)
    done = sampan("convert", config)
    assert done.exit_code == 0 and done.stdout == MODERN
    assert f"{config}:11: note: lxc.kmsg = 0: left out" in done.stderr
    assert config.read_text() == LEGACY, "the file itself is never touched"


def test_a_converted_file_stays_as_it_is(config: Path) -> None:
    config.write_text(MODERN)
    assert sampan("convert", config).stdout == MODERN


@pytest.mark.parametrize("path", ["app_bash.config", "sys_elinux.fixed.config"])
def test_both_generations_come_to_the_same(path: str, tmp_path: Path) -> None:
    old = ROOT / "configs" / "containers" / path
    new = tmp_path / "new"
    new.write_text(convert.convert(old.read_bytes(), path, table=TABLE).text)
    assert load.load(new, table=TABLE).text() == load.load(old, table=TABLE).text()
    assert not load.load(new, table=TABLE).messages


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lxc.utsnane = x\n", "did you mean lxc.utsname?"),
        ("web\n", "no KEY = VALUE"),
        ("lxc.network.flags = up\n", "lxc.network.type must come first"),
        ("lxc.rootfs.backend = loop\n", "there is no lxc.rootfs"),
        ("lxc.uts.name = a\x01\n", "control character"),
    ],
)
def test_what_cannot_be_converted(config: Path, text: str, says: str) -> None:
    config.write_text(text)
    done = sampan("convert", config)
    assert done.exit_code == 1 and done.stdout == "" and says in done.stderr


@given(st.binary(max_size=300))
def test_any_bytes_are_answered(data: bytes) -> None:
    convert.convert(data, "x", table=TABLE)


# -- from OCI

BUNDLE: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "hostname": "web",
    "root": {"path": "rootfs", "readonly": True},
    "process": {
        "terminal": True, "user": {"uid": 1000, "gid": 1000}, "args": ["/bin/httpd", "-f"], "cwd": "/srv",
        "env": ["A=1"], "capabilities": {"bounding": ["CAP_KILL"]}, "noNewPrivileges": True,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 2048}], "oomScoreAdj": 100,
    },
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/my data", "source": "data", "options": ["rbind", "ro"]},
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "ipc", "mount")],
        "resources": {
            "devices": [{"allow": False}, {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"}],
            "memory": {"limit": 67108864}, "pids": {"limit": 100}, "cpu": {"shares": 1024, "quota": 50000},
        },
        "sysctl": {"net.ipv4.ip_forward": "1"},
    },
}  # fmt: skip


def translated(version: int = 2, **changes: object) -> oci.Translation:
    return oci.translate(json.dumps(BUNDLE | changes), "config.json", bundle="/var/lib/lxc/web", version=version)


def test_a_bundle_in_lxcs_keys() -> None:
    done = translated()
    assert not done.lost
    text = done.text()
    for row in (
        "lxc.uts.name = web",
        "lxc.rootfs.path = /var/lib/lxc/web/rootfs",
        "lxc.rootfs.options = ro",
        "lxc.execute.cmd = /bin/httpd -f",
        "lxc.init.cwd = /srv",
        "lxc.init.uid = 1000",
        "lxc.cap.keep = kill",
        "lxc.no_new_privs = 1",
        "lxc.prlimit.nofile = 1024:2048",
        "lxc.proc.oom_score_adj = 100",
        r"lxc.mount.entry = /var/lib/lxc/web/data my\040data none rbind,ro 0 0",
        "lxc.net.0.type = none",
        "lxc.namespace.keep = uts",
        "lxc.cgroup.devices.deny = a",
        "lxc.cgroup.devices.allow = c 10:200 rw",
        "lxc.cgroup.devices.allow = c 1:3 rw",
        "lxc.cgroup2.memory.max = 67108864",
        "lxc.cgroup2.pids.max = 100",
        "lxc.cgroup2.cpu.weight = 39",
        "lxc.cgroup2.cpu.max = 50000 100000",
        "lxc.sysctl.net.ipv4.ip_forward = 1",
    ):
        assert f"{row}\n" in text
    assert "dev tmpfs" not in text, "the runtime's own /dev has the nodes"


def test_the_old_cgroups_have_their_own_files() -> None:
    text = translated(version=1).text()
    assert "lxc.cgroup.memory.limit_in_bytes = 67108864\n" in text and "lxc.cgroup.cpu.shares = 1024\n" in text


def test_what_has_no_word_is_named() -> None:
    process = BUNDLE["process"] | {"args": ["sh", "-c", "echo hi"], "ioPriority": {"class": "IOPRIO_CLASS_IDLE"}}
    lost = dict(translated(process=process, hooks={"prestart": [{"path": "/x"}]}, annotations={"a": "b"}).lost)
    assert set(lost) == {"process.args", "process.ioPriority.class", "hooks", "annotations"}


def test_exit_codes_of_a_translation(config: Path) -> None:
    config.write_text(json.dumps(BUNDLE | {"annotations": {"a": "b"}}))
    assert sampan("convert", "--from", "oci", config).exit_code == 0
    done = sampan("convert", "--from", "oci", "--strict", config)
    assert done.exit_code == 1 and "annotations: not expressed" in done.stderr


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"ociVersion": "1", "mounts": 3}', '{"ociVersion": "1", "mounts": [3]}']
)
def test_what_is_no_bundle(text: str) -> None:
    with pytest.raises(SampanError, match=r"config\.json"):
        oci.translate(text, "config.json", bundle="/b")


FIELDS = words(
    "process root mounts linux user args env cwd capabilities bounding resources devices namespaces type path"
    " memory limit cpu shares options destination source rlimits hooks"
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["process", "root", "mounts", "linux", "hostname"]), json_values))
def test_any_json_is_answered(data: dict[str, Any]) -> None:
    with contextlib.suppress(SampanError):
        oci.translate(json.dumps(data | {"ociVersion": "1.0"}), "config.json", bundle="/b")
