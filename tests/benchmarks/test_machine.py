"""What is told of the machine."""

import numpy as np
import pytest

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu avx2 fma avx512f avx512_bf16 amx_tile
processor\t: 1
model name\t: another
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd crc32\nCPU part\t: 0xd40\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (XEON, ("Intel(R) Xeon(R) Processor", ["avx2", "fma", "avx512f", "avx512_bf16"])),
        (ARM, ("", ["asimd"])),
        ("", ("", [])),
    ],
    ids=["x86", "ARM", "not Linux"],
)
def test_the_cpu_is_read(text, expected):
    import machine

    name, sets = machine.described(text)
    assert (name, [one for one in sets if one != "amx_tile"]) == expected
    assert ("amx_tile" in sets) == (text == XEON)


def test_the_machine_is_told_on_top():
    import machine

    facts = machine.cpu() | machine.libraries("numpy", "no-such-library")
    assert facts["CPU"]
    assert facts["cores"] >= 1
    assert facts["numpy"] == np.__version__
    assert "no-such-library" not in facts
