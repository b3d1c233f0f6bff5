"""Manifests: what a person may write, what comes out, and what is refused with which words."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.build import manifest, rootfs
from sampan.build.manifest import ALLOWANCES, Entry, Kind, Manifest, Sources
from sampan.build.manifest_input import parse_lines, read_overlay
from sampan.build.rootfs import Inputs, links_to, relative, resolve
from sampan.core.errors import EXIT_USAGE, SampanError

NOTHING = Inputs({}, {})

# Names as bytes: whatever the kernel takes, UTF-8 or not.
names = (
    st.binary(min_size=1, max_size=12)
    .filter(lambda name: not {0, 0x2F} & set(name) and name not in (b".", b".."))
    .map(lambda name: name.decode("utf-8", "surrogateescape"))
)
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
ids = st.integers(0, manifest.ID_MAX)
xattrs = st.dictionaries(
    st.text(string.ascii_lowercase + ' ="', min_size=1).map("user.".__add__), st.binary(max_size=20), max_size=3
).map(lambda found: tuple(sorted(found.items())))
common = {"path": paths, "mode": st.integers(0, 0o7777), "uid": ids, "gid": ids, "xattrs": xattrs}
shas = st.binary(min_size=32, max_size=32).map(bytes.hex)
entries = st.one_of(
    st.builds(Entry, kind=st.sampled_from([Kind.DIR, Kind.FIFO]), **common),
    st.builds(
        Entry,
        kind=st.just(Kind.FILE),
        sha256=shas,
        size=st.integers(0, 2**40),
        allow=st.sets(st.sampled_from(ALLOWANCES)).map(lambda words: tuple(sorted(words))),
        **common,
    ),
    st.builds(Entry, kind=st.just(Kind.LINK), target=names, **common),
    st.builds(Entry, path=paths, kind=st.just(Kind.HARD), target=paths),
    st.builds(
        Entry,
        kind=st.sampled_from([Kind.CHAR, Kind.BLOCK]),
        rdev=st.tuples(st.integers(0, manifest.MAJOR_MAX), st.integers(0, manifest.MINOR_MAX)),
        **common,
    ),
)


@given(st.lists(entries, max_size=8))
def test_a_resolved_manifest_reads_back_as_it_was_written(found: list[Entry]) -> None:
    content = Manifest(tuple(found))
    text = manifest.format_manifest(content)
    assert manifest.parse_manifest(text) == content
    assert text.isascii() and text.count("\n") == len(found) + 1


@given(st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_any_field_survives_escaping(text: str) -> None:
    assert manifest.unescape(manifest.escape(text)) == text
    assert not set(manifest.escape(text)) & set(" \t\r\n") and not manifest.escape(text).startswith("#")


@given(st.text(max_size=80))
def test_any_text_is_parsed_or_refused_with_its_line(text: str) -> None:
    try:
        parse_lines(text, "m", Path())
    except SampanError as error:
        assert error.message.startswith("m:") and error.code == EXIT_USAGE


@given(st.dictionaries(shas, st.one_of(st.binary(max_size=50), paths.map(Path)), max_size=5))
def test_sources_read_back_as_they_were_written(found: dict[str, bytes | Path]) -> None:
    given = Sources(
        {sha: where for sha, where in found.items() if isinstance(where, Path)},
        {sha: where for sha, where in found.items() if isinstance(where, bytes)},
    )
    assert manifest.parse_sources(manifest.format_sources(given)) == given


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("bin dir 0755 0 0", "m:2: bin: not an absolute path", ""),
        ("/a//b dir 0755 0 0", "m:2: /a//b: not a normal path", ""),
        ("/a/../b dir 0755 0 0", "m:2: /a/../b: not a normal path", ""),
        ("/a/ dir 0755 0 0", "m:2: /a/: not a normal path", ""),
        ("/a\\000b dir 0755 0 0", "not a normal path", "NUL"),
        ("/" + "n" * 256 + " dir 0755 0 0", "longer than the kernel takes", ""),
        ("/a", "m:2: /a: no type", "path type mode"),
        ("/a directory 0755 0 0", "m:2: /a: unknown type 'directory'", "did you mean 'dir'?"),
        ("/a dir 0755 0", "m:2: /a: dir needs mode, uid and gid", "/a dir 0755 0 0"),
        ("/a dir 0855 0 0", "mode '0855' is not octal", ""),
        ("/a dir 10000 0 0", "mode '10000' is not octal between", ""),
        ("/a dir rwx 0 0", "mode 'rwx' is not octal", ""),
        ("/a dir 0755 root 0", "uid 'root' is not a number", ""),
        ("/a dir 0755 0 4294967295", "gid '4294967295' is not a number between", ""),
        ("/a dir 0755 0 -1", "gid '-1' is not a number", ""),
        ("/a dir 0755 0 0 extra", "'extra' is no attribute", ""),
        ("/a link 0755 0 0 b", "mode '0755': a symbolic link always has 0777", ""),
        ("/a link 0777 0 0", "m:2: /a: link needs a target", ""),
        ("/a hard 0755 0 0 /b", "a hard link has the mode and owner of its file", "/a hard - - - TARGET"),
        ("/a hard - - - b", "b: not an absolute path", ""),
        ("/a hard - - - /b user.x=1", "attributes of a hard link belong to the file", ""),
        ("/a char 0600 0 0", "'' is no device number MAJOR:MINOR", "5:1"),
        ("/a char 0600 0 0 5,1", "'5,1' is no device number", ""),
        ("/a block 0600 0 0 4096:0", "'4096:0' is no device number", ""),
        ("/a block 0600 0 0 1:1048576", "'1:1048576' is no device number", ""),
        ("/a file 0644 0 0 - allow=everything", "allow=everything: known are machine", ""),
        ("/a file 0644 0 0 - note=1", "attribute 'note' is neither allow= nor in user.", ""),
        ("/a file 0644 0 0 - user.a=1 user.a=2", "attribute 'user.a' is given twice", ""),
        ("/a\\40 dir 0755 0 0", "a backslash is written \\134", ""),
        ("/a\\400 dir 0755 0 0", "a backslash is written \\134", ""),
        ("/a absent now", "nothing follows `absent`", ""),
    ],
)
def test_a_wrong_line_is_refused_with_file_line_and_a_way_out(line: str, message: str, hint: str) -> None:
    with pytest.raises(SampanError) as caught:
        parse_lines(f"# comment\n{line}\n", "m", Path())
    assert caught.value.message.startswith("m:2: ")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_path_twice_in_one_manifest_names_both_lines() -> None:
    with pytest.raises(SampanError, match=r"m:3: /a: stands already in m:1"):
        parse_lines("/a dir 0755 0 0\n\n/a dir 0700 0 0\n", "m", Path())


def resolved(*texts: str, given: Inputs = NOTHING, folder: Path = Path()) -> Manifest:
    layers = [parse_lines(text, f"m{number}", folder) for number, text in enumerate(texts, start=1)]
    return resolve(layers, given)[0]


def test_later_manifests_win_and_absent_takes_a_tree_away() -> None:
    content = resolved(
        "/a dir 0755 0 0\n/a/x dir 0755 0 0\n/a/x/y fifo 0600 0 0\n/ab dir 0755 0 0\n/b dir 0755 0 0\n",
        "/a/x absent\n/b dir 0700 7 8\n",
    )
    assert [entry.path for entry in content] == ["/", "/a", "/ab", "/b"]
    assert content.by_path["/b"] == Entry("/b", Kind.DIR, 0o700, 7, 8)


def test_entries_are_sorted_by_bytes_with_the_root_first_whatever_the_order() -> None:
    text = "/b dir 0755 0 0\n/a-b dir 0755 0 0\n/a/c fifo 0600 0 0\n/a dir 0755 0 0\n/ dir 0711 0 0\n"
    lines = text.splitlines()
    assert [entry.path for entry in resolved(text)] == ["/", "/a", "/a-b", "/a/c", "/b"]
    assert resolved(text) == resolved("\n".join(reversed(lines)))
    assert resolved(text).entries[0].mode == 0o711


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("/a/b dir 0755 0 0", "m1:1: /a/b: there is no /a", "/a dir 0755 0 0"),
        ("/a link - 0 0 usr\n/a/b dir 0755 0 0", "m1:2: /a/b: /a is no dir but link (m1:1)", "use usr in the path"),
        ("/a hard - - - /b", "m1:1: /a: /b is no file of this image", ""),
        ("/a dir 0755 0 0\n/b hard - - - /a", "m1:2: /b: /a is no file of this image", ""),
        ("/a absent", "m1:1: /a: cannot be taken away", ""),
        ("/ fifo 0755 0 0", "m1:1: /: the root is a dir", ""),
        ("/a file 0644 0 0 no/such", "m1:1: /a: its source no/such is not there", ""),
        ("/a file 0644 0 0 @busybocks", "m1:1: /a: @busybocks: no --file busybocks=...", "did you mean 'busybox'?"),
        ("/a file 0644 0 0 @text:host", "m1:1: /a: @text:host: no --text host=...", "did you mean 'hostname'?"),
        ("/a file 0644 0 0 @template:no/such", "m1:1: /a: its template no/such is not there", ""),
    ],
)
def test_what_does_not_fit_together_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(SampanError) as caught:
        resolved(text, given=Inputs({"busybox": Path("bb")}, {"hostname": "x"}))
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_files_come_from_paths_names_texts_and_templates(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/motd").write_text("hello")
    (tmp_path / "inittab").write_text("@TTY@::respawn:getty @TTY@ @BAUD@ user@host\n")
    (tmp_path / "bb").write_bytes(b"\x7fELF")
    text = """
/etc dir 0755 0 0
/etc/motd file 0644 0 0
/etc/motd2 file 0644 0 0 etc/motd
/etc/none file 0644 0 0 -
/etc/hostname file 0644 0 0 @text:hostname
/etc/inittab file 0644 0 0 @template:inittab
/busybox file 0755 0 0 @busybox user.note=a\\040b allow=relro,closure
/below file 0755 0 0 @etc/motd
"""
    given = Inputs(
        {"busybox": tmp_path / "bb", "etc": tmp_path / "etc"}, {"hostname": "a", "tty": "ttyS0", "baud": "9600"}
    )
    content, sources = resolve([parse_lines(text, "m", tmp_path)], given)

    def read(path: str) -> bytes:
        return sources.read(content.by_path[path])

    assert read("/etc/motd") == read("/etc/motd2") == read("/below") == b"hello"
    assert read("/etc/none") == b"" and read("/etc/hostname") == b"a\n" and read("/busybox") == b"\x7fELF"
    assert read("/etc/inittab") == b"ttyS0::respawn:getty ttyS0 9600 user@host\n"
    assert content.by_path["/busybox"].xattrs == (("user.note", b"a b"),)
    assert content.by_path["/busybox"].allow == ("closure", "relro")
    assert str(tmp_path) not in manifest.format_manifest(content)


def test_an_unknown_word_in_a_template_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("fine\n@BAUT@\n")
    with pytest.raises(SampanError) as caught:
        resolved("/a file 0644 0 0 @template:t", given=Inputs({}, {"baud": "1"}), folder=tmp_path)
    assert f"{tmp_path}/t:2: unknown @BAUT@" in caught.value.message
    assert "did you mean 'BAUD'?" in caught.value.hint


def test_a_file_that_changed_after_the_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("one")
    content, sources = resolve([parse_lines("/f file 0644 0 0", "m", tmp_path)], NOTHING)
    (tmp_path / "f").write_text("two")
    with pytest.raises(SampanError, match="changed since the manifest was made"):
        sources.read(content.by_path["/f"])


def overlay(folder: Path) -> Path:
    (folder / "etc").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "empty/.gitkeep").touch()
    (folder / "etc/run").write_text("#!/bin/sh\n")
    (folder / "etc/conf file").write_text("x")
    (folder / "etc/link").symlink_to("../run")
    return folder


@pytest.mark.parametrize(("plain", "program"), [(0o644, 0o755), (0o600, 0o700), (0o664, 0o777)])
def test_an_overlay_depends_on_the_x_bit_alone(tmp_path: Path, plain: int, program: int) -> None:
    folder = overlay(tmp_path)
    (folder / "etc/run").chmod(program)
    (folder / "etc/conf file").chmod(plain)
    (folder / "etc").chmod(0o700)
    found = {line.path: line.entry for line in read_overlay(folder)}
    assert found["/etc/run"] == Entry("/etc/run", Kind.FILE, 0o755)
    assert found["/etc/conf file"] == Entry("/etc/conf file", Kind.FILE, 0o644)
    assert found["/etc"] == Entry("/etc", Kind.DIR, 0o755)
    assert found["/etc/link"] == Entry("/etc/link", Kind.LINK, 0o777, target="../run")
    assert set(found) == {"/empty", "/etc", "/etc/run", "/etc/conf file", "/etc/link"}


def test_a_folder_an_overlay_passes_through_keeps_its_mode(tmp_path: Path) -> None:
    base = parse_lines("/etc dir 0700 1 2\n", "m", Path())
    content, _ = resolve([base, read_overlay(overlay(tmp_path))], NOTHING)
    assert content.by_path["/etc"] == Entry("/etc", Kind.DIR, 0o700, 1, 2)
    assert content.by_path["/empty"].mode == 0o755


def test_an_overlay_manifest_has_the_last_word_in_its_folder(tmp_path: Path) -> None:
    folder = overlay(tmp_path)
    text = "/etc/conf\\040file file 0600 3 4\n/etc dir 0711 0 0\n/null char 0666 0 0 1:3\n"
    (folder / "overlay.manifest").write_text(text)
    content, sources = resolve([read_overlay(folder)], NOTHING)
    assert sources.read(content.by_path["/etc/conf file"]) == b"x"
    assert content.by_path["/etc/conf file"].mode == 0o600 and content.by_path["/etc/conf file"].gid == 4
    assert content.by_path["/etc"].mode == 0o711 and content.by_path["/null"].rdev == (1, 3)
    assert "/overlay.manifest" not in content.by_path


def test_a_fifo_in_an_overlay_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    with pytest.raises(SampanError, match="neither a file, a folder nor a symbolic link") as caught:
        read_overlay(tmp_path)
    assert "overlay.manifest" in caught.value.hint


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("/bin/sh", "busybox"),
        ("/sbin/init", "../bin/busybox"),
        ("/usr/bin/vi", "../../bin/busybox"),
        ("/linuxrc", "bin/busybox"),
        ("/bin/bin/x", "../busybox"),
    ],
)
def test_links_are_relative(link: str, text: str) -> None:
    assert relative(link, "/bin/busybox") == text
    assert os.path.normpath(os.path.join(os.path.dirname(link), text)) == "/bin/busybox"


def test_applets_yield_to_every_manifest(tmp_path: Path) -> None:
    (tmp_path / "busybox.links").write_text("/init\n/sh\n")
    links = links_to(tmp_path / "busybox.links", "/busybox")
    content, _ = resolve([links, parse_lines("/init fifo 0600 0 0\n/busybox file 0755 0 0 -\n", "m", Path())], NOTHING)
    assert content.by_path["/init"].kind is Kind.FIFO
    assert content.by_path["/sh"].target == "busybox"


def test_the_graph_learns_every_file_that_is_read(tmp_path: Path) -> None:
    folder = overlay(tmp_path / "overlay")
    (folder / "overlay.manifest").write_text("")
    (tmp_path / "m").write_text("/a file 0644 0 0 a\n/b file 0644 0 0 @busybox\n/c file 0644 0 0 @template:t\n")
    (tmp_path / "a").touch()
    (tmp_path / "t").touch()
    found = rootfs.input_files([tmp_path / "m", folder])
    assert found == sorted(
        [
            *(tmp_path / name for name in "mat"),
            folder / "etc/run",
            folder / "etc/conf file",
            folder / "overlay.manifest",
        ]
    )


@pytest.mark.parametrize("line", ["/a dir", "/a dir 0755 0 0 - - - - x", "/a what 0755 0 0 - - - - -"])
def test_a_damaged_resolved_manifest_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(SampanError, match="m:2: damaged line"):
        manifest.parse_manifest(f"{manifest.HEADER}{line}\n", "m")
    with pytest.raises(SampanError, match="m:1: not a resolved manifest"):
        manifest.parse_manifest(line, "m")
    with pytest.raises(SampanError, match="s:1: damaged line"):
        manifest.parse_sources("abc\tdef\n", "s")
