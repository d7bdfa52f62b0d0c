"""All simulators in one process that is not the tests': `python -m tests.contracts.erp.servers sgp:9101:9151 …`."""

import asyncio
import sys

from prosa.erp_sim.serve import make_gate, serve


async def main(wanted: list[str]) -> None:
    async with asyncio.TaskGroup() as group:
        for each in wanted:
            system, port, control_port = each.split(":")
            group.create_task(serve(make_gate(system, set()), port=int(port), control_port=int(control_port)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
