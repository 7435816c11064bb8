"""Texts that supervisors' and YAML's own syntax could be taken in by: what property-based tests draw."""

import re

from hypothesis import strategies as st

# Of supervisor's ini files and their `%` expressions, of systemd's units, of shells and of YAML.
PIECES = (
    *("%(here)s", "%(ENV_HOME)s", "%(", ")s", "%%", "%", "%n", "%h", "%s"),
    *(" ;", " #", ";", "#", " ; ", "=", ":", ",", "@", "!", "!!", "|", "&&", "*", "~", "`", "<<"),
    *("$", "$$", "$X", "$HOME", "${HOME}", "'", '"', "\\", "\\\\", "\\x41", "\\x00", "\\n"),
    *("-", "--", "-c", "+", "file:", "//", "..", "/../", "/.", "x", "é", "\U0001f600"),
    *("[program:x]", "[Service]", "autostart=true", "{{ bot }}", "{%", "yes", "null", "0644", "1e3"),
    *(" ", "  ", "\t", "\n", "\n  ", "\n;", "\n[x]\n", "\n[Unit]\n", "\\\n", "\n- ", "\n\n"),
    *("\u00a0", "\u2028", "\x85", "\ufeff"),
)
# What at least one supervisor cannot be told, in some place or everywhere.
UNFIT = ("\r", "\0", "\x01", "\x0b", "\x1b[31m", "\x1c", "\x7f", "\ufffe", "\ufdd0", "\U0001ffff")

_ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


def _joined(part: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    return st.lists(part, max_size=most).map("".join)


TEXT = _joined(st.sampled_from(PIECES + UNFIT) | _ANY, 8)
# For a whole fleet of texts, most of which are to be fit.
MOSTLY_FIT = _joined(st.sampled_from(PIECES), 6) | _joined(st.sampled_from(PIECES), 6) | TEXT

_LONGEST_NAME = 60


def _file_name(text: str) -> str:
    name = re.sub(r"[/\0]", "", text).encode()[:_LONGEST_NAME].decode(errors="ignore")
    return f"{name}-" if name in ("", ".", "..") else name


FILE_NAME = MOSTLY_FIT.map(_file_name)
VARIABLE_NAME = st.from_regex(r"V_[A-Za-z0-9_]{0,6}", fullmatch=True)
_NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | MOSTLY_FIT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MOSTLY_FIT, inner, max_size=3),
    max_leaves=4,
)
# What the form of an endpoint leaves of a text.
ENDPOINT = MOSTLY_FIT.map(lambda text: "http://x" + re.sub(r"[\s/?#@:\[\]]", "", text))
