"""XML-RPC, as much of it as supervisord speaks: http://xmlrpc.com/spec.md. No I/O.

xmlrpc.client and http.client of the standard library take 30 ms to import, which every command would pay.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from xml.parsers import expat

from toolkit.errors import BackendError


def encode(method: str, params: Sequence[Any]) -> bytes:
    """The body of a call.

    Parameters:
        params: numbers, strings, booleans, lists and dicts of them.
    """
    inner = "".join(f"<param>{''.join(_value(param))}</param>" for param in params)
    text = f"<methodCall><methodName>{method}</methodName><params>{inner}</params></methodCall>"
    return text.encode()


def _value(value: Any) -> Iterator[str]:
    yield "<value>"
    match value:
        case bool():
            yield f"<boolean>{value:d}</boolean>"
        case int():
            yield f"<int>{value}</int>"
        case str():
            yield f"<string>{_escape(value)}</string>"
        case list():
            yield "<array><data>"
            for item in value:
                yield from _value(item)
            yield "</data></array>"
        case dict():
            yield "<struct>"
            for name, item in value.items():
                yield f"<member><name>{_escape(name)}</name>"
                yield from _value(item)
                yield "</member>"
            yield "</struct>"
        case _:
            raise TypeError(f"no XML-RPC type for {type(value).__name__}")
    yield "</value>"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def decode(body: bytes) -> tuple[Any, bool]:
    """The value of an answer, and whether it is a fault.

    Raises:
        BackendError: the body is no XML-RPC answer.
    """
    answer = _Answer()
    try:
        return answer.read(body), answer.is_fault
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BackendError(f"supervisord gave an answer that cannot be read: {error}") from None


_SCALARS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "i4": int,
    "i8": int,
    "double": float,
    "string": str,
    "boolean": lambda text: text == "1",
}


class _Answer:
    """Builds one value while expat reads."""

    def __init__(self) -> None:
        self.is_fault = False
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._text = ""
        self._typed = False

    def read(self, body: bytes) -> Any:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.Parse(body, True)
        (value,) = self._stack
        return value

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._text = ""
        if tag == "value":
            self._typed = False
        elif tag in ("struct", "array"):
            self._marks.append(len(self._stack))

    def _data(self, text: str) -> None:
        self._text += text

    def _end(self, tag: str) -> None:
        if tag in _SCALARS:
            self._push(_SCALARS[tag](self._text))
        elif tag == "name":
            self._stack.append(self._text)
        elif tag == "array":
            self._push(self._pop())
        elif tag == "struct":
            items = self._pop()
            self._push(dict(zip(items[::2], items[1::2], strict=True)))
        elif tag == "value" and not self._typed:
            self._push(self._text)
        elif tag == "fault":
            self.is_fault = True

    def _push(self, value: Any) -> None:
        self._stack.append(value)
        self._typed = True

    def _pop(self) -> list[Any]:
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items
