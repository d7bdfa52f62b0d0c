"""The drills' eye for loops that stand still sees what it is there for."""

import asyncio
import subprocess
import sys

import pytest

from tests.live.drills.stalls import Stalls

pytestmark = pytest.mark.alone

# A loop that is at rest, then works a little now and then, and once does what it is told on the command line.
LOOP = """
import asyncio, sys, time, uvloop
async def main():
    print("up", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for turn in range(30):
        await asyncio.sleep(0.01)
        if turn == 15:
            exec(sys.argv[1])
    print("done", flush=True)
uvloop.run(main())
"""


@pytest.mark.parametrize(
    ("once", "least_s", "most_s"),
    [
        ("pass", 0.0, 0.05),
        ("time.sleep(0.2)", 0.15, 0.4),
        ("ends = time.process_time() + 0.2\nwhile time.process_time() < ends: pass", 0.1, 0.5),
    ],
    ids=["in time", "waits", "computes"],
)
async def test_a_loop_that_stands_still_is_seen(once: str, least_s: float, most_s: float) -> None:
    loop = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOOP, once, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert loop.stdin is not None
    assert loop.stdout is not None
    assert await loop.stdout.readline() == b"up\n"
    async with Stalls([loop.pid]) as stalls:
        loop.stdin.write(b"\n")
        assert await loop.stdout.readline() == b"done\n"
    await loop.wait()
    assert least_s <= stalls.worst_s[loop.pid] <= most_s
    assert stalls.looks > 20
