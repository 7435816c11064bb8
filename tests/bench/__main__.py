"""Speed and memory, as ratios against a peer from one run: ``python tests/bench [NAME]...``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[2]))

import boot
import fleet_files
import memory
import outage
import reading
import soak
import spool_cost
import starting
import systemd_hosts
import throughput

BENCHES = {
    "help": reading.help_text,
    "list100": reading.list_of_100,
    "list1000": reading.list_of_1000,
    "validate": fleet_files.validate_1000,
    "render": fleet_files.render_1000,
    "one-of-1000": fleet_files.one_change_of_1000,
    "up": starting.up_of_three,
    "start": starting.start_one,
    "boot": boot.boot_of_200,
    "memory": memory.bot_against_script,
    "throughput": throughput.updates_per_second,
    "latency": throughput.latency,
    "spool": spool_cost.cost,
    "outage": outage.back_after_outage,
    "list-systemd": systemd_hosts.list_of_100,
    "deploy-systemd": systemd_hosts.deploy_of_100,
    "target-systemd": systemd_hosts.target_of_100,
    "soak": soak.soak,
}


def main() -> None:
    """Run the named benches, or all."""
    for name in sys.argv[1:] or BENCHES:
        if name not in BENCHES:
            sys.exit(f"no bench {name}; there are {', '.join(BENCHES)}")
        for line in BENCHES[name]():
            print(f"{name:<14} {line}", flush=True)  # noqa: T201 # a bench's one purpose


main()
