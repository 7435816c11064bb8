"""A bot's application, as its factory makes it: with the bot's own token, for the bot's own server."""

from bot_runner.context import Run
from bot_runner.failure import BotFailedError
from bot_runner.loading import load_target, quick_imports
from toolkit.lifecycle import FailureClass
from toolkit.secrets import bot_id

with quick_imports():
    import httpx
    from telegram.ext import Application, ApplicationBuilder

    from bot_runner.processing import AnyApplication
    from bot_runner.transport import bound, equip


def build(run: Run) -> AnyApplication:
    """The application that the bot's factory makes, told the runner's token, server and requests.

    Raises:
        BotFailedError: APP_IMPORT, it cannot be imported or makes something else; BAD_CONFIG, it was built
            with another token, or calls another server.
    """
    token, endpoint = run.token or "", run.bot.endpoint
    factory = load_target(run.bot.app.target, run.redact)
    try:
        product = factory(run.context)
    except RuntimeError as error:
        if not _ran_itself(error):
            raise
        words = f"{run.bot.app.target} runs its application: it has to return it, bot-runner runs it"
        raise BotFailedError(FailureClass.APP_IMPORT, words) from error
    if isinstance(product, ApplicationBuilder):
        equip(product, token, endpoint)
        product = product.build()
    if not isinstance(product, Application):
        made = f"{run.bot.app.target} returned {type(product).__name__}"
        raise BotFailedError(FailureClass.APP_IMPORT, f"{made}, not an application or its builder")
    if bot_id(product.bot.token) != bot_id(token):
        raise BotFailedError(FailureClass.BAD_CONFIG, "the application was built with another bot's token")
    called = server_of(product.bot.base_url)
    if called != server_of(endpoint):
        fault = f"the application calls {called}, not the fleet file's endpoint {endpoint}"
        words = f'{fault}: build it with .base_url(f"{{context.endpoint}}/bot")'
        raise BotFailedError(FailureClass.BAD_CONFIG, run.redact.line(words))
    bound(product.bot)
    return product


def _ran_itself(error: BaseException) -> bool:
    """Whether it comes of ``run_polling()``, with which examples end and which wants a loop of its own."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name in {"run_polling", "run_webhook"}:
            return True
        trace = trace.tb_next
    return False


def server_of(url: str) -> str:
    """Scheme, host and port of a URL, as it is called; without its path, which has the token."""
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        return "what is no URL"
    return f"{read.scheme}://{read.netloc.decode()}"
