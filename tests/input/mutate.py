"""Damages good files of every format, and reads them in processes of limited memory and time.

    python -m tests.input.mutate COUNT SEED [FORMAT...]

A seed of `random` draws one. Prints the seed; each finding with the command that repeats it; and
for each format how many files were accepted and how many refused, and by how many MB the peak of
memory rose for the worst. Exits with 1 if there is a finding: a traceback, a crash, a hang,
another picture or class, or more memory than `PEAK`.
"""

import faulthandler
import json
import os
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import traceback
import zlib
from pathlib import Path

import numpy as np

from tests.input import intact, judges

ROOT = Path(__file__).parents[2]
SECONDS = 20  # for one file, of the processor: they take milliseconds
PEAK = 256  # MB, for one file, above what the process has with a good one
MEMORY = 2**30  # bytes, of addresses, above what the process has at its start
COMMAND = (sys.executable, "-W", "ignore", "-m", "tests.input.mutate")
FORMATS = (
    *intact.PICTURES,
    *intact.REFUSED,
    *intact.ARRAYS,
    *("csv", "flagfile", "manifest", "decoded", "state", "tensors", "tfrecord"),
)


def mutated(content: bytes, format: str, rng: np.random.Generator) -> bytes:
    """Changes a few bytes, or cuts, doubles, swaps or takes out a piece."""
    data = bytearray(content)
    for _ in range(min(rng.geometric(0.6), 4)):  # one damage, most often
        at, other = sorted(rng.integers(0, max(len(data), 1), 2).tolist())
        kind = rng.integers(0, 9)
        if kind <= 2 and data:  # most damage is small
            data[at] = rng.integers(0, 256)
        elif kind == 3 and data:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 4:
            data[at : at + 4] = rng.choice([0, 255, 1, 128], 4).astype(np.uint8).tobytes()
        elif kind == 5:
            data[other:] = b"" if rng.random() < 0.5 else data[at:other]
        elif kind == 6:
            data[at:at] = data[at : min(other, at + 40)]
        elif kind == 7:
            del data[at : min(other, at + 20)]
        else:  # words that readers of text and of headers trip over
            data[at : at + int(rng.integers(0, 3))] = WORDS[rng.integers(0, len(WORDS))]
    if format == "PNG" and rng.random() < 0.7:  # else few copies come past the checksums
        _mend(data)
    return bytes(data)


WORDS = (
    *(b",", b'"', b"\n", b"\r", b"\0", b";", b"\t", b" ", b"-1", b"0", b"1e999", b"nan", b"--"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", "\u00e9".encode(), "e\u0301".encode()),
    *("\u00a0".encode(), "\u2028".encode(), "\u202e".encode(), b"../", b"[", b"]", b"=", b"#"),
    *(b"9999999999999999999999", b"\\", b"'", b"{", b"}", b"(", b")", b"99999999", b"|O", b">f2"),
)


def _mend(data: bytearray) -> None:
    """Writes the checksums that the chunks of a PNG should have."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4


def work(seed: int, count: int, start: int, *formats: str) -> None:
    """Reads `count` damaged files of each format, from place `start` on; prints a line for each.

    This runs in a process of its own. Each file depends on the seed, its format and its number.
    """
    faulthandler.enable()
    limit = (_memory("VmSize") << 10) + MEMORY + ("tfrecord" in formats) * 2**33  # TensorFlow
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGVTALRM, _hangs)
    with tempfile.TemporaryDirectory() as folder:
        for number, format in enumerate(formats):
            first = max(start - number * count, 0)
            if first >= count:
                continue
            path, good = judges.prepared(Path(folder), format)
            read = judges.judge(format)
            for content in good:  # or nothing would be shown by what is refused
                path.write_bytes(content)
                if read(path) == (format in intact.REFUSED):
                    raise RuntimeError(f"a good {format} is misjudged")
            for index in range(first, count):
                path.write_bytes(damaged(good, format, seed, index))
                place = number * count + index
                print(json.dumps([place, *_outcome(read, path)]), flush=True)


def damaged(good: list[bytes], format: str, seed: int, index: int) -> bytes:
    """The damaged file of a number."""
    rng = np.random.default_rng([seed, FORMATS.index(format), index])
    return mutated(good[index % len(good)], format, rng)


def _outcome(read, path: Path) -> tuple[str, int | str]:
    """Accepted or refused, and by how many kB the peak of memory rose; or the finding."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _memory("VmHWM")
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    signal.setitimer(signal.ITIMER_PROF, 2 * SECONDS)  # ends the process, even within C
    try:
        word = "accepted" if read(path) else "refused"
    except BaseException:
        return "found", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    risen = _memory("VmHWM") - before
    if risen > PEAK << 10:
        return "found", f"it took {risen >> 10} MB, more than {PEAK}"
    return word, max(risen, 0)


def _hangs(*_: object) -> None:
    raise TimeoutError(f"it takes more than {SECONDS} seconds")


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.search(name + r":\s+(\d+)", status)[1])


def mutate(count: int, seed: int, *formats: str) -> tuple[dict[str, dict], dict]:
    """Damages and reads `count` files of each format; starts a new process when one has died.

    Returns:
      For each format, counts of accepted and refused files, and the largest rise of memory in MB;
      and what was found, by format and number.
    """
    counts = {format: {"accepted": 0, "refused": 0, "MB": 0} for format in formats}
    found = {}
    start, last = 0, count * len(formats)
    while start < last:
        begun = start
        with subprocess.Popen(
            [*COMMAND, "--work", str(seed), str(count), str(start), *formats],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as worker:
            for line in worker.stdout:
                place, word, value = json.loads(line)
                start = place + 1
                format, index = formats[place // count], place % count
                if word == "found":
                    found[format, index] = value
                else:
                    counts[format][word] += 1
                    counts[format]["MB"] = max(counts[format]["MB"], value >> 10)
            said = worker.stderr.read()
        if start < last:
            if start == begun and "misjudged" in said:
                raise RuntimeError(said)
            why = f"the process ended with {worker.returncode}: {said[-3000:]}"
            found[formats[start // count], start % count] = why
            start += 1
    return counts, found


def repeat(format: str, seed: int, index: int) -> None:
    """Reads one damaged file once more, with its traceback; keeps it."""
    with tempfile.TemporaryDirectory() as folder:
        path, good = judges.prepared(Path(folder), format)
        path.write_bytes(damaged(good, format, seed, index))
        kept = Path(tempfile.gettempdir()) / f"damaged-{format}-{seed}-{index}"
        kept.write_bytes(path.read_bytes())
        print(f"{kept}: {'accepted' if judges.judge(format)(path) else 'refused'}")


def main(count: int, seed: int, *formats: str) -> int:
    """Damages and reads `count` files of each format; returns the exit code."""
    print(f"seed {seed}", flush=True)
    results, found = mutate(count, seed, *(formats or FORMATS))
    for (format, index), why in found.items():
        print(f"python -m tests.input.mutate --repeat {format} {seed} {index}")
        print("  " + why.strip().replace("\n", "\n  "), flush=True)
    for format, counts in results.items():
        print(f"{format}: {counts}")
    return 1 if found else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*map(int, sys.argv[2:5]), *sys.argv[5:])
    elif sys.argv[1:2] == ["--repeat"]:
        repeat(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        count, seed, *formats = sys.argv[1:]
        drawn = random.getrandbits(31) if seed == "random" else int(seed)
        sys.exit(main(int(count), drawn, *formats))
