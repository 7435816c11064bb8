"""The toolkit's sandbox as a unit of a host: the Bot API of the fleets there, back after a reboot."""

from tests.hosts.host import Host
from tests.hosts.image import OPT

PORT = 8081
ENDPOINT = f"http://127.0.0.1:{PORT}"
_UNIT = f"""\
[Unit]
Before=bot-demo.target
[Service]
ExecStart={OPT}/bin/toolkit sandbox --port {PORT}
DynamicUser=yes
[Install]
WantedBy=multi-user.target
"""


def serve_bot_api(host: Host) -> None:
    """Start it, and have it come up with the host."""
    host.write("/etc/systemd/system/sandbox.service", _UNIT)
    host.run("systemctl", "enable", "--now", "sandbox.service")
