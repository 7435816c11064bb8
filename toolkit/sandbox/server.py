"""The application: the Bot API and the control API in one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from toolkit.sandbox import methods
from toolkit.sandbox.bot_api import BotApi
from toolkit.sandbox.control import Control
from toolkit.sandbox.delivery import Deliveries
from toolkit.sandbox.replies import failure, not_found
from toolkit.sandbox.state import Sandbox


def app(state: Sandbox) -> Starlette:
    """The ASGI application that serves a sandbox.

    Parameters:
        state: its bots and faults.
    """
    deliveries = Deliveries(methods.call)
    control = Control(state)
    state.on_webhook, state.on_update = deliveries.changed, deliveries.update

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await control.close()
        await deliveries.close()

    bot_api = BotApi(state)
    routes = [
        Route("/bot{call:path}", bot_api),
        Route("/file/bot{path:path}", bot_api),
        *control.routes(),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _not_found})


async def _not_found(_: Request, __: Exception) -> Response:
    reply = failure(not_found())
    return Response(reply.body, reply.status, media_type="application/json")
