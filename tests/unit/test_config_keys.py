"""The key table: what it must hold, what is refused in it, and that the documentation is current."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.config import keygen, keys
from sampan.core import paths
from sampan.core.errors import SampanError

TABLE = keys.load(keys.default_path())

#: LXC's own table, all entries of its newest release, and what it accepted before 2.1.
MODERN = """
include arch uts.name rootfs.path rootfs.mount rootfs.options rootfs.managed mount.fstab mount.entry mount.auto autodev
autodev.tmpfs.size tty.max tty.dir pty.max console.path console.logfile console.size console.rotate console.buffer.size
init.cmd execute.cmd init.uid init.gid init.groups init.cwd signal.halt signal.reboot signal.stop environment
environment.runtime environment.hooks ephemeral cap.drop cap.keep no_new_privs seccomp.profile seccomp.allow_nesting
seccomp.notify.proxy seccomp.notify.cookie idmap cgroup.* cgroup2.* cgroup.dir cgroup.dir.container
cgroup.dir.container.inner cgroup.dir.monitor cgroup.dir.monitor.pivot cgroup.relative namespace.clone namespace.keep
namespace.share.* prlimit.* sysctl.* proc.* sched.core time.offset.boot time.offset.monotonic keyring.session
hook.pre-start hook.pre-mount hook.mount hook.autodev hook.start hook.post-stop hook.clone hook.stop hook.destroy
hook.start-host hook.version hook start.auto start.delay start.order group monitor.unshare monitor.signal.pdeath
log.file log.level log.syslog apparmor.profile apparmor.allow_incomplete apparmor.allow_nesting apparmor.raw
selinux.context selinux.context.keyring net net.N.type net.N.flags net.N.link net.N.name net.N.hwaddr net.N.mtu
net.N.ipv4.address net.N.ipv4.gateway net.N.ipv6.address net.N.ipv6.gateway net.N.script.up net.N.script.down
net.N.veth.pair net.N.veth.mode net.N.veth.ipv4.route net.N.veth.ipv6.route net.N.l2proxy net.N.veth.vlan.id
net.N.veth.vlan.tagged.id net.N.veth.n_rxqueues net.N.veth.n_txqueues net.N.macvlan.mode net.N.ipvlan.mode
net.N.ipvlan.isolation net.N.vlan.id
"""
LEGACY = """
utsname rootfs rootfs.backend mount pts tty devttydir console id_map aa_profile aa_allow_incomplete se_context seccomp
haltsignal rebootsignal stopsignal init_cmd init_uid init_gid logfile loglevel syslog limit.* kmsg pivotdir network
network.type network.flags network.link network.name network.hwaddr network.mtu network.script.up network.script.down
network.veth.pair network.macvlan.mode network.vlan.id network.ipv4.gateway network.ipv6.gateway network.ipv4
network.ipv6 network.N.type network.N.ipv4
"""


@pytest.mark.parametrize("name", (MODERN + LEGACY).split())
def test_every_key_of_lxc_is_in_the_table(name: str) -> None:
    assert f"lxc.{name}" in TABLE.by_name


def test_legacy_addresses_of_interfaces_got_new_names() -> None:
    assert TABLE.by_name["lxc.network.N.ipv4"].modern == "lxc.net.N.ipv4.address"
    assert TABLE.by_name["lxc.network.ipv6"].modern == "lxc.net.N.ipv6.address"


def test_documentation_is_current() -> None:
    page = (paths.ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    new = keygen.replace_section(page, keygen.markdown(TABLE), "docs/config.md")
    assert new == page, "run: python -m sampan.config.keygen --markdown docs/config.md"


def row(**fields: object) -> str:
    base: dict[str, object] = {
        "name": "lxc.a", "since": "1.0", "status": "implemented", "kind": "string", "field": "f", "meaning": "A."
    }  # fmt: skip
    items = {name: value for name, value in (base | fields).items() if value is not None}
    return "[[key]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in items.items())


LEGACY_ROW = '[[key]]\nname = "lxc.old"\nmodern = "lxc.{}"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("key = 1", "Expected `array`"),
        ("[[key]\n", "not TOML"),
        (row() + row(), "key 'lxc.a': the name stands twice"),
        (row(name="lxc"), "a name is lxc.WORD"),
        (row(name="lxc.*.a"), "a name is lxc.WORD"),
        (row(name="lxc.A"), "a name is lxc.WORD"),
        (row(colour="red"), "unknown field `colour`"),
        (row(kind="strange"), "Invalid enum value 'strange'"),
        (row(status="soon"), "Invalid enum value 'soon'"),
        (row(status=None), "status is missing"),
        (row(meaning=None), "meaning is missing"),
        (row(meaning="two\nlines"), "printable"),
        (row(reason="why"), "reason belongs to"),
        (row(status="unsupported", kind=None, field=None), "reason belongs to"),
        (row(status="unsupported", reason="why", field=None), "kind belongs to status implemented"),
        (row(kind=None, field=None), "kind belongs to status implemented"),
        (row(field=None), "field does not go with kind string"),
        (row(kind="mount"), "field does not go with kind mount"),
        (row(max=5), "max does not go with kind string"),
        (row(kind="count"), "max does not go with kind count"),
        (row(kind="count", max=2**32), "max does not go with kind count"),
        (row(only=["a"]), "only goes with kind only"),
        (row(kind="only", field=None, reason="why", only=[""]), "an empty value always clears"),
        (row() + LEGACY_ROW.format("b"), "key 'lxc.old': modern = 'lxc.b' is no modern key"),
        (row() + LEGACY_ROW.format("old"), "is no modern key"),
        (row() + LEGACY_ROW.format("a") + "max = 1\n", "no field of its own but modern"),
        (row(name="lxc.a.*") + LEGACY_ROW.format("a.*"), "a prefix stands for a prefix"),
        (row(name="lxc.net.N.a") + LEGACY_ROW.format("net.N.a"), "only lxc.network."),
    ],
)
def test_a_wrong_table_is_refused(text: str, says: str) -> None:
    with pytest.raises(SampanError) as error:
        keys.parse(text.encode(), "keys.toml")
    assert str(error.value).startswith("keys.toml: ") and says in str(error.value)


def test_not_utf8_and_missing(tmp_path: Path) -> None:
    with pytest.raises(SampanError, match="not TOML"):
        keys.parse(b"\xff", "keys.toml")
    with pytest.raises(SampanError, match="cannot read"):
        keys.load(tmp_path / "none.toml")


# -- the generated C


def entries(c: str) -> tuple[list[str], list[dict[str, str]]]:
    """Reads the generated file back: the strings, and the fields of each entry, its name among them."""
    literals = re.findall(r'^\t/\* +(\d+) \*/ "(.*)\\000";?$', c, re.MULTILINE)
    assert [int(at) for at, _ in literals] == list(range(len(literals)))
    data = [re.sub(r"\\(.)", r"\1", literal) for _, literal in literals]
    rows = re.findall(r"^\t\{ (.*) \},$", c, re.MULTILINE)
    found = [dict(field.removeprefix(".").split(" = ") for field in row.split(", .")) for row in rows]
    name = ""
    names = re.findall(r'^\t"\\([0-7]{3})\\([0-7]{3})" "(.*)";?$', c, re.MULTILINE)
    for (shared, length, own), entry in zip(names, found, strict=True):
        assert len(own) == int(length, 8)
        entry["name"] = name = name[: int(shared, 8)] + own
    return data, found


def test_generated_table_is_sorted_and_leads_back_to_the_keys() -> None:
    data, rows = entries(keygen.c_table(TABLE))
    names = [row["name"] for row in rows]
    assert names == sorted(names, key=str.encode) and set(names) == {key.stem for key in TABLE.keys}
    for name, entry in zip(names, rows, strict=True):
        key = TABLE.by_name.get(name) or TABLE.by_name[name + "*"]
        if key.modern:
            assert names[int(entry["field"])] == TABLE.modern(key).stem
        assert len(name) < 64 and ("KEY_UNSUPPORTED" in entry["flags"]) == (key.status == "unsupported")
        if key.max is not None:
            assert data[int(entry["text"])] == str(key.max)
        if key.reason:
            texts = [key.reason, *key.only, ""]
            assert data[int(entry["text"]) :][: len(texts)] == texts


def test_generated_table_is_the_same_every_time() -> None:
    assert keygen.c_table(TABLE) == keygen.c_table(keys.load(keys.default_path()))


TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20)


@given(reasons=st.lists(TEXT, min_size=1, max_size=5), only=st.lists(TEXT, max_size=4))
def test_any_text_of_the_table_arrives_in_c_and_in_the_page(reasons: list[str], only: list[str]) -> None:
    rows = [
        keys.Key(f"lxc.k{number}", meaning="A|B.", since="1", status="implemented", kind="only", reason=reason,
                 only=tuple(only))
        for number, reason in enumerate(reasons)
        if reason.isprintable() and all(text.isprintable() for text in only)
    ]  # fmt: skip
    table = keys.Table(rows)
    data, found = entries(keygen.c_table(table))
    for key, entry in zip(sorted(rows, key=lambda key: key.name), found, strict=True):
        texts = [key.reason, *key.only, ""]
        assert data[int(entry["text"]) :][: len(texts)] == texts
    lines = keygen.markdown(table).splitlines()
    assert len(lines) == 2 + len(rows)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 6 for line in lines)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gen" / "conf_keys.inc"
    assert keygen.main(["--c", str(out)]) == 0
    assert out.read_text() == keygen.c_table(TABLE)
    (tmp_path / "page.md").write_text("# no markers\n")
    assert keygen.main(["--markdown", str(tmp_path / "page.md")]) == 1
    assert "the markers of the key table are missing" in capsys.readouterr().err
    assert (tmp_path / "page.md").read_text() == "# no markers\n"
    (tmp_path / "bad.toml").write_text(row(status=None))
    assert keygen.main(["--table", str(tmp_path / "bad.toml"), "--c", str(out)]) == 2
    assert "bad.toml: key 'lxc.a': status is missing" in capsys.readouterr().err
