"""What is said of a bot that was ready a moment ago."""

import pytest

from toolkit.deploy.settle import compared
from toolkit.lifecycle import State
from toolkit.view import BotView

STARTED_FOR = {"kind": "stopped", "at": "2026-01-31T08:00:00Z", "uptime_s": 7.0}


def view(state=State.RUNNING, pid=7, last=STARTED_FOR, **more):
    ready = state is State.RUNNING
    details = {"last_exit": last}
    return BotView(
        name="a", type="t", backend="systemd", state=state, ready=ready, pid=pid, details=details, **more
    )


@pytest.mark.parametrize(
    ("now", "state", "reason"),
    [
        (view(), State.RUNNING, ""),
        (view(State.DEGRADED, reason="no poll"), State.DEGRADED, "no poll"),
        (
            view(pid=8, last={"kind": "died", "reason": "killed"}),
            State.BACKOFF,
            "right after it was ready: killed",
        ),
        # Of one that was killed nothing is recorded before its next start.
        (view(State.BACKOFF, pid=None), State.BACKOFF, "right after it was ready"),
        (view(State.FAILED, pid=None, reason="gave up"), State.FAILED, "right after it was ready: gave up"),
        # Another command restarted it, or stopped it.
        (view(pid=8, last=STARTED_FOR | {"uptime_s": 0.4}), State.RUNNING, ""),
        (view(State.STOPPED, pid=None, last=STARTED_FOR | {"uptime_s": 0.4}), State.STOPPED, ""),
    ],
)
def test_one_that_was_ready_is_told_as_it_is_now_or_as_having_ended_by_itself(now, state, reason):
    told = compared(view(), now)
    assert told.state is state
    assert told.reason.endswith(reason) if reason else told.reason == ""
    assert told.ready is (state is State.RUNNING)
