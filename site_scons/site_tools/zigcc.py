"""C for the target: env.Object and env.Program by zig cc, or by the compiler of CC= or CROSS_COMPILE=."""

import shlex
from pathlib import Path

import SCons.Builder
import SCons.Scanner.C
from SCons.Tool import SourceFileScanner

from sampan.build import imports, session, toolchain

CFLAGS = (
    "-std=c11 -Os -g0 -D_GNU_SOURCE -ffunction-sections -fdata-sections -fstack-protector-strong"
    " -fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer $(-ffile-prefix-map=$TOP=.$)"
    " -Wall -Wextra -Wshadow -Wformat=2"
)
#: The unwind options are for libc, which zig compiles along: 9 kB of tables nobody reads. Frame
#: pointers, which zig keeps where clang does not, cost 5 kB on x86. The name that is asked for (-u)
#: only musl's file of the stack protector has, which draws the guard; zig's own is a constant.
LINKFLAGS = (
    "-Os -static -s -fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer"
    " -Wl,--gc-sections -Wl,-u,__stack_chk_fail_local -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--build-id=none"
)
#: What only our own objects take, not libc: no floating point here, and without its registers a
#: call of a function of any number of arguments is shorter, and such a function too. On 32-bit x86
#: the guard takes shorter instructions where musl keeps it than in the thread.
OBJECTS = {"x86": "-mstack-protector-guard=global", "x86_64": "-Xclang -target-feature -Xclang -sse -mskip-rax-setup"}
CCCOM = "$CCCMD $CFLAGS $_CPPINCFLAGS -c -o $TARGET $SOURCE"
LINKCOM = "$CCCMD $LINKFLAGS -o $TARGET $SOURCES"
ZIGLINKCOM = "$($PYTHON$) -m sampan.build.link --out $TARGET --driver '$CCCMD $LINKFLAGS' $SOURCES"


def compiler(env):
    """The C compiler's command, the file that identifies it, options of its own, and those of the proving step.

    Warnings end the build with zig, which is pinned; another compiler may know newer ones. -Oz goes
    to clang directly, for zig's driver turns it into -Os; with -flto it saves a twentieth.
    """
    if env["CC"] or env["CROSS_COMPILE"]:
        command = session.resolved(env["CC"] or env["CROSS_COMPILE"] + "gcc")
        given = f"--cc '{command}'" if env["CC"] else f"--cross-compile '{command.removesuffix('gcc')}'"
        return command, Path(shlex.split(command)[0]).resolve(), "", given
    zig = session.relative(toolchain.zig())
    target = toolchain.TARGETS[env["ARCH"]]
    command = shlex.join([zig, "cc", "-target", target.zig, *target.options, "-flto"])
    return command, imports.package_record("ziglang"), f"-Xclang -Oz -Werror {OBJECTS.get(env['ARCH'], '')}".strip(), ""


def use_compiler(env):
    """Choose the compiler for $ARCH and make the step that proves it; once for each architecture."""
    command, identity, own, given = compiler(env)
    ready = env.Step(
        "TOOLS", "$BUILD/toolchain/${ARCH}.ready", [], "sampan.build.toolchain", f"--arch $ARCH {given} --out $TARGET"
    )
    known = [env.File(str(identity))] if identity and identity.is_file() else []
    env.Depends(ready, known)
    env.Clean(ready, env.Dir("$BUILD/toolchain/zig"))
    env.Replace(CCCMD=command, CFLAGS=f"{CFLAGS} {own}".strip(), LINKFLAGS=LINKFLAGS, TOOLCHAIN=[*ready, *known])
    linker = [env.File(str(path)) for path in imports.of("sampan.build.link").files] if own else []
    env.Replace(LINKING=ZIGLINKCOM if own else LINKCOM, LINKER=linker)


def with_toolchain(target, source, env):
    """Emitter: what is compiled depends on the compiler, and waits for it to be proved."""
    env.Depends(target, env["TOOLCHAIN"])
    return target, source


def with_linker(target, source, env):
    """Emitter: the same for a program."""
    env.Depends(target, env["LINKER"])
    return with_toolchain(target, source, env)


def generate(env):
    scanner = SCons.Scanner.C.CScanner()
    for suffix in (".c", ".h"):
        SourceFileScanner.add_scanner(suffix, scanner)
    env["INCPREFIX"], env["INCSUFFIX"] = "-I", ""
    env["_CPPINCFLAGS"] = "${_concat(INCPREFIX, CPPPATH, INCSUFFIX, __env__, RDirs, TARGET, SOURCE)}"
    env["SHOWN"] = ""  # what a generated source was made from
    env["TOP"] = env.Dir("#").abspath
    for name, word, command, suffix, emitter in (
        ("Object", "CC", CCCOM, ".o", with_toolchain),
        ("Program", "LINK", "$LINKING", "", with_linker),
    ):
        shown = "${SHOWN or SOURCE} ($ARCH)" if name == "Object" else "$TARGET"
        action = env.ShownAction(command, word, shown)
        env["BUILDERS"][name] = SCons.Builder.Builder(action=action, suffix=suffix, emitter=emitter)
    env.AddMethod(use_compiler, "UseCompiler")


def exists(env):
    return True
