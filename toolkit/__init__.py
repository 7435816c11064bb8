"""Run fleets of chat bots under supervisord or systemd."""

__version__ = "0.1.0"
