import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
from zdlib.models.memory import keep_freed_memory
obeyed = keep_freed_memory() if {keep} else False
import torch
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):  # until the heap has grown to what it needs
    torch.ones(2**24).sum()
before = faults()
for _ in range(8):
    torch.ones(2**24).sum()
print(obeyed, faults() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_large_blocks_are_not_mapped_anew():
    found = {}
    for keep in (False, True):
        script = [sys.executable, "-c", FAULTS.format(keep=keep)]
        obeyed, faults = subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()
        assert obeyed == str(keep)
        found[keep] = int(faults)
    assert found[True] < found[False] / 10
