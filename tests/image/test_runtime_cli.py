"""The commands as fingers and scripts know them: names, options, columns, exit codes, help, JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from runtime_lab import RUNTIME, Lab

VERBS = ["create", "ls", "start", "execute", "info", "attach", "stop", "destroy", "checkconfig", "config"]
VERBS += ["cgroup", "console", "freeze", "unfreeze", "wait", "monitor", "update-config"]


def test_list_has_lxcs_columns(lab: Lab) -> None:
    name = lab.make("list")
    assert lab.ok("ls", "-1").splitlines() == [name]
    title, row = lab.ok("ls", "-f").splitlines()
    assert title.split() == ["NAME", "STATE", "AUTOSTART", "GROUPS", "IPV4", "IPV6", "UNPRIVILEGED"]
    assert row.split() == [name, "STOPPED", "0", "-", "-", "-", "false"]
    lab.ok("start", name)
    assert lab.ok("ls", "--running", "-1").split() == [name]
    assert lab.ok("ls", "--stopped", "-1") == ""
    assert json.loads(lab.ok("ls", "--json"))[0]["state"] == "RUNNING"
    lab.ok("stop", "-k", name)


def test_info_prints_what_lxc_info_prints(lab: Lab) -> None:
    name = lab.make("info", "lxc.net.0.type = empty")
    assert lab.ok("info", "-n", name).splitlines() == [f"Name:           {name}", "State:          STOPPED"]
    lab.ok("start", name)
    pid = lab.state(name)["pid"]
    assert lab.ok("info", "-n", name, "-sH") == "State:          RUNNING\n"
    assert lab.ok("info", "-n", name, "-p") == f"PID:            {pid}\n"
    assert lab.ok("info", "-n", name, "-pH") == f"{pid}\n"
    assert lab.ok("info", "-n", name, "-c", "lxc.uts.name") == f"lxc.uts.name = {name}\n"
    lab.ok("stop", "-k", name)
    missing = lab.sampan("info", "-n", "nosuch")
    assert missing.returncode == 1 and "doesn't exist" in missing.stderr


def test_exit_codes_for_what_is_not_there(lab: Lab) -> None:
    name = lab.make("codes")
    assert lab.sampan("stop", name).returncode == 2
    assert lab.sampan("create", name).returncode == 1
    assert lab.sampan("destroy", "nosuch").returncode == 1
    assert lab.sampan("attach", name, "--", "true").returncode == 125
    assert lab.sampan("start").returncode == 1
    for bad in ("../x", ".hidden", "-x", "a" * 65, "a/b", ""):
        assert lab.sampan("info", f"--name={bad}").returncode == 1


def test_links_run_the_same_commands(lab: Lab) -> None:
    name = lab.make("link")
    link = lab.path / "lxc-ls"
    link.symlink_to(lab.binary)
    done = subprocess.run([link, "-P", lab.lxc, "-1"], env=lab.environment(), capture_output=True, text=True)
    assert done.stdout.split() == [name]
    link = lab.path / "lxc-execute"
    link.symlink_to(lab.binary)
    words: list[str | Path] = [link, "-P", lab.lxc, "-n", name, "/bin/sh", "-c", "exit 6"]
    assert subprocess.run(words, env=lab.environment()).returncode == 6


@pytest.mark.both_ways
def test_the_supervisor_is_called_sampan_whatever_started_it(lab: Lab) -> None:
    """By a link the kernel would call it `lxc-start`, by a descriptor `3`; its words stay the caller's."""
    name = lab.make("comm")
    link = lab.path / "lxc-start"
    link.symlink_to(lab.binary)
    subprocess.run([link, "-P", lab.lxc, "-n", name], env=lab.environment(), check=True)
    supervisor = Path(f"/proc/{lab.state(name)['supervisor']}")
    assert (supervisor / "comm").read_text() == "sampan\n"
    assert (supervisor / "cmdline").read_bytes().split(b"\0")[-3:] == [b"-n", name.encode(), b""]
    lab.ok("stop", "-k", name)


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_short_and_names_the_options(lab: Lab, verb: str) -> None:
    done = lab.sampan(verb, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: sampan {verb}")
    assert len(done.stdout.splitlines()) <= 24
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


def test_mistyped_words_get_the_nearest(lab: Lab) -> None:
    def said(*words: str) -> str:
        done = subprocess.run([lab.binary, *words], capture_output=True, text=True)
        assert done.returncode in (1, 125)
        return done.stderr

    assert "'attach'" in said("atach")
    assert "--running" in said("ls", "--runing")
    assert "--lxcpath" in said("info", "--lxcpth=x", "a")
    assert "-t" in said("stop", "-t", "soon", "x")
    assert "unknown verb" in said("frobnicate")


def test_template_is_called_as_lxc_calls_it(lab: Lab) -> None:
    name = f"{lab.prefix}-tpl"
    lab.names.append(name)
    template = lab.path / "template"
    template.write_text('#!/bin/sh\nfor a; do echo "$a"; done > "${1#--path=}/called"\n[ "$4" != fail ]\n')
    template.chmod(0o755)
    lab.ok("create", "-n", name, "-t", template, "--", "--release", "x")
    where = lab.lxc / name
    assert (where / "called").read_text().splitlines() == [
        f"--path={where}", f"--name={name}", f"--rootfs={where}/rootfs", "--release", "x",
    ]  # fmt: skip
    lab.ok("destroy", name)
    failed = lab.sampan("create", "-n", name, "-t", template, "--", "fail")
    assert failed.returncode == 1 and not where.exists()
    assert "templates" in lab.sampan("create", "-n", name, "-t", "nosuch").stderr
    assert not where.exists()


def test_what_a_template_says_of_the_configuration_stays(lab: Lab) -> None:
    """It is run before root and name are filled in, so that it can tell what a person wrote by them."""
    name = f"{lab.prefix}-said"
    lab.names.append(name)
    config = lab.lxc / name / "config"
    template = lab.path / "template"
    template.write_text(f"#!/bin/sh\ncp {config} {lab.path}/seen\nprintf 'lxc.uts.name = mine' >> {config}\n")
    template.chmod(0o755)
    lab.ok("create", "-n", name, "-t", template)
    assert (lab.path / "seen").read_text() == ""
    assert config.read_text() == f"lxc.uts.name = mine\nlxc.rootfs.path = dir:{lab.lxc}/{name}/rootfs\n"
    lab.ok("destroy", name)
    template.write_text(f"#!/bin/sh\necho lxc.no.such = 1 >> {config}\n")
    wrong = lab.sampan("create", "-n", name, "-t", template)
    assert wrong.returncode == 0 and "lxc.no.such" in wrong.stderr and "lxc.rootfs.path" in config.read_text()
    lab.ok("destroy", name)


def test_the_busybox_template_leaves_a_persons_configuration_alone(lab: Lab, tmp_path: Path) -> None:
    template = tmp_path / "lxc-busybox"
    shutil.copy(RUNTIME.parent / "rootfs/skeleton/usr/share/lxc/templates/lxc-busybox", template)
    template.chmod(0o755)
    name = f"{lab.prefix}-box"
    lab.names.append(name)
    config = lab.lxc / name / "config"
    lab.ok("create", "-n", name, "-t", template)
    said = config.read_text()
    assert "lxc.mount.auto = proc:mixed sys:mixed\n" in said and "lxc.signal.halt = SIGUSR1\n" in said
    assert said.count("lxc.rootfs.path") == said.count("lxc.uts.name") == 1
    lab.ok("destroy", name)
    own = tmp_path / "own"
    own.write_text(f"lxc.rootfs.path = dir:{lab.lxc}/{name}/rootfs\nlxc.uts.name = own\n")
    lab.ok("create", "-n", name, "-t", template, "-f", own)
    assert config.read_text() == own.read_text()
    lab.ok("destroy", name)


def test_config_check_reports_all_errors(lab: Lab, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("lxc.uts.name = x\n")
    bad.write_text("lxc.uts.nam = x\nlcx.arch = y\n")
    assert lab.ok("config", "check", good) == f"{good}: ok\n"
    done = lab.sampan("config", "check", good, bad)
    assert done.returncode == 1
    assert f"{bad}:1" in done.stderr and f"{bad}:2" in done.stderr and "lxc.uts.name" in done.stderr
    found = json.loads(lab.sampan("config", "check", bad, "--json").stdout)
    assert [row["line"] for row in found] == [1, 2]
    assert lab.sampan("config", "check", tmp_path / "nosuch").returncode == 1


def test_checkconfig_reads_a_configuration_or_tries(lab: Lab, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("CONFIG_NAMESPACES=y\n# CONFIG_PID_NS is not set\nCONFIG_VETH=m\n")
    lab.env["CONFIG"] = str(config)
    done = lab.sampan("checkconfig")
    assert done.returncode == 1
    assert "Pid namespace: missing (required)" in done.stdout
    assert "Veth pair device: module" in done.stdout
    lab.env["CONFIG"] = "/nosuch"
    tried = lab.sampan("checkconfig", "--json")
    assert tried.returncode == 0
    report = json.loads(tried.stdout)
    assert report["source"] is None and report["verdict"] is True
    states = {row["name"]: row["state"] for row in report["options"]}
    assert states["Pid namespace"] == "enabled"
    assert ("user" in os.listdir("/proc/self/ns")) == (states["User namespace"] == "enabled")


def test_step_times_are_written(lab: Lab) -> None:
    name = lab.make("times")
    times = lab.path / "times"
    lab.env["SAMPAN_TIMES"] = str(times)
    lab.ok("execute", name, "--", "/bin/true")
    steps = dict(word.split("=") for word in times.read_text().split())
    assert {"conf", "cgroup", "clone", "mounts", "pivot", "exec", "running"} <= set(steps)
    assert all(value.lstrip("-").isdigit() for value in steps.values())


def test_another_configuration_for_any_verb(lab: Lab, tmp_path: Path) -> None:
    name = lab.make("rc", "lxc.uts.name = one")
    (tmp_path / "other").write_text("lxc.uts.name = two\n")
    assert lab.ok("info", name, "-c", "lxc.uts.name") == "lxc.uts.name = one\n"
    assert lab.ok("info", name, "-c", "lxc.uts.name", "--rcfile", tmp_path / "other") == "lxc.uts.name = two\n"
    assert lab.sampan("stop", name, "--rcfile", tmp_path / "other").returncode == 2
    new = lab.ok("copy", name, "-N", f"{name}x", "--json", f"--rcfile={lab.lxc}/{name}/config")
    assert json.loads(new) == {"name": f"{name}x"}
    assert (lab.lxc / f"{name}x/config").is_file()
    lab.ok("destroy", f"{name}x")


def test_attach_with_a_label_the_kernel_has_not(lab: Lab) -> None:
    if Path("/sys/fs/selinux/enforce").exists():
        pytest.skip("this kernel has SELinux")
    name = lab.make("label")
    lab.ok("start", name)
    refused = lab.sampan("attach", name, "-c", "system_u:system_r:x_t:s0", "--", "/bin/true")
    assert refused.returncode == 125 and "selinux" in refused.stderr
    lab.ok("stop", "-k", name)


def test_update_config_prints_and_leaves_the_file(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "old"
    file.write_text("# mine\nlxc.utsname = web\nlxc.network.type = empty\nlxc.limit.nofile = 99\n")
    before = file.read_bytes()
    seen = subprocess.run([lab.binary, "update-config", "-c", file], capture_output=True, text=True)
    assert seen.stdout.splitlines() == ["lxc.uts.name = web", "lxc.net.0.type = empty", "lxc.prlimit.nofile = 99"]
    assert file.read_bytes() == before
    assert subprocess.run([lab.binary, "update-config"], capture_output=True).returncode == 1


def test_nested_ones_are_listed_without_leaving_their_container(lab: Lab) -> None:
    name, other, trap = (lab.make(label) for label in ("outer", "empty", "trap"))
    for inner, state in (("one", "state 2\nrest\n"), ("two", "")):
        for folder, file, text in (("var/lib/lxc", "config", "\n"), ("run/sampan", "state", state)):
            (lab.root(name) / folder / inner).mkdir(parents=True)
            (lab.root(name) / folder / inner / file).write_text(text)
    (lab.root(trap) / "var/lib").mkdir(parents=True)
    (lab.root(trap) / "var/lib/lxc").symlink_to(lab.lxc)  # a folder of the host
    os.mkfifo(lab.root(name) / "run/sampan/fifo")
    (lab.root(name) / "var/lib/lxc/three").mkdir()
    (lab.root(name) / "var/lib/lxc/three/config").touch()
    (lab.root(name) / "run/sampan/three").mkdir()
    os.mkfifo(lab.root(name) / "run/sampan/three/state")
    for each in (name, other, trap):
        lab.ok("start", each)
    assert lab.ok("ls", "-1").split() == sorted((name, other, trap))
    seen = {row["name"]: row["state"] for row in json.loads(lab.ok("ls", "--nesting", "--json"))}
    assert seen == {
        **dict.fromkeys((name, other, trap), "RUNNING"),
        f"{name}/one": "RUNNING", f"{name}/two": "STOPPED", f"{name}/three": "STOPPED",
    }  # fmt: skip
    assert f"{name}/one" in lab.ok("ls", "--nesting", "-f", "--running")
    for each in (name, other, trap):
        lab.ok("stop", "-k", each)
