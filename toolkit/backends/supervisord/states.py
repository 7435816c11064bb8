"""The states of a process, by supervisord's own numbers: supervisor.states.ProcessStates."""

from enum import IntEnum


class ProcessState(IntEnum):
    """What supervisord tells of a program."""

    STOPPED = 0
    STARTING = 10
    RUNNING = 20
    BACKOFF = 30
    STOPPING = 40
    EXITED = 100
    FATAL = 200
    UNKNOWN = 1000
