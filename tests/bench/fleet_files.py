"""Commands on a fleet file of 1,000 bots."""

import sys
import time
from collections.abc import Iterator

from measure import TOOLKIT, folder, goal, paired, seconds, write_fleet

LOAD_ALONE = "import sys, yaml, jsonschema; yaml.load(open(sys.argv[1]), Loader=yaml.CSafeLoader)"


def validate_1000() -> Iterator[str]:
    """`validate` of 1,000 bots against loading the same YAML with no checks at all."""
    with folder() as path:
        fleet = write_fleet(path, 1000, '{telegram: "bots:build"}', tokens=True)
        ours, bare = paired(
            (TOOLKIT, "-f", fleet, "validate"), (sys.executable, "-c", LOAD_ALONE, fleet), runs=5
        )
    yield goal("validate of 1,000", ours, 1.5, "s") + f", {ours / bare:.2f} x PyYAML alone ({bare:.3f} s)"


def render_1000() -> Iterator[str]:
    """`render` of 1,000 bots, in memory and as a whole command."""
    from toolkit.deploy.prepare import prepare
    from toolkit.fleet.loader import load
    from toolkit.paths import fleet_paths

    with folder() as path:
        fleet_file = write_fleet(path, 1000, '{telegram: "bots:build"}', tokens=True)
        fleet = load(fleet_file, {})
        begun = time.perf_counter()
        files = prepare(fleet, fleet_paths(fleet.name, path)).files
        took = time.perf_counter() - begun
        whole = seconds(TOOLKIT, "-f", fleet_file, "render", "--out", path / "out", runs=3)
    yield goal(f"render of 1,000 bots ({len(files)} files)", took, 1.0, "s")
    yield f"render --out of 1,000 bots, whole command with fsync of each file: {whole:.3f} s"


def one_change_of_1000() -> Iterator[str]:
    """How many programs a deploy touches that changes one bot of 1,000."""
    from toolkit.deploy.plan import Action, InForce, Wanted, plan
    from toolkit.deploy.prepare import prepare
    from toolkit.fleet.loader import load
    from toolkit.lifecycle import State
    from toolkit.paths import fleet_paths

    with folder() as path:
        fleet_file = write_fleet(path, 1000, '{telegram: "bots:build"}', tokens=True)

        def wanted() -> dict[str, Wanted]:
            fleet = load(fleet_file, {})
            return prepare(fleet, fleet_paths(fleet.name, path)).wanted

        before = wanted()
        fleet_file.write_text(fleet_file.read_text().replace("number: 500}", "number: 501}"))
        after = wanted()
        have = {
            bot: InForce(State.RUNNING, want.unit_hash, want.bot_file.fingerprint(), want.bot_file)
            for bot, want in before.items()
        }
        begun = time.perf_counter()
        steps = plan(after, have)
        took = time.perf_counter() - begun
    touched = [step.bot for step in steps if step.action is not Action.NOTHING]
    yield f"one change of 1,000: {len(touched)} program touched (goal 1), planned in {took:.3f} s"
