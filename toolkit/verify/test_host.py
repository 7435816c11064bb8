"""What pytest collects for `toolkit verify`: each check of each host as a test."""

from collections.abc import Callable
from typing import Any

import pytest

from toolkit.verify.check import Outcome
from toolkit.verify.run import Case, Result


def test_host(case: Case, pytestconfig: Any, record_property: Callable[[str, object], None]) -> None:
    """One check; why it is made and what to do are told in the report."""
    check = case.check
    verdict = check.judge(case.facts)
    hint = verdict.hint or check.hint
    for name, value in (("host", case.host), ("bot", check.bot), ("why", check.why), ("hint", hint)):
        record_property(name, value)
    pytestconfig.toolkit_results.append(Result(case, verdict))
    if verdict.outcome is Outcome.SKIPPED:
        pytest.skip(verdict.found)
    if verdict.outcome is Outcome.FAILED:
        pytest.fail(f"{verdict.found}\nhint: {hint}", pytrace=False)
