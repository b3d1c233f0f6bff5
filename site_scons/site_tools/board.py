"""What belongs to one board: its folder's files and the containers it asks for."""

from sampan.core import paths


def board_file(env, name):
    """A file that board.toml names: relative to the board's folder, or absolute."""
    return env.File(str(paths.boards_dir() / env["BOARD"] / name))


def board_overlay(env):
    """The board's overlay folder as a string, "" when it has none."""
    folder = paths.boards_dir() / env["BOARD"] / "overlay"
    return str(folder) if folder.is_dir() else ""


def containers(env, names):
    """A manifest with the configurations of configs/containers that the board names."""
    target = "$OUT/containers.manifest"
    args = f"{' '.join(names)} --out $TARGET"
    return env.Step("CONFIGS", target, [], "sampan.build.containers", args)


def generate(env):
    env.AddMethod(board_file, "BoardFile")
    env.AddMethod(board_overlay, "BoardOverlay")
    env.AddMethod(containers, "Containers")


def exists(env):
    return True
