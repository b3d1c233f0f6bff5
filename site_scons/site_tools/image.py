"""env.Image and env.Overlay: what image files are made of."""

from pathlib import Path

from SCons.Scanner import Scanner

from sampan.build import rootfs
from sampan.core.errors import SampanError

#: Format -> module, options, system tools.
FORMATS = {
    "cpio": ("cpio", "--format cpio", ()),
    "cpio.gz": ("cpio", "--format cpio.gz", ()),
    "cpio.zst": ("cpio", "--format cpio.zst", ()),
    "ext4": ("ext4", "", ("mke2fs", "debugfs", "e2fsck")),
    "squashfs": ("squashfs", "", ("tar2sqfs",)),
}


def listed(node, env, path):
    """Scanner: the files that a manifest names.

    One that is not there and that no step makes is left out: that changes the list, so the step
    runs and says it with file and line, better than SCons could.
    """
    if not node.exists():
        return []
    try:
        files = rootfs.input_files([Path(node.get_abspath())])
    except SampanError:
        return []  # the step says it
    nodes = [env.File(str(file)) for file in files if str(file) != node.get_abspath()]
    return [each for each in nodes if each.has_builder() or Path(each.get_abspath()).is_file()]


def overlay(env, folder):
    """What stands for an overlay folder in the graph: its files, and its modes, links and names as a value."""
    folder = Path(folder)
    names = "\n".join(f"{line.path} {line.entry}" for line in rootfs.read_overlay(folder))
    return [*(env.File(str(path)) for path in rootfs.input_files([folder])), env.Value(names)]


def image(env, format, manifest, sources):
    """One image file of a resolved manifest: $OUT/rootfs.FORMAT."""
    module, options, tools = FORMATS[format]
    args = f"--manifest ${{SOURCES[0]}} --sources ${{SOURCES[1]}} {options} --epoch $SOURCE_DATE_EPOCH --out $TARGET"
    target = f"$OUT/rootfs.{format}"
    return env.Step(module.upper(), target, [manifest, sources], f"sampan.build.{module}", args, tools=tools)


def generate(env):
    env.Append(SCANNERS=Scanner(function=listed, skeys=[".manifest"], name="manifest"))
    env.AddMethod(overlay, "Overlay")
    env.AddMethod(image, "Image")


def exists(env):
    return True
