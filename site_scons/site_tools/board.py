"""What belongs to one board: its folder's files and the containers it asks for."""

import os

from sampan.core import paths


def home(env):
    """The folder of $BOARD, which may be NAME@KERNEL."""
    return paths.boards_dir() / env["BOARD"].partition("@")[0]


def board_file(env, name):
    """A file that board.toml names: relative to the board's folder, or absolute."""
    return env.File(str(home(env) / name))


def kernel_inputs(env, kernel):
    """What the kernel step reads besides board.toml: the files that provider = "files" names.

    A folder of modules is no node; what is in it, with sizes and times, is a value.
    """
    if kernel.provider == "debian":
        return []  # what names files of a package
    given = [home(env) / name for name in (kernel.image, kernel.config, kernel.modules, kernel.dtb) if name]
    folders = [path for path in given if path.is_dir()]
    files = [(str(path), *os.stat(path)[6:9:2]) for folder in folders for path in sorted(folder.rglob("*"))]
    return [*(env.File(str(path)) for path in given if path not in folders), *([env.Value(files)] if files else [])]


def board_overlay(env):
    """The board's overlay folder as a string, "" when it has none."""
    folder = home(env) / "overlay"
    return str(folder) if folder.is_dir() else ""


def containers(env, names):
    """A manifest with the configurations of configs/containers that the board names."""
    target = "$OUT/containers.manifest"
    args = f"{' '.join(names)} --out $TARGET"
    return env.Step("CONFIGS", target, [], "sampan.build.containers", args)


def devices(env, board, kernel):
    """devices.json with the device lists of the board's containers; of each a page, and what is installed.

    The facts are looked up by the kernel's release, which is known when it runs: all of the board are inputs.
    """
    names = board.rootfs.containers
    made = [f"$OUT/devices/{name}/{file}" for name in names for file in ("report.html", "config")]
    facts = [env.File(str(path)) for path in sorted((paths.boards_dir() / board.name / "facts").glob("*.tsv"))]
    configs = [f"#configs/containers/{name}.config" for name in names]
    data = ["#configs/devices.toml", "#sampan/devices/report.html"]
    args = f"{' '.join(names)} --board $BOARD --kernel $SOURCE --out $TARGET"
    return env.Step(
        "DEVICES", ["$OUT/devices/devices.json", *made], kernel, "sampan.build.devices", args,
        inputs=[*facts, *configs, *data],
    )  # fmt: skip


def generate(env):
    env.AddMethod(board_file, "BoardFile")
    env.AddMethod(kernel_inputs, "KernelInputs")
    env.AddMethod(board_overlay, "BoardOverlay")
    env.AddMethod(containers, "Containers")
    env.AddMethod(devices, "Devices")


def exists(env):
    return True
