"""env.Step: one command `python -m MODULE ARGS` that makes targets out of sources.

It depends on the source files of that module and of all it imports, on the packages it uses,
on the interpreter and on the system tools it runs, so that a change in any of them runs it
again. Only files are nodes, never a folder.
"""

from SCons.Action import Action
from SCons.Scanner import ScannerBase

from sampan.build import imports, session

NO_SCANNER = ScannerBase(lambda node, env, path: [], name="none")


def shown_action(env, command, word, subject="$TARGET"):
    """An action that prints as a short line; as the whole command for -n and V=1."""
    # Not env.Action: that one fills in $TARGET before there is one.
    return Action(command) if env["WHOLE"] else Action(command, f"  {word:<8} {subject}")


def step(env, word, target, source, module, args, tools=(), inputs=(), as_text=False):
    """`word` is shown as the step runs; `tools` are names of programs; `inputs` are further dependencies.

    What a source names is an input too (the files of a manifest), but for one read `as_text`: a C source includes.

    Where the interpreter lies is no reason to build again ($( to $)): which one it is, is.
    """
    action = env.ShownAction(f"$($PYTHON$) -m {module} {args}", word)
    nodes = env.Command(target, source, action, source_scanner=NO_SCANNER if as_text else None)
    made = imports.of(module)
    programs = [path for path in map(session.tool, tools) if path]
    env.Depends(nodes, [env.File(str(path)) for path in (*made.files, *made.packages, *programs)])
    env.Depends(nodes, [env.Value(session.interpreter()), *inputs])
    return nodes


def generate(env):
    env.AddMethod(shown_action, "ShownAction")
    env.AddMethod(step, "Step")


def exists(env):
    return True
