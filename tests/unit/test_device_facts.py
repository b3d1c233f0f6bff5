"""Facts: every recorded kernel is read, written and found again; wrong files are refused with their line."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sampan.cli.devices import command
from sampan.core import paths
from sampan.core.errors import SampanError
from sampan.devices import dump, store, tsv
from sampan.devices import facts as f

DUMP = Path(__file__).parents[1] / "data" / "probe" / "virt-arm.txt"
RECORDED = store.names()


def test_boards_and_kernels_recorded() -> None:
    kernels: dict[str, set[str]] = {}
    for board, kernel in RECORDED:
        kernels.setdefault(board, set()).add(kernel)
    assert len(RECORDED) >= 41
    assert all(len(kernels[board]) >= 2 for board in ("qemuarm", "qemuarm64", "qemux86", "qemux86-64"))


@pytest.mark.parametrize("name", RECORDED, ids=lambda name: "@".join(name))
def test_every_record_is_canonical(name: tuple[str, str]) -> None:
    found = store.load(*name)
    assert tsv.dumps(found) == store.path_of(*name).read_text()
    assert found.consoles and len(found.nodes) > 80


def test_numbers_are_what_the_kernel_said() -> None:
    found = store.find("qemuarm@6.1")
    assert found.by_name["rtc0"].number == "c 252:0"
    assert found.by_name["rtc0"].of_node == "/pl031@9010000"
    assert found.drivers("c", 254) == ("gpiochip",)
    assert found.drivers("c", 4) == ("/dev/vc/0", "tty", "ttyS")
    assert found.majors_of("b", "virtblk") == [254]
    assert found.misc_name(183) == "hw_random"
    assert found.is_console("c", 204, 64) and not found.is_console("c", 4, 64)


def test_a_dump_becomes_the_facts_recorded() -> None:
    assert dump.read(DUMP, "qemuarm") == store.find("qemuarm@6.1.0-50-armmp")


def test_a_dump_over_a_serial_line() -> None:
    text = "root@qemuarm:~# sh probe.sh\r\n" + DUMP.read_text().replace("\n", "\r\n") + "root@qemuarm:~# "
    assert dump.parse(text, "qemuarm", "-") == dump.read(DUMP, "qemuarm")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@@ end", "", "no section 'end'"),
        ("c\t252:0\trtc0\trtc", "c\t252:0\trtc0", "fields instead of 9"),
        ("c\t252:0\t", "c\t5000:0\t", "no device number"),
        ("c\t252:0\t", "x\t252:0\t", "is c or b"),
        ("252 rtc\n", "", "no driver holds c major 252"),
        ("252 rtc\n", "rtc\n", "no line of /proc/devices"),
        ("Linux version 6", "Minix version 6", "no /proc/version"),
        ("183 hw_random", "hw_random", "no line of /proc/misc"),
        ("207 16-23 serial", "207", "no line of /proc/tty/drivers"),
        ("c\t254:0\tgpiochip0", "c\t252:0\tgpiochip0", "is both"),
    ],
)
def test_a_dump_that_is_wrong(old: str, new: str, message: str) -> None:
    text = DUMP.read_text()
    assert old in text
    with pytest.raises(SampanError, match=message):
        dump.parse(text.replace(old, new), "qemuarm", "dump")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("end\t", "end\t1", "records stand before the end"),
        ("board\tqemuarm\n", "board\tqemuarm\nboard\traspi0\n", ":4: a second record 'board'.*two boards"),
        ("facts\t1", "facts\t2", ":2: format '2'"),
        ("facts\t1\n", "", ":2: no facts file"),
        ("misc\t183", "misc\t0183", "no number from 0 to 1048575"),
        ("node\tc\t252:0", "node\tc\t4096:0", "no device number"),
        ("node\tc\t252:0", "node\tx\t252:0", "neither c nor b"),
        ("node\tc\t252:0\trtc0\t", "node\tc\t252:0\t", "has 10 columns, not 9"),
        ("node\tc\t252:0\trtc0\t", "node\tc\t252:0\t\t", "an empty column"),
        ("node\tc\t252:0\trtc0\t", "node\tc\t252:0\t-\t", "a name is missing"),
        ("major\tc\t252\trtc\n", "major\tc\t252\trtc\nmajor\tc\t252\trtc\n", "before the end"),
        ("tty\tttyAMA\t204\t64-77", "tty\tttyAMA\t204\t64", "no range"),
        ("misc\t183", "mics\t183", "unknown record 'mics'"),
    ],
)
def test_a_facts_file_that_is_wrong(old: str, new: str, message: str) -> None:
    text = store.path_of("qemuarm", "6.1.0-50-armmp").read_text()
    assert old in text
    with pytest.raises(SampanError, match=message):
        tsv.loads(text.replace(old, new), "f.tsv")


@given(st.data())
def test_facts_cut_short_are_never_taken(data: st.DataObject) -> None:
    text = store.path_of("qemuarm", "6.1.0-50-armmp").read_text()
    cut = data.draw(st.integers(0, len(text) - 2))
    with pytest.raises(SampanError):
        tsv.loads(text[:cut], "f.tsv")


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r-", exclude_categories=["C", "Z"]), min_size=1)
_KINDS = st.sampled_from(["c", "b"])
_MAJORS = st.builds(f.Major, _KINDS, st.integers(0, 4095), _NAMES)


@given(st.sets(_MAJORS, min_size=1), st.data())
def test_whatever_is_written_is_read_back(majors: set[f.Major], data: st.DataObject) -> None:
    held = sorted({(major.kind, major.number) for major in majors})
    keys = data.draw(st.sets(st.tuples(st.sampled_from(held), st.integers(0, 1048575)), max_size=5))
    names = data.draw(st.lists(_NAMES, min_size=len(keys), max_size=len(keys), unique=True))
    texts = st.one_of(st.just(""), _NAMES)
    made = f.make(
        data.draw(_NAMES),
        data.draw(_NAMES),
        data.draw(texts),
        majors=majors,
        misc=[],
        ttys=data.draw(st.sets(st.builds(f.Tty, _NAMES, *[st.integers(0, 4095)] * 3, texts.filter(bool)), max_size=3)),
        consoles=[],
        nodes=[f.Node(*held, minor, name, data.draw(texts)) for (held, minor), name in zip(keys, names, strict=True)],
    )
    assert tsv.loads(tsv.dumps(made), "-") == made


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAMPAN_BOARDS", str(tmp_path))
    assert paths.boards_dir() == tmp_path
    return tmp_path


def test_a_spec_names_one_kernel_or_is_refused() -> None:
    assert store.find("qemuarm@6.12").kernel.startswith("6.12.")
    assert store.find("highbank").board == "highbank"
    for spec, message in [
        ("qemuarm", "which one"),
        ("qemux86-64@6.1", "recorded 3 times"),
        ("qemuarm@6", "which one"),
        ("qemuarm@7", "no facts of qemuarm under a kernel 7"),
        ("qemuram@6.1", "did you mean 'qemuarm'"),
    ]:
        with pytest.raises(SampanError) as caught:
            store.find(spec)
        assert message in str(caught.value)


def test_facts_in_the_folder_of_another_board_are_refused(boards: Path) -> None:
    other = boards / "mine" / "facts" / "6.1.0-50-armmp.tsv"
    other.parent.mkdir(parents=True)
    shutil.copy(paths.ROOT / "board" / "qemuarm" / "facts" / other.name, other)
    with pytest.raises(SampanError, match="these are the facts of qemuarm@"):
        store.find("mine")


def test_the_probe_is_read_on_this_very_kernel(boards: Path) -> None:
    script = paths.ROOT / "sampan" / "devices" / "probe.sh"
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=True)
    found = dump.parse(done.stdout, "here", "probe")
    assert found.kernel == platform.release()
    assert found.by_name["null"].number == "c 1:3" and found.by_name["null"].subsystem == "mem"


def test_the_output_of_two_probes_is_refused() -> None:
    text = DUMP.read_text()
    with pytest.raises(SampanError, match="a second section 'version'"):
        dump.parse(text + text, "qemuarm", "dump")
    half = text[: text.index("@@ nodes")] + text[text.index("@@ misc") :]
    with pytest.raises(SampanError, match="a second section 'misc'"):
        dump.parse(half, "qemuarm", "dump")


def test_another_machine_is_not_recorded_under_a_boards_name(boards: Path) -> None:
    runner = CliRunner()
    runner.invoke(command, ["record", "mine", str(DUMP)], catch_exceptions=False)
    other = boards / "other.txt"
    text = DUMP.read_text().replace("Linux version 6.1.", "Linux version 6.12.")
    other.write_text(text.replace("linux,dummy-virt", "fsl,imx6q-sabrelite"))
    with pytest.raises(SampanError, match="this is fsl,imx6q-sabrelite, and the facts of mine are those of linux,dum"):
        runner.invoke(command, ["record", "mine", str(other)], catch_exceptions=False)
    assert len(store.select("mine")) == 1
    other.write_text(text)
    runner.invoke(command, ["record", "mine", str(other)], catch_exceptions=False)
    assert len(store.select("mine")) == 2


def test_record_replaces_other_facts_only_when_told_so(boards: Path) -> None:
    runner = CliRunner()
    assert "101 nodes" in runner.invoke(command, ["record", "mine", str(DUMP)], catch_exceptions=False).output
    moved = boards / "moved.txt"
    moved.write_text(DUMP.read_text().replace("252 rtc", "233 rtc").replace("252:0", "233:0"))
    with pytest.raises(SampanError, match="holds other facts"):
        runner.invoke(command, ["record", "mine", str(moved)], catch_exceptions=False)
    runner.invoke(command, ["record", "--force", "mine", str(moved)], catch_exceptions=False)
    assert store.find("mine").by_name["rtc0"].number == "c 233:0"
    with pytest.raises(SampanError, match="no name of a board"):
        runner.invoke(command, ["record", "../x", str(DUMP)], catch_exceptions=False)
