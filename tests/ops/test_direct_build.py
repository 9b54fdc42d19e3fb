"""The build of the kernel: once, whole or not at all, and what is said where it cannot be."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf

from hw2.ops.direct import __main__ as command
from hw2.ops.direct import build, cache, cpu, library
from hw2.ops.direct.unavailable import Unavailable

ROOT = Path(__file__).parents[2]
COMPILER = """#!/bin/sh
# Says its version, waits while there is a file "slow", and gives what was compiled before.
[ "$1" = --version ] && echo "quick 1.0" && exit
echo "$@" >> "{folder}/log"
while [ -e "{folder}/slow" ]; do sleep 0.1; done
while [ "$1" != -o ]; do shift; done
cp "{real}" "$2"
"""
CONVOLVE = """
import tensorflow as tf
from hw2 import ops
print(float(tf.reduce_sum(ops.conv2d(tf.ones([1, 4, 4, 2]), tf.ones([3, 3, 2, 2])))))
"""
BUILD = "from hw2.ops.direct import build, cpu; build.library(cpu.chosen())"
# What calls the kernel with every dtype, and with images that it cuts and writes past the cache.
OF_KERNEL = [f"tests/ops/test_direct{of}.py" for of in ("", "_cuts", "_large", "_norm", "_pool")]


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A folder with a compiler that takes no time, and an empty cache."""
    real = build.library(cpu.chosen())
    script = tmp_path / "quick-c++"
    script.write_text(COMPILER.format(folder=tmp_path, real=real))
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path


def runs(folder) -> int:
    """How often the compiler has linked."""
    log = folder / "log"
    return log.read_text().count("-shared") if log.exists() else 0


def start(code, cwd=ROOT, **variables):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def words(process) -> tuple[str, list[str]]:
    """What a process prints, and what it says that begins as sentences of ours."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    ours = ("building the convolution kernel", "algorithm direct")
    return out, [line for line in err.splitlines() if line.startswith(ours)]


def test_it_is_built_once_and_said(compiler, capsys):
    path = build.library("plain")
    assert build.library("plain") == path
    assert path.parent == compiler / "cache"
    assert runs(compiler) == 1
    said = capsys.readouterr().err
    assert said == "building the convolution kernel (about half a minute, once) ...\n"
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([path.name, "direct.lock"])


@pytest.mark.fault(164)
def test_an_instruction_set_has_a_library_of_its_own(compiler):
    assert len({build.library(isa) for isa in cpu.SETS}) == len(cpu.SETS)
    assert build.library("plain") != build.library("plain", sanitize=True)


def test_another_source_is_another_library(compiler, monkeypatch, tmp_path):
    before = build.library("plain")
    source = tmp_path / "source"
    source.mkdir()
    for file in build.sources():
        (source / file.name).write_bytes(file.read_bytes() + b"\n")
    monkeypatch.setattr(build, "SOURCE", source)
    assert build.library("plain") != before


def test_one_of_several_processes_builds_and_all_load(compiler):
    processes = [start(CONVOLVE) for _ in range(2)]
    found = [words(process) for process in processes]
    assert runs(compiler) == 1
    assert [out for out, _ in found] == ["400.0\n"] * 2
    assert sorted(len(said) for _, said in found) == [0, 1]


def test_after_a_kill_the_next_start_builds(compiler):
    (compiler / "slow").touch()
    process = start(BUILD)
    until = time.monotonic() + 60
    while not (compiler / "log").exists() and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list((compiler / "cache").glob("building-*"))
    assert not list((compiler / "cache").glob("*.so"))
    (compiler / "slow").unlink()
    path = build.library(cpu.chosen())
    assert runs(compiler) == 1
    assert not list(path.parent.glob("building-*"))


def test_a_lock_that_is_not_let_go_is_not_waited_for_for_ever(compiler, monkeypatch):
    monkeypatch.setattr(build, "WAIT", 0.1)
    (compiler / "cache").mkdir()
    with (
        build.filelock.FileLock(compiler / "cache" / "direct.lock"),
        pytest.raises(Unavailable, match=r"another process has been building it in .*; see what"),
    ):
        build.library("plain")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"CXX": "no-such-compiler"}, "CXX names no-such-compiler, which is not there"),
        ({"CXX": "", "PATH": ""}, "there is no compiler (c++, g++, clang++ on the PATH); install"),
        ({"CXX": "false"}, "false does not work: "),
        ({cache.VARIABLE: "{folder}/quick-c++/x"}, "cannot be written: not a directory; make it"),
        ({cpu.VARIABLE: "sse9"}, "HW2_DIRECT_ISA must be an instruction set of this CPU, got"),
    ],
)
def test_what_is_missing_is_said_with_a_remedy(compiler, monkeypatch, variables, reason):
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(folder=compiler))
    with pytest.raises(Unavailable) as raised:
        build.library(cpu.chosen())
    assert str(raised.value).startswith("algorithm direct cannot be used - ")
    assert reason in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written(compiler):
    (compiler / "cache").mkdir(mode=0o500)
    with pytest.raises(Unavailable, match="cannot be written: permission denied"):
        build.library("plain")


def test_the_first_lines_of_a_compilers_error_are_repeated(compiler, monkeypatch, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "wrong.cc").write_text("int main() { return nothing; }\n")
    monkeypatch.setattr(build, "SOURCE", source)
    monkeypatch.delenv("CXX")
    with pytest.raises(Unavailable, match=r"fails to compile the kernel: .*wrong.cc:1.* error: "):
        build.library("plain")
    assert not list((compiler / "cache").glob("*.so"))


@pytest.mark.parametrize("missing", ["compiler", "cache", "home", "library"])
def test_convolution_works_without_the_kernel(missing, compiler, tmp_path):
    variables = {
        "compiler": {"CXX": "no-such-compiler"},
        "cache": {cache.VARIABLE: str(compiler / "quick-c++" / "x")},
        "home": {"HOME": "~", "XDG_CACHE_HOME": "", cache.VARIABLE: ""},
        "library": {},
    }[missing]
    if missing == "library":  # what the compiler makes cannot be loaded
        (compiler / "quick-c++").write_text(
            COMPILER.format(folder=compiler, real=compiler / "quick-c++")
        )
    out, said = words(start(CONVOLVE, tmp_path, **variables))  # Keras writes to ~
    assert out == "400.0\n"
    *_, why = said
    assert why.startswith("algorithm direct cannot be used - ")
    assert why.endswith("; what it would do is done without it")


def test_the_cache_is_where_the_system_has_it(monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, "/a/b")
    assert cache.folder() == Path("/a/b")
    monkeypatch.delenv(cache.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert cache.folder() == Path("/c/hw2")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/h")
    assert cache.folder() == Path("/h/.cache/hw2")


def test_instruction_sets_are_chosen_by_the_flags_of_the_cpu(monkeypatch):
    monkeypatch.delenv(cpu.VARIABLE, raising=False)
    monkeypatch.setattr(cpu.platform, "machine", lambda: "x86_64")
    flags = {"avx512_bf16": cpu.SETS["avx512_bf16"].needs, "avx2": cpu.SETS["avx2"].needs}
    for name, has in (*flags.items(), ("plain", {"sse2"})):
        monkeypatch.setattr(cpu, "_cpuinfo", lambda has=has: ("flags\t\t: " + " ".join(has),))
        assert cpu.chosen() == name
    monkeypatch.setattr(cpu.platform, "machine", lambda: "aarch64")
    assert cpu.available() == ["plain"]


def test_nothing_is_built_on_import(compiler):
    code = "import hw2.ops, hw2.layers.conv, hw2.ops.direct.library"
    assert words(start(code)) == ("", [])
    assert runs(compiler) == 0


BITS = """
import hashlib, sys
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
from hw2 import ops
for dtype in ("float32", "bfloat16", "float16", "float64"):
    for tile in ("", "_winograd4"):
        if tile and dtype != "float32":
            continue
        for image, kernel, stride in (
            ((8, 30, 30, 24), 3, 1),
            ((3, 17, 40, 3), 3, 1),
            ((4, 15, 15, 40), 3, 1 if tile else 2),
            ((4, 20, 21, 70), 3 if tile else 1, 1),
        ):
            x = tf.cast(tf.random.stateless_normal(image, [1, 2]), dtype)
            w = tf.cast(tf.random.stateless_normal([kernel, kernel, image[3], 40], [3, 4]), dtype)
            b = tf.cast(tf.random.stateless_normal([40], [5, 6]), dtype)
            with tf.GradientTape() as tape:
                tape.watch([x, w, b])
                y = ops.conv2d(x, w, stride, bias=b, relu=True, algorithm=f"direct{tile}")
            for result in (y, *tape.gradient(y, [x, w, b], y)):
                print(hashlib.sha256(result.numpy().tobytes()).hexdigest())
"""


def test_the_bits_do_not_depend_on_the_number_of_threads():
    one, two = (
        subprocess.check_output([sys.executable, "-c", BITS, threads], cwd=ROOT, text=True)
        for threads in ("1", "2")
    )
    assert one == two
    assert len(one.split()) == 5 * 4 * 4


def run(*words, **variables) -> str:
    """Runs a module of Python, which must succeed; returns what it prints."""
    environment = {**os.environ, **variables}
    words = [sys.executable, "-m", *words]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
    return done.stdout


@pytest.mark.slow
def test_sanitizers_find_nothing():
    run("hw2.ops.direct", "--sanitize")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # with sanitizers the kernel takes ten times as long
def test_sanitizers_find_nothing_in_the_tests_of_the_kernel():
    run("pytest", *OF_KERNEL, **command.sanitizing(cpu.chosen()))


@pytest.mark.slow
def test_every_instruction_set_of_this_cpu_is_right():
    out = run("hw2.ops.direct", "--all")
    assert out.count("compiler ") == len(cpu.available())


@pytest.mark.slow
@pytest.mark.timeout(900)  # with the build
@pytest.mark.parametrize("isa", cpu.available())
def test_every_instruction_set_passes_the_tests_of_the_kernel(isa):
    run("pytest", *OF_KERNEL, **{cpu.VARIABLE: isa})


def test_an_instruction_set_that_crashes_fails_the_run_of_all(monkeypatch):
    tried = []

    def apart(isa):
        tried.append(isa)
        return -signal.SIGSEGV if isa == "avx2" else 0

    monkeypatch.setattr(command, "_apart", apart)
    assert command.main(["--all"]) == 1
    assert tried == list(cpu.SETS)


@pytest.mark.fault(163)
def test_a_disk_where_nothing_may_be_executed_is_told_of(monkeypatch, tmp_path):
    def refuse(path):
        why = f"{path}: failed to map segment from shared object: Operation not permitted"
        raise tf.errors.NotFoundError(None, None, why)

    monkeypatch.setattr(build, "library", lambda *isa, **options: tmp_path / "direct.so")
    monkeypatch.setattr(tf, "load_op_library", refuse)
    with pytest.raises(Unavailable, match="its disk is mounted noexec: name a folder of another"):
        library._load()
