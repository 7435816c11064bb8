"""Parse a whole configuration as it would be. Run by the interpreter of a supervisord service, not imported.

Another version of Python and of supervisor may run it: it uses nothing newer than Python 3.6 and
supervisor 4.0, and nothing of the toolkit.

It reads `{"conf": path, "put": {path: text}, "gone": [path]}` and prints `{"error": words}` or
`{"groups": {name: [process]}, "files": [path]}`.
"""

import configparser
import fnmatch
import glob
import io
import json
import os
import sys
from typing import Any


class Staged:
    """The machine's files as they would be; it stands in for `glob` and `open`.

    Parameters:
        put: the text of each file that is to be written, by its path.
        gone: files that are to be removed.
        files: what was found, is appended here.
    """

    def __init__(self, put: Any, gone: Any, files: Any) -> None:
        self._put, self._gone, self._files = put, gone, files

    def glob(self, pattern: str) -> Any:
        """What the pattern would find."""
        folder, names = os.path.split(pattern)
        found = set(glob.glob(pattern)) - set(self._gone)
        for path in self._put:
            if fnmatch.fnmatchcase(os.path.dirname(path), folder) and fnmatch.fnmatchcase(
                os.path.basename(path), names
            ):
                found.add(path)
        self._files.extend(sorted(found))
        return sorted(found)

    def open(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """The file as it would be."""
        return io.StringIO(self._put[name]) if name in self._put else open(name, *args, **kwargs)


def parse(asked: Any) -> Any:
    """What the service would find, or why it could not read it."""
    from supervisor import options as of_supervisor

    files = [asked["conf"]]
    staged = Staged(asked["put"], asked["gone"], files)
    configparser.open = staged.open  # type: ignore[attr-defined]
    of_supervisor.glob = staged
    options = of_supervisor.ServerOptions()
    options.configfile = asked["conf"]
    try:
        # What its reloadConfig runs: an error is raised and does not end the process.
        options.process_config(do_usage=False)
    except (ValueError, configparser.Error) as error:
        return {"error": " ".join(str(error).split())}
    groups = options.process_group_configs
    return {
        "groups": {group.name: [process.name for process in group.process_configs] for group in groups},
        "files": files,
    }


if __name__ == "__main__":
    json.dump(parse(json.load(sys.stdin)), sys.stdout)
