"""A program as one writes it for a board with python-lxc: sets a container up, looks into it, keeps a copy, cleans up.

It prints what it sees, so that two runs can be compared. argv: name, template, folder of the containers.
"""

import os
import sys

import lxc

NAME, TEMPLATE, PATH = sys.argv[1:4]


def say(what, value):
    print(f"{what}: {value!r}", flush=True)


box = lxc.Container(NAME, PATH)
say("at first", (box.defined, box.running, box.state, box.init_pid, box.name == NAME))
say("file", box.config_file_name == os.path.join(PATH, NAME, "config"))
say("start of nothing", box.start())
say("destroy of nothing", box.destroy())
try:
    box.get_config_item("lxc.no.such.key")
except KeyError as error:
    say("unknown key", str(error))

say("uts", box.set_config_item("lxc.uts.name", "update"))
say("net", box.network.add("empty"))
say("bad value", box.set_config_item("lxc.tty.max", "many"))
say("mount", box.set_config_item("lxc.mount.auto", "proc:mixed"))
say("profile", box.set_config_item("lxc.apparmor.profile", "unconfined"))
say("create", box.create(TEMPLATE))
say("defined", (box.defined, NAME in lxc.list_containers(config_path=PATH)))
say("init", box.set_config_item("lxc.init.cmd", "/bin/sleep 1000"))
say("drop", box.set_config_item("lxc.cap.drop", ["sys_module", "mac_admin"]))
say("append", box.append_config_item("lxc.cap.drop", "sys_time"))
say("drop is", box.get_config_item("lxc.cap.drop"))
say("clear", box.clear_config_item("lxc.cap.drop"))
say("drop is", box.get_config_item("lxc.cap.drop"))
say("tty", box.get_config_item("lxc.tty.max"))
say("net keys", "hwaddr" in box.get_keys("lxc.net.0"))
say("networks", (len(box.network), box.network[0].type))
say("environment", box.set_config_item("lxc.environment", ["MODE=test", "LEVEL=3"]))
say("environment is", box.get_config_item("lxc.environment"))
say("save", box.save_config())
again = lxc.Container(NAME, PATH)
say("read back", (again.get_config_item("lxc.uts.name"), again.get_config_item("lxc.environment")))

say("start", box.start())
say("wait", box.wait("running", 10))
say("now", (box.running, box.state, box.init_pid > 1))
say("start again", box.start())
say("true", box.attach_wait(lxc.attach_run_command, ["/bin/true"]))
say("exit 9", box.attach_wait(lxc.attach_run_command, ["/bin/sh", "-c", "exit 9"]))
say("no such program", box.attach_wait(lxc.attach_run_command, ["/no/such"]))
say("word", box.attach_wait(lxc.attach_run_command, "/bin/hostname"))
words = ["/bin/sh", "-c", "echo $MODE $LEVEL $X; pwd; id -u"]
say("how", box.attach_wait(lxc.attach_run_command, words, initial_cwd="/bin", extra_env_vars=["X=y"], uid=0))
say("clear env", box.attach_wait(lxc.attach_run_command, words, env_policy=lxc.LXC_ATTACH_CLEAR_ENV, initial_cwd="/"))
say("interfaces", box.get_interfaces())
say("addresses", (box.get_ips(), box.get_ips(family="inet6")))
say("running value", box.get_running_config_item("lxc.uts.name"))
say("freeze", (box.freeze(), box.state, box.running))
say("unfreeze", (box.unfreeze(), box.state))
say("snapshot while it runs", box.snapshot())
say("clone while it runs", box.clone(NAME + "c", PATH))
say("rename while it runs", box.rename(NAME + "r"))
say("destroy while it runs", box.destroy())
say("no such file", box.set_cgroup_item("no.such", "1"))
say("stop", (box.stop(), box.wait("STOPPED", 10), box.state, box.init_pid))
say("shutdown of a stopped one", box.shutdown(1))
say("freeze of a stopped one", box.freeze())

say("snapshot", box.snapshot())
say("snapshots", [row[0] for row in box.snapshot_list()])
say("restore under a name", box.snapshot_restore("snap0", NAME + "s"))
say("no such snapshot", box.snapshot_destroy("snap7"))
say("delete", (box.snapshot_destroy("snap0"), box.snapshot_list()))
clone = box.clone(NAME + "c", PATH)
say("clone", (clone.defined, clone.get_config_item("lxc.uts.name") == NAME + "c", isinstance(clone, lxc.Container)))
say("clone again", box.clone(NAME + "c", PATH))
say("there", [name[len(NAME) :] for name in sorted(lxc.list_containers(config_path=PATH)) if name.startswith(NAME)])
for name in (NAME + "c", NAME + "s"):
    say("destroy", lxc.Container(name, PATH).destroy())
say("destroy", box.destroy())
say("at last", (box.defined, box.state))
