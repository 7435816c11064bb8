"""Commands around the sandbox: run it, speak to bots in it, set faults, read counters."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.context import JsonFlag, invocation, sandbox_bot, seconds_option, selected
from toolkit.cli.output import echo, emit_json, note, table
from toolkit.errors import ExitCode, ToolkitError

if TYPE_CHECKING:
    from toolkit.sandbox.client import SandboxClient
    from toolkit.sandbox.shapes import Answer, Counters

DEFAULT_URL = "http://127.0.0.1:8081"
_COLUMNS = {
    "POLLS": "polls",
    "OVERLAPS": "overlapping_polls",
    "PENDING": "pending",
    "DELIVERED": "delivered",
    "UNANSWERED": "unanswered",
    "TWICE": "answered_twice",
    "SENT": "sent",
    "ERRORS": "errors",
}

app = typer.Typer(help="Run a local Bot API server, and play the user in it.", invoke_without_command=True)

BotName = Annotated[
    str,
    typer.Argument(metavar="BOT", help="A bot of the fleet; with --url its numeric id."),
]
AnswerWait = Annotated[float, seconds_option("--wait", "Seconds to wait for an answer.")]
Url = Annotated[
    str, typer.Option("--url", help="The sandbox's URL; by default the bot's endpoint.", show_default=False)
]
PidFile = Annotated[
    Path, typer.Option("--pid-file", help="What `sandbox --pid-file` wrote.", show_default=False)
]


@app.callback()
def sandbox(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any that is free.", min=0, max=65535)] = 8081,
    detach: Annotated[
        bool, typer.Option("--detach", help="Go on in the background; return once it answers.")
    ] = False,
    url_file: Annotated[Path | None, typer.Option(help="Write the URL here once it answers.")] = None,
    pid_file: Annotated[Path | None, typer.Option(help="Write the process id here.")] = None,
    log: Annotated[Path | None, typer.Option(help="With --detach: where errors are written.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Speak TLS with this certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key (PEM).")] = None,
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="Allow a host that other machines reach, and with it their users to play any user here.",
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run a local Bot API server that takes any token, until Ctrl-C; or speak to one that runs."""
    if context.invoked_subcommand:
        return
    from toolkit.sandbox import run

    options = run.Options(host, port, public, url_file, pid_file, log, tls_cert, tls_key)
    if detach:
        url, pid = run.detach(options)
        end = f"toolkit sandbox stop --pid-file {pid_file}" if pid_file else f"kill {pid}"
        _say(f"the sandbox answers at {url}; `{end}` ends it", {"url": url, "pid": pid}, as_json)
    else:
        words, pid = "the sandbox answers at {}; Ctrl-C ends it", os.getpid()
        run.run(options, lambda url: _say(words.format(url), {"url": url, "pid": pid}, as_json))


@app.command()
def stop(pid_file: PidFile, as_json: JsonFlag = False) -> None:
    """End a sandbox that runs in the background."""
    from toolkit.sandbox import pidfile

    ran = pidfile.stop(pid_file)
    _say("the sandbox is stopped" if ran else "no sandbox was running", {"was_running": ran}, as_json)


@app.command()
def say(
    context: typer.Context,
    bot: BotName,
    text: Annotated[str, typer.Argument(help="What the user writes.")],
    wait: AnswerWait = 10.0,
    chat: Annotated[int | None, typer.Option(help="The chat's id; a negative one is a group.")] = None,
    url: Url = "",
    as_json: JsonFlag = False,
) -> None:
    """Speak to a bot as a user, and print its answer.

    The exit code is 3 where none came in time.
    """
    client, bot, bot_id = _client(context, bot, url)
    _tell(bot, client.ask(bot_id, text, wait, chat), as_json)


@app.command()
def press(
    context: typer.Context,
    bot: BotName,
    button: Annotated[str, typer.Argument(help="The button's text or data.")],
    wait: AnswerWait = 10.0,
    chat: Annotated[int | None, typer.Option(help="The chat's id.")] = None,
    url: Url = "",
    as_json: JsonFlag = False,
) -> None:
    """Press an inline button of a bot's message.

    What the bot answers is printed; the exit code is 3 where nothing came in time.
    """
    client, bot, bot_id = _client(context, bot, url)
    _tell(bot, client.ask_by_button(bot_id, button, wait, chat), as_json)


@app.command()
def fault(
    context: typer.Context,
    bot: BotName,
    method: Annotated[str, typer.Argument(help="Such as getUpdates; '*' for every method.")],
    kind: Annotated[
        str, typer.Argument(help="hang, drop, lost, garbage, delay, tls, or a status such as 401 or 429.")
    ],
    count: Annotated[int | None, typer.Option(help="For so many calls.", min=1)] = None,
    seconds: Annotated[float | None, seconds_option("--seconds", "For so long.")] = None,
    retry_after: Annotated[int, typer.Option(help="Seconds that a 429 asks for.", min=0)] = 0,
    delay_ms: Annotated[int, typer.Option(help="How late it strikes.", min=0, max=604_800_000)] = 0,
    url: Url = "",
    as_json: JsonFlag = False,
) -> None:
    """Let the server do wrong to a bot, until `heal`.

    Where --count or --seconds is given, it ends by itself.

    hang: no answer. drop: the connection is closed without one. lost: the call is done, its answer dropped.
    garbage: something that is no JSON. delay: the right answer, late. tls: TLS ends in the middle of the
    connection, or begins where there was none.
    """
    client, bot, bot_id = _client(context, bot, url)
    number = client.fault(
        bot_id, method, kind, count=count, seconds=seconds, retry_after=retry_after, delay_ms=delay_ms
    )
    shape = {"bot": bot, "id": number, "method": method, "kind": kind}
    _say(f"{bot}: {kind} on {method}", shape, as_json)


@app.command()
def heal(
    context: typer.Context,
    bot: BotName,
    method: Annotated[str, typer.Argument(help="Only the faults set for this method.")] = "*",
    url: Url = "",
    as_json: JsonFlag = False,
) -> None:
    """End a bot's faults."""
    client, bot, bot_id = _client(context, bot, url)
    healed = client.heal(bot_id, method)
    _say(f"{bot}: {healed} healed", {"bot": bot, "method": method, "healed": healed}, as_json)


@app.command()
def faults(context: typer.Context, url: Url = "", as_json: JsonFlag = False) -> None:
    """Show the faults in force, and how often each struck."""
    from toolkit.sandbox.client import SandboxClient

    names, endpoint = ({}, url) if url else _fleet_bots(context)
    found = SandboxClient(endpoint).faults()
    if as_json:
        emit_json({"faults": [{"name": names.get(each["bot_id"]), **each} for each in found]})
        return
    rows = []
    for each in found:
        left = "-" if each["left"] is None else str(each["left"])
        seconds = "-" if each["seconds"] is None else f"{each['seconds']:.0f}s"
        bot = names.get(each["bot_id"], each["bot_id"])
        rows.append((bot, each["method"], each["kind"], left, seconds, str(each["hits"])))
    table(rows, ("BOT", "METHOD", "KIND", "CALLS LEFT", "TIME LEFT", "STRUCK"))


@app.command()
def bots(context: typer.Context, url: Url = "", as_json: JsonFlag = False) -> None:
    """Show what each bot did, in counters.

    Such as polls, updates pending and unanswered, messages sent; docs/sandbox.md tells them all.
    """
    from toolkit.sandbox.client import SandboxClient

    names, endpoint = ({}, url) if url else _fleet_bots(context)
    found = SandboxClient(endpoint).bots()
    if as_json:
        emit_json({"bots": [{"name": names.get(row["bot_id"])} | _with_times(row) for row in found]})
    else:
        table(
            [_row(names.get(row["bot_id"], "-"), row) for row in found], ("BOT", "ID", "POLLING", *_COLUMNS)
        )


def _say(words: str, shape: dict[str, Any], as_json: bool) -> None:
    from toolkit.cli.output import echo, emit_json

    if as_json:
        emit_json(shape)
    else:
        echo(words)


def _client(context: typer.Context, bot: str, url: str) -> "tuple[SandboxClient, str, str]":
    """The sandbox, and the bot's name and id."""
    from toolkit.sandbox.client import SandboxClient

    name, endpoint, bot_id = (bot, url, bot) if url else sandbox_bot(context, bot)
    return SandboxClient(endpoint), name, bot_id


def _fleet_bots(context: typer.Context) -> tuple[dict[str, str], str]:
    """The fleet's bots by id, and the sandbox that they talk to; the usual one where there is no fleet."""
    if not invocation(context).fleet_file.is_file():
        return {}, DEFAULT_URL
    names, endpoint = {}, DEFAULT_URL
    for name in selected(context, []).bots:
        try:
            _, endpoint, bot_id = sandbox_bot(context, name)
        except ToolkitError:  # not deployed, or without a token that can be read
            continue
        names[bot_id] = name
    return names, endpoint


def _tell(bot: str, answers: "list[Answer]", as_json: bool) -> None:

    if as_json:
        emit_json({"bot": bot, "answers": [{**each, "time": _rfc3339(each["time"])} for each in answers]})
    else:
        for each in answers:
            echo(_words(bot, each))
    if not answers:
        note(f"{bot} did not answer in time")
        raise typer.Exit(ExitCode.UNHEALTHY)


def _words(bot: str, answer: "Answer") -> str:
    what = "" if answer["method"] == "sendMessage" else f"({answer['method']}) "
    rows = (answer["reply_markup"] or {}).get("inline_keyboard", [])
    keys = "".join("\n  " + " ".join(f"[{button['text']}]" for button in row) for row in rows)
    return f"{bot}: {what}{answer['text']}{keys}"


def _row(name: str, counters: "Counters") -> tuple[str, ...]:
    figures: dict[str, Any] = {**counters}
    state = "refused" if counters["refused"] else "yes" if counters["polling"] else "no"
    return (name, counters["bot_id"], state, *(str(figures[key]) for key in _COLUMNS.values()))


def _with_times(counters: "Counters") -> dict[str, Any]:
    return {key: _rfc3339(value) if key.endswith("_at") else value for key, value in counters.items()}


def _rfc3339(seconds: Any) -> str | None:
    from toolkit.clock import rfc3339

    return rfc3339(seconds) if seconds else None
