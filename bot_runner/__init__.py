"""The process that a unit starts: one bot, its readiness, its control socket."""
