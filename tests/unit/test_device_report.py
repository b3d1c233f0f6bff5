"""The page on a container's devices, and the build step that puts lists and pages in an image's folder."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from sampan.build import devices as step
from sampan.cli.devices import command
from sampan.core.errors import SampanError
from sampan.devices import catalogue, plan, policyfile, proof, report, store

LIST = """lxc.cgroup.devices.deny = a
lxc.cgroup.devices.allow = profile:base
# reason: <script>alert(1)</script> & the data disk
lxc.cgroup.devices.allow = /dev/nvme0n1 r
lxc.cgroup.devices.allow = /dev/rtc0 r
lxc.cgroup.devices.allow = c 300:5 w
"""


def planned(text: str = LIST, board: str = "qemux86-64@6.1.0-56-amd64") -> plan.Plan:
    return plan.make("web", policyfile.loads(text, "web.config"), store.find(board), catalogue.load())


def proved(text: str = LIST, **changes: object) -> proof.Proof:
    fields: dict[str, object] = {
        "board": "qemux86-64",
        "kernel": "6.1.0-56-amd64",
        "cgroup": "v2",
        "container": "web",
        "target": "qemu:qemux86-64",
        "when": "2026-05-04T10:00:00Z",
        "policy": proof.digest(policyfile.loads(text, "-")),
        "asked": 4700,
        "devices": 118,
        "mknod": True,
        "rows": [proof.Row(number="c 251:0", name="rtc0", wanted="r", found="r")],
        "mismatches": [],
    }
    return proof.Proof(**(fields | changes))  # type: ignore[arg-type]


class Page(HTMLParser):
    """Texts of the table's rows, and everything that could load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.stack: list[str] = []
        self.loads: list[tuple[str, str]] = []
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [(tag, name) for name, _ in attrs if name in ("src", "href", "srcset", "data", "action")]
        self.scripts += tag == "script"
        if tag == "tr":
            self.rows.append("")
        if tag not in ("meta", "br", "input"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack and self.stack[-1] == tag or tag in ("html",), f"</{tag}> closes {self.stack[-3:]}"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if "tr" in self.stack:
            self.rows[-1] += data + " "


def row(text: str, name: str) -> str:
    return next(each for each in Page(text).rows if each.startswith(f"{name} "))


def test_a_page_is_whole_in_itself_and_escapes_what_others_wrote() -> None:
    text = report.page(planned(), [proved()])
    page = Page(text)
    assert not page.loads and page.scripts == 1
    assert not re.search(r"https?:|url\(|@import|<link", text)
    assert "&lt;script&gt;alert(1)" in text and "{{" not in text
    assert report.page(planned(), [proved()]) == text


def test_it_says_who_may_touch_what_and_why() -> None:
    text = report.page(planned(), [])
    disk = row(text, "/dev/nvme0n1")
    assert "b 259:0" in disk and "line 4" in disk and "the data disk" in disk and "never without a reason" in disk
    assert "also by ng0n1, nvme0" in disk
    assert "no device" in text and "c 300:5" in text, "a number that is nothing on this board is shown"
    assert "not proved" in text and "sampan devices verify qemu:qemux86-64 web" in text
    everything = planned("lxc.cgroup.devices.deny = b 8:0 rwm\n")
    assert "the container has no list" in report.page(everything, []) and everything.nodes == ()


@pytest.mark.parametrize(
    ("name", "same"),
    [("mmcblk3p2", "mmcblk3, mmcblk3p1"), ("mmcblk3", "mmcblk3p1, mmcblk3p2"), ("mtd0ro", "mtd0"), ("gpiochip2", "")],
)
def test_a_partition_is_reached_by_its_disk_and_flash_by_its_twin(name: str, same: str) -> None:
    found = planned(
        f"lxc.cgroup.devices.deny = a\n# reason: a test\nlxc.cgroup.devices.allow = /dev/{name} r\n", "sabrelite@6.1"
    )
    (item,) = (each for each in found.items if each.access)
    assert ", ".join(item.same) == same


def test_the_console_is_the_uart_that_the_kernel_names_and_no_other() -> None:
    same = {item.name: item.same for item in planned("lxc.cgroup.devices.deny = a\n", "sabrelite@6.1").items}
    assert same["console"] == ("ttymxc1",) and same["ttymxc1"] == ("console",)
    assert same["ttymxc0"] == () and "console" not in same["tty1"]


def test_it_says_what_was_proved_and_of_which_list() -> None:
    wrong = proof.Wrong(number="c 251:0", name="rtc0", ask="read", wanted=True, why="a cgroup above refuses it")
    good, bad, old = proved(), proved(cgroup="v1", mismatches=[wrong]), proved(LIST + "\n", kernel="6.1", policy="old")
    text = report.page(planned(), [good, bad, old])
    assert "1 mismatch<" in text and "rtc0 c 251:0: read should be allowed, is refused" in text
    assert text.count("of another list than this one") == 1
    assert row(text, "/dev/rtc0").split()[-2:] == ["\u2713", "\u2717"]
    assert "just what the list says" in text


def test_it_says_where_the_list_would_be_wrong() -> None:
    text = report.page(planned(), [])
    there = next(
        each for each in Page(text).rows if each.startswith("/dev/rtc0 ") and "5.10" not in each and "252" in each
    )
    assert "c 252:0" in there and "c 251:0 is" in there


def test_proofs_are_kept_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPAN_BUILD", str(tmp_path))
    older, newer = proved(when="2026-01-01T00:00:00Z"), proved(cgroup="v1")
    for each in (older, newer):
        path = proof.save(each)
    assert proof.load_all("qemux86-64", "web") == [newer, older]
    path.write_text("{}")
    with pytest.raises(SampanError, match="run verify again"):
        proof.load_all("qemux86-64", "web")


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPAN_BUILD", str(tmp_path))
    done = CliRunner().invoke(
        command, ["report", "--board", "qemuarm@6.1", "--container", "clock"], catch_exceptions=False
    )
    said = "9 of 101</b><span>devices of the board are open, and 1 rule for numbers without a device"
    assert said.replace("</b><span>", " ") + "; 0 proofs\n" in done.output
    text = (tmp_path / "qemuarm/devices/clock/6.1.0-50-armmp.html").read_text()
    assert said in text
    groups = [re.findall(r"(\d+) (open|closed|without a device)", group) for group in re.findall("<h3>.*?</h3>", text)]
    count = {what: sum(int(n) for each in groups for n, of in each if of == what) for what in ("open", "closed")}
    assert count == {"open": 9, "closed": 101 - 9}
    assert sum(("1", "without a device") in each for each in groups) == 1  # c 136:*, the ptys to come


def test_everything_open_is_counted_as_that_on_the_command_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMPAN_BUILD", str(tmp_path))
    argv = ["report", "--board", "qemuarm@6.1", "--container", "app_bash"]
    done = CliRunner().invoke(command, argv, catch_exceptions=False)
    assert "everything is open: the container has no list of devices; 0 proofs" in done.output


def test_the_build_resolves_every_container_of_an_image(tmp_path: Path) -> None:
    step.build("qemuarm", "6.1.0-50-armmp", ["app_bash", "clock", "sys_elinux"], tmp_path / "devices.json")
    found = step.load(tmp_path / "devices.json")
    assert found["clock"].rules[-2:] == ["c 136:* rw", "c 252:0 r"] and "/dev/rtc0 c 252:0" in found["clock"].nodes
    assert found["app_bash"].everything and not found["app_bash"].rules
    assert found["sys_elinux"].errors == 2 and found["clock"].errors == 0
    assert "<h1>clock" in (tmp_path / "clock/report.html").read_text()
    text = (tmp_path / "clock/config").read_text()
    assert "profile" not in re.sub("#.*", "", text) and "lxc.cgroup.devices.allow = char-pts rw\n" in text
    again = plan.make("clock", policyfile.loads(text, "-"), store.find("qemuarm@6.1.0-50-armmp"), catalogue.load())
    assert [str(rule) for rule in again.rules] == found["clock"].rules
    original = Path(step.configurations() / "sys_elinux.config").read_text()
    assert (tmp_path / "sys_elinux/config").read_text() == original
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    step.build("qemuarm", "6.1.0-50-armmp", ["app_bash", "clock", "sys_elinux"], tmp_path / "devices.json")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.*")}


@pytest.mark.parametrize(
    ("board", "kernel", "message"),
    [
        ("raspi2b", "6.1.0-50-armmp", r"clock.config:8: /dev/rtc0 r: raspi2b@6.1.0-50-armmp has no such device"),
        (
            "qemuarm",
            "6.1.0-99-armmp",
            r"clock.config:6: profile:base: there are no facts of qemuarm under",
        ),
    ],
)
def test_what_does_not_resolve_ends_the_build(tmp_path: Path, board: str, kernel: str, message: str) -> None:
    with pytest.raises(SampanError, match=message) as refused:
        step.build(board, kernel, ["app_bash", "clock"], tmp_path / "devices.json")
    if "no facts" in message:  # with those of 6.1.0-50 at hand: a near kernel is no substitute
        assert "`sampan devices probe qemu:qemuarm`" in refused.value.hint
    assert not list(tmp_path.iterdir())
    step.build(board, "6.1.0-99-armmp", ["sys_elinux"], tmp_path / "devices.json")  # numbers need no facts
    assert json.loads((tmp_path / "devices.json").read_text())["sys_elinux"]["facts"] == ""
