"""Holds the layers: a module imports its own layer and lower ones only."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The longest matching prefix tells a module's layer.
LAYERS = {
    "toolkit": 0,
    "toolkit.errors": 0,
    "toolkit.clock": 1,
    "toolkit.files": 1,
    "toolkit.fleet": 1,
    "toolkit.botfile": 1,
    "toolkit.lifecycle": 1,
    "toolkit.paths": 1,
    "toolkit.place": 1,
    "toolkit.processes": 1,
    "toolkit.rotation": 1,
    "toolkit.regular_files": 1,
    "toolkit.run_record": 1,
    "toolkit.secrets": 1,
    "toolkit.selectors": 1,
    "toolkit.templates": 1,
    "toolkit.ipc": 1,
    "toolkit.ipc.protocol": 1,
    "toolkit.render": 2,
    "toolkit.config": 2,
    "toolkit.deploy": 2,
    "toolkit.deploy.plan": 2,
    "toolkit.health": 2,
    "toolkit.db": 3,
    "toolkit.revisions": 3,
    "toolkit.ground": 3,
    "toolkit.last_words": 3,
    "toolkit.lock": 3,
    "toolkit.spool": 3,
    "toolkit.shell": 3,
    "toolkit.ipc.client": 3,
    "toolkit.ipc.listening": 3,
    "toolkit.ipc.server": 3,
    "toolkit.backends": 3,
    "toolkit.sandbox": 3,
    "toolkit.scaffold": 3,
    "toolkit.derive": 4,
    "toolkit.observe": 4,
    "toolkit.view": 4,
    "toolkit.logs": 4,
    "toolkit.journal": 4,
    "toolkit.dead_letters": 4,
    "toolkit.operate": 5,
    "toolkit.pausing": 5,
    "toolkit.shutdown": 5,
    "toolkit.deploy.access": 4,
    "toolkit.deploy.check": 4,
    "toolkit.deploy.apply": 4,
    "toolkit.deploy.edited": 4,
    "toolkit.deploy.execute": 4,
    "toolkit.deploy.work": 4,
    "toolkit.deploy.leftovers": 4,
    "toolkit.deploy.observed": 4,
    "toolkit.deploy.owner": 4,
    "toolkit.deploy.prepare": 4,
    "toolkit.deploy.reach": 4,
    "toolkit.deploy.room": 4,
    "toolkit.deploy.settle": 4,
    "toolkit.deploy.stopping": 4,
    "toolkit.verify": 5,
    "toolkit.cli": 6,
}
# All that a runner may load of the toolkit: it must start quickly and stay small.
RUNNER_MAY_IMPORT = {
    "botfile",
    "clock",
    "errors",
    "files",
    "health",
    "ipc",
    "lifecycle",
    "processes",
    "regular_files",
    "run_record",
    "secrets",
    "spool",
}
START_PROGRAMS = {"subprocess", "pty", "multiprocessing"}
MAY_START_PROGRAMS = {"toolkit.shell", "bot_runner.programs"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


ALL = modules("toolkit") + modules("bot_runner")


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


@cache
def imports(path: Path) -> list[str]:
    """The dotted names that a module imports, at its top or inside a function."""
    found = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            own = [name for name in names if (ROOT / name.replace(".", "/")).with_suffix(".py").exists()]
            found += [node.module or "", *own]
    return found


def layer(module: str) -> int:
    parts = module.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    known = next((prefix for prefix in prefixes if prefix in LAYERS), None)
    assert known, module
    assert known != "toolkit" or module == "toolkit", f"{module} has no layer: add it to the table"
    return LAYERS[known]


def test_toolkit_imports_only_siblings_and_lower_layers():
    for path in modules("toolkit"):
        module = dotted(path)
        for imported in imports(path):
            assert not imported.startswith("bot_runner"), f"{module} imports {imported}"
            if imported.startswith("toolkit."):
                assert layer(imported) <= layer(module), f"{module} imports {imported}"


def test_the_runner_imports_little_of_the_toolkit():
    shared = [path for path in modules("toolkit") if {*dotted(path).split(".")[1:2]} & RUNNER_MAY_IMPORT]
    for path in modules("bot_runner") + shared:
        for imported in imports(path):
            if imported.startswith("toolkit."):
                assert imported.split(".")[1] in RUNNER_MAY_IMPORT, f"{dotted(path)} imports {imported}"


def test_one_place_starts_programs():
    for path in ALL:
        if dotted(path) not in MAY_START_PROGRAMS:
            assert not START_PROGRAMS & {name.split(".")[0] for name in imports(path)}, dotted(path)


def test_only_the_command_line_prints():
    for path in ALL:
        if not dotted(path).startswith("toolkit.cli"):
            called = [node.func for node in nodes(path) if isinstance(node, ast.Call)]
            assert not [func for func in called if isinstance(func, ast.Name) and func.id == "print"], path


def test_nothing_is_left_unfinished():
    marks = ("TO" + "DO", "FIX" + "ME", "X" * 3, "NotImplemented" + "Error")
    for path in ALL:
        assert not [mark for mark in marks if mark in path.read_text(encoding="utf-8")], path


def test_the_document_names_every_module():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    names = {module.split(".")[1] for module in LAYERS if "." in module}
    assert not [name for name in sorted(names) if f"`{name}`" not in text and f"`{name}/" not in text]
