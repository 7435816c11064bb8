"""What a runner printed that ended before it had a log."""

import os

from toolkit import last_words


def test_only_what_this_run_printed_is_told(tmp_path):
    path = tmp_path / "stray.log"
    path.write_text("Traceback\nerror: no module\nmend it\n")
    os.utime(path, (1000.0, 1000.0))
    assert last_words.of(path, 999.0) == "no module"
    assert last_words.of(path, 1001.0) == ""
