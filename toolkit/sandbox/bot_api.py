"""The Bot API over HTTP: ``/bot<token>/<method>`` and ``/file/bot<token>/<path>``."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from toolkit.sandbox import methods
from toolkit.sandbox.args import Args, Upload, form_values, json_values
from toolkit.sandbox.bot import Bot, Wake
from toolkit.sandbox.connection import Connection, Receive, Scope, Send
from toolkit.sandbox.faults import Fault
from toolkit.sandbox.polling import Poll
from toolkit.sandbox.replies import ApiError, Reply, bad_request, failure, not_found, success
from toolkit.sandbox.state import Sandbox

_CALL = re.compile(r"/bot([0-9]{3,20}):[A-Za-z0-9_-]{20,80}/([A-Za-z]{1,64})/?")
_FILE = re.compile(r"/file/bot([0-9]{3,20}):[A-Za-z0-9_-]{20,80}/(.{1,512})")
_GARBAGE = Reply(200, b"<html><body>502 Bad Gateway</body></html>", b"text/html")
MAX_FORM_FIELDS = 1000


class BotApi:
    """The ASGI application of the Bot API.

    Parameters:
        sandbox: whose bots are served.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call, or close its connection."""
        connection = Connection(scope, receive, send)
        try:
            try:
                reply = await self._reply(scope, connection)
            except ApiError as error:
                reply = failure(error)
            if reply is None:
                await connection.drop()
            else:
                await connection.answer(reply)
        except ConnectionResetError:
            return  # The client left: there is nobody to answer.

    async def _reply(self, scope: Scope, connection: Connection) -> Reply | None:
        path = scope["path"]
        found = _CALL.fullmatch(path)
        if found is None:
            return self._file(path)
        bot = self._sandbox.bot(found[1])
        body = await connection.body()
        name = methods.name_of(found[2]) or "unknown"
        bot.calls[name] += 1
        try:
            args = await _args(scope, connection, body)
            return await self._call(bot, name, args, connection)
        except ApiError as error:
            bot.errors += 1
            return failure(error)

    async def _call(self, bot: Bot, name: str, args: Args, connection: Connection) -> Reply | None:
        poll: Poll | None = None
        while True:
            if bot.refused:
                raise ApiError(401, "Unauthorized")
            fault = self._sandbox.faults.take(bot.id, name.lower())
            lost = False
            if fault is not None:
                bot.faults += 1
                struck = await self._strike(fault, connection)
                if struck is not fault:
                    return struck if isinstance(struck, Reply) else None
                lost = fault.kind == "lost" and not fault.ended.is_set()
            if name != methods.GET_UPDATES:
                reply = success(methods.call(bot, name, args))
                return None if lost else reply
            poll = poll or Poll(bot, args, connection)
            answer = await poll.answer()
            if isinstance(answer, Reply):
                return None if lost else answer
            if answer is Wake.CLOSING:
                return None

    async def _strike(self, fault: Fault, connection: Connection) -> Reply | Fault | None:
        """What a fault makes of a call: a wrong answer, none, or the fault itself to go on with the call."""
        if fault.delay_s:
            await self._hold(fault, connection, fault.delay_s)
            if fault.ended.is_set():
                return fault
        if fault.kind == "hang":
            await self._hold(fault, connection, fault.seconds_left(time.monotonic()))
            return None
        if fault.kind == "tls":
            connection.change_protocol()
            return None
        if fault.kind == "drop":
            return None
        if fault.kind == "garbage":
            return _GARBAGE
        if fault.status:
            raise ApiError(fault.status, fault.words, fault.retry_after)
        return fault

    @staticmethod
    async def _hold(fault: Fault, connection: Connection, seconds: float | None) -> None:
        fault.holding += 1
        healed = asyncio.ensure_future(fault.ended.wait())
        try:
            await connection.wait(healed, seconds)
        finally:
            fault.holding -= 1
            healed.cancel()

    def _file(self, path: str) -> Reply:
        found = _FILE.fullmatch(path)
        if found is None:
            raise not_found()
        bot = self._sandbox.bot(found[1])
        if bot.refused:
            raise ApiError(401, "Unauthorized")
        file = bot.files.at(found[2])
        if file is None:
            raise not_found()
        return Reply(200, file.content, b"application/octet-stream")


async def _args(scope: Scope, connection: Connection, body: bytes) -> Args:
    kind = connection.content_type.partition(";")[0].strip().lower()
    values = form_values(scope["query_string"]) if scope["query_string"] else {}
    if not body:
        return Args(values)
    if kind == "application/json":
        return Args({**values, **json_values(body)})
    if kind == "multipart/form-data":
        return await _multipart(connection.content_type, body, values)
    return Args({**values, **form_values(body)})


async def _multipart(content_type: str, body: bytes, values: dict[str, str]) -> Args:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        Headers({"content-type": content_type}),
        stream(),
        max_files=MAX_FORM_FIELDS,
        max_fields=MAX_FORM_FIELDS,
        max_part_size=len(body) + 1,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError):
        raise bad_request("can't parse multipart form data") from None
    files: dict[str, Upload] = {}
    for name, part in form.multi_items():
        if isinstance(part, UploadFile):
            content_type = part.content_type or "application/octet-stream"
            files[name] = Upload(part.filename or name, content_type, await part.read())
        else:
            values[name] = part
    await form.close()
    return Args(values, files)
