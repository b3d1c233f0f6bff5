"""What a container must never manage to do: a check for each rule, and the line of the runtime it stands on.

The rules come from weaknesses that container runtimes had; `Rule.origin` names them. A check
passes on the runtime as it is. With `patches` applied (text of a source file -> what breaks
the rule) it must fail: else it would prove nothing. Checks use one Lab and stop what they start.
"""

from __future__ import annotations

from dataclasses import dataclass

import isolation_files as files
import isolation_payload as payload
import isolation_userns as userns
from isolation_files import Check
from runtime_lab import IDMAPPED

Patch = tuple[str, str, str]  #: file of runtime/src, text in it, text instead


@dataclass(frozen=True)
class Rule:
    """One row: `off` are features switched off, so that a fallback is what is checked; `needs` have none."""

    name: str
    origin: str
    check: Check
    patches: tuple[Patch, ...]
    off: str = ""
    needs: tuple[str, ...] = ()


RULES = (
    Rule(
        "links-openat2",
        "lxc 2015-1335, crun 2019-18837, runc 2021-30465, krun 2025-24965",
        files.links_lead_nowhere,
        (("path.c", ".resolve = SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS", ".resolve = 0"),),
    ),
    Rule(
        "links-walk",
        "the same before Linux 5.6",
        files.links_lead_nowhere,
        (
            (
                "path.c",
                "return walk_open(root, path, flags);",
                "(void)walk_open; return openat(root, path, O_PATH | flags);",
            ),
        ),
        off="openat2",
    ),
    Rule(
        "mkdir-through-link",
        "runc 2024-45310",
        files.links_lead_nowhere,
        (
            (
                "path.c",
                "return openat(dir, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);",
                "return openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);",
            ),
            ("path.c", "if (made || (next < 0 && errno == ENOENT)) {", "if (made || next < 0) {"),
        ),
    ),
    Rule(
        "dev-is-a-link",
        "runc 2026-41579, crun 2026-47766",
        files.system_folder_is_no_link("dev"),
        (("dev.c", "O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC", "O_PATH | O_DIRECTORY | O_CLOEXEC"),),
    ),
    Rule(
        "proc-is-a-link",
        "runc 2019-19921, 2023-27561, 2023-28642, 2025-52881",
        files.system_folder_is_no_link("proc", "lxc.mount.auto = proc"),
        (
            (
                "mount_auto.c",
                "openat(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)",
                "openat(root, name, O_PATH | O_DIRECTORY | O_CLOEXEC)",
            ),
            (
                "mount_auto.c",
                "openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)",
                "openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)",
            ),
        ),
    ),
    Rule(
        "console-is-a-link",
        "runc 2025-52565",
        files.console_is_no_link,
        (("dev.c", "openat(dev, name, O_PATH | O_NOFOLLOW | O_CLOEXEC)", "openat(dev, name, O_PATH | O_CLOEXEC)"),),
    ),
    Rule(
        "null-of-the-image",
        "runc 2025-31133",
        files.image_null_masks_nothing,
        (
            (
                "mount_auto.c",
                'int fd = openat(AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);',
                'int fd = openat(AT_FDCWD, "/etc/hostname", O_PATH | O_NOFOLLOW | O_CLOEXEC);',
            ),
            (
                "mount_auto.c",
                "if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))",
                "if (fstat(fd, &st) == 0)",
            ),
        ),
    ),
    Rule(
        "proc-sys",
        "lxc 2013-6441, cri-o 2022-0811",
        files.proc_is_readonly,
        (("mount_auto.c", "MS_REMOUNT | MS_BIND | MS_RDONLY | NO_ALL", "MS_REMOUNT | MS_BIND | NO_ALL"),),
    ),
    Rule(
        "over-a-process",
        "runc and crun 2019-16884, lxc 2015-1334",
        files.nothing_lies_over_a_process,
        (("mount.c", "if (in_process(dst))", "if (in_process(dst) && 0)"),),
    ),
    Rule(
        "readonly-below",
        "lxc 2013-6441",
        files.readonly_holds_below,
        (("mount.c", "AT_EMPTY_PATH | rec, &attr", "AT_EMPTY_PATH, &attr"),),
    ),
    Rule(
        "readonly-below-old",
        "the same before Linux 5.12",
        files.readonly_holds_below,
        (("mount.c", "return flags & MS_REC ? flags_below(top, flags) :", "(void)flags_below; return"),),
        off="mount_setattr",
    ),
    Rule(
        "flags-stay",
        "lxc 2013-6441",
        files.flags_of_the_host_stay,
        (("mount.c", "flags |= fs.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);", ""),),
        off="open_tree",
    ),
    Rule(
        "propagation",
        "rule 3 of mount namespaces(7)",
        files.mounts_stay_inside,
        (("root.c", 'if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)', "if (0)"),),
    ),
    Rule(
        "old-root",
        "pivot_root(2)",
        files.hosts_mounts_are_gone,
        (("root.c", 'umount2(".", MNT_DETACH) < 0 ?', "0 ?"),),
    ),
    Rule(
        "below-a-chroot",
        "setns(2): who enters a mount namespace stands in its root, whatever others were chrooted to",
        userns.namespace_ends_at_its_root,
        (("root.c", "if (admin && true_root() < 0)", "(void)true_root;\n\tif (admin && root < 0)"),),
    ),
    Rule(
        "disk-readonly",
        "busybox shutdown",
        files.disk_stays_writable,
        (("root.c", "if (!layers_none(conf) || !(caps_left(conf) & CAP_SYS_ADMIN_BIT))", "if (conf)"),),
    ),
    Rule(
        "own-binary",
        "runc and lxc 2019-5736",
        payload.own_binary_is_readonly,
        (("guard.c", "if (!on_readonly_mount()) {", "if (0 && !on_readonly_mount()) {"),),
    ),
    Rule(
        "own-binary-exec",
        "runc and lxc 2019-5736",
        payload.own_binary_cannot_be_unlocked,
        (("guard.c", "if (!on_readonly_mount()) {", "if (0 && !on_readonly_mount()) {"),),
        off="set_mm",
    ),
    Rule(
        "own-binarys-mount",
        "mount_setattr(2): who reaches a mount that is in no namespace but its own may change its flags",
        payload.own_binary_cannot_be_unlocked,
        (("guard.c", "if (held && syscall(", "if (0 && syscall("),),
    ),
    Rule(
        "pid-1-dumpable",
        "runc 2016-9962",
        payload.nobody_looks_into_pid_1,
        (("child.c", "prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setsid() < 0", "setsid() < 0"),),
    ),
    Rule(
        "attach-dumpable",
        "runc 2016-9962",
        payload.attach_hides_before_it_enters,
        (
            ("attach.c", "if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || ns_enter_pid", "if (ns_enter_pid"),
            ("attach.c", "if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || ns_enter_rest", "if (ns_enter_rest"),
        ),
    ),
    Rule(
        "callers-descriptors",
        "runc 2024-21626, lxc 2016-8649",
        payload.callers_descriptors_stay_outside,
        (("fds.c", "most = { 0, 0 };\n", "most = { 0, 0 };\n\n\tif (first)\n\t\treturn;\n"),),
    ),
    Rule(
        "pid-1-descriptors",
        "runc 2024-21626, 2016-9962",
        payload.pid_1_holds_nothing,
        (("init.c", "close_from(4, false);", ""),),
    ),
    Rule(
        "working-folder",
        "runc 2024-21626",
        payload.working_folder_is_inside,
        (("child.c", "if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/')", "if (!getcwd(cwd, sizeof(cwd)) && 0)"),),
    ),
    Rule(
        "callers-terminal",
        "lxc 2016-10124, flatpak 2017-5226",
        payload.callers_terminal_stays_outside,
        (("child.c", "if (s->foreground && s->stdio[fd] == STDIO_OTHER)", "if (s->foreground)"),),
    ),
    Rule(
        "inheritable",
        "crun 2022-27650, runc 2022-29162, moby 2022-24769",
        payload.nothing_is_inheritable,
        (("ids.c", "d[i].inheritable = 0;", "d[i].inheritable = d[i].permitted;"),),
    ),
    Rule(
        "bounding-set",
        "kernel 2022-0492",
        payload.dropped_capabilities_stay_dropped,
        (("ids.c", "if (keep >> cap & 1)", "if (1)"),),
    ),
    Rule(
        "no-new-privs",
        "bwrap 2020-5291",
        payload.no_new_privs_holds,
        (("ids.c", "if (no_new_privs && prctl", "if (0 && no_new_privs && prctl"),),
    ),
    Rule(
        "groups",
        "setgroups(2)",
        payload.callers_groups_stay_outside,
        (("ids.c", "if (sys_set_groups(groups, n) < 0 && (n > 0 || errno != EPERM))", "if (0)"),),
    ),
    Rule(
        "ids",
        "crun 2026-30892, runc 2016-3697",
        payload.ids_are_plain_numbers,
        (("util.c", "if (n == 0 || text[n] != '\\0' || sum < min)", "if (text[0] == '\\0' || sum < min)"),),
    ),
    Rule(
        "names",
        "bwrap 2019-12439",
        payload.names_are_plain_words,
        (
            ("util.c", "if (!alnum(name[0]))", "if (0)"),
            ("util.c", "name[n] != '_'", "name[n] != '_' && name[n] != '/'"),
        ),
    ),
    Rule(
        "keyring",
        "session keyrings(7)",
        payload.callers_keys_stay_outside,
        (("ids.c", "if (syscall(SYS_keyctl, JOIN_SESSION_KEYRING, NULL) < 0", "if (JOIN_SESSION_KEYRING < 0"),),
    ),
    Rule(
        "state-link",
        "lxc 2015-1331, bwrap 2019-12439",
        payload.state_is_no_link,
        (
            (
                "state.c",
                "openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)",
                "openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)",
            ),
        ),
    ),
    Rule("state-private", "lxc 2015-1331", payload.state_is_private, (("state.c", "&& (st.st_mode & 077) == 0", ""),)),
    Rule(
        "hosts-groups",
        "runc 2023-25809",
        payload.hosts_groups_are_readonly,
        (
            (
                "mount_cgroup.c",
                "bind_host(h->mount, dst, FLAGS | MS_RDONLY, PLACE)",
                "bind_host(h->mount, dst, FLAGS, PLACE)",
            ),
        ),
        off="cgroup_ns",
    ),
    Rule(
        "group-namespace",
        "runc 2023-25809, kernel 2022-0492",
        payload.group_namespace_begins_at_its_own,
        (("child.c", "feat_on(FEAT_CGROUP_NS) && unshare", "0 && unshare"),),
        needs=("cgroup_ns",),
    ),
    Rule(
        "user-namespace",
        "user_namespaces(7): until it has become the root inside, it is the host's to files",
        userns.root_is_nobody_outside,
        (("ids.c", "sys_become_group(0) < 0 || sys_become(0) < 0 ?", "0 ?"),),
        needs=IDMAPPED,
    ),
    Rule(
        "hosts-devices",
        "mknod(2): device nodes of a user namespace are the host's to make",
        userns.makes_no_nodes,
        (("conf_ns.c", "\t\tc->spaces |= CLONE_NEWUSER;", "\t\tc->spaces |= 0;"),),
        needs=IDMAPPED,
    ),
    Rule(
        "shared-pids",
        "kill(2): -1 is all that can be reached, and who is not PID 1 reaches others",
        userns.others_survive_a_halt,
        (("init.c", "if (getpid() != 1)", "if (0)"),),
    ),
    Rule(
        "undo",
        "rule: what a failed operation took is given back",
        payload.waits_until_gone,
        (
            (
                "start.c",
                "if (s->undo & which & undo_table[i].bit)",
                "if (s->undo & which & undo_table[i].bit & (unsigned)~UNDO_CGROUP)",
            ),
        ),
    ),
)
