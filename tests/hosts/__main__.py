"""``python -m tests.hosts [COMMAND…]``: a root shell, or one command, in a fresh host with the toolkit."""

import subprocess
import sys

from tests.hosts import image, tier
from tests.hosts.container import Container


def main() -> int:
    reason = tier.why_not(tier.CONTAINER)
    if reason:
        sys.stderr.write(f"error: {reason}\n")
        return 1
    container = Container(image.with_toolkit())
    try:
        sys.stderr.write(f"{container.name}: {container.address}, {container.bus}\n")
        return subprocess.run(container.command(sys.argv[1:] or ["bash"]), check=False).returncode
    finally:
        container.kill()


sys.exit(main())
