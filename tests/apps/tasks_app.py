"""Coroutine functions as bots."""

import asyncio
import atexit
import os
import sys
import threading

tasks = []


async def waits(context):
    stopped = asyncio.Event()
    context.on_stop(stopped.set)
    context.health.degraded("warming up")
    context.health.ready()
    context.health.ok()
    (context.state / "ran").write_text(context.config["greeting"])
    await stopped.wait()
    context.logger.info("ended well")


async def never_ready(_):
    await asyncio.Event().wait()


async def cancelled(context):
    try:
        await asyncio.Event().wait()
    finally:
        context.logger.info("cancelled")


async def deaf_to_stop(context):
    context.on_stop(lambda: None)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            context.logger.info("I stay")


async def blocked(context):
    context.logger.info("blocking")
    context.health.ready()
    import time

    while True:
        time.sleep(1)  # noqa: ASYNC251


async def leaves_a_thread(_):
    threading.Thread(target=threading.Event().wait).start()
    atexit.register(threading.Event().wait)
    await asyncio.Event().wait()


async def replaces_itself(_):
    os.execl(sys.executable, sys.executable, *sys.argv)


async def may_not_catch_that(_):
    try:
        os.execlp("true", "true")
    except PermissionError:
        await asyncio.Event().wait()


async def becomes_another_in_a_fork(context):
    if (child := os.fork()) == 0:
        os.execv("/bin/true", ["true"])
    # It ends at once.
    context.logger.info("the fork ended with %d", os.waitpid(child, 0)[1])  # noqa: ASYNC222
    context.health.ready()
    await asyncio.Event().wait()


async def returns(_):
    return None


async def exits(_):
    sys.exit(77)


async def raises(context):
    raise RuntimeError(f"broken, token {context.token}")


async def awaits_what_was_cancelled(_):
    task = asyncio.ensure_future(asyncio.sleep(3600))
    asyncio.get_running_loop().call_soon(task.cancel)
    await task


async def cancels_all(_):
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(3600)


def interrupts(_):
    raise KeyboardInterrupt


async def exits_when_told(context):
    """Its callback exits, and what it is at takes a moment more."""
    told = asyncio.Event()
    context.on_stop(told.set)
    context.on_stop(sys.exit)
    await told.wait()
    await asyncio.sleep(0.2)
    context.logger.info("ended well")


async def leaves_a_task_that_exits(_):
    async def exits_when_cancelled():
        try:
            await asyncio.sleep(3600)
        finally:
            sys.exit(3)

    tasks.append(asyncio.create_task(exits_when_cancelled()))
    await asyncio.sleep(0)
    raise RuntimeError("broken")


async def ready_with_a_trouble(context):
    context.health.degraded("slow")
    context.health.ready()
    await asyncio.Event().wait()


def plain(_):
    return None


async def pulls_the_rug(_):
    """Puts another file where the event loop waits, and leaves a thread for which Python would wait."""
    threading.Thread(target=threading.Event().wait).start()
    with open(os.devnull) as nothing:  # noqa: ASYNC230  it is there at once
        os.dup2(nothing.fileno(), asyncio.get_running_loop()._selector.fileno())
    await asyncio.Event().wait()
