"""Hosts for tests. A test module asks for them by ``pytest_plugins = ("tests.hosts.fixtures",)``.

``host``: a container with the toolkit in /opt/bot-toolkit, one for all tests of a module.
``host_sandbox``: has that container serve the Bot API at the sandbox's usual address.
``new_host``: a function that boots one more, ended with the test; ``new_host(plain())``: without the toolkit.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.hosts import image, tier
from tests.hosts.container import Container


@pytest.fixture(scope="session")
def containers_run() -> None:
    """Skip, or fail under ``CI=true``, where containers cannot run."""
    tier.require(tier.CONTAINER)


@pytest.fixture(scope="module")
def host(containers_run: None) -> Iterator[Container]:
    container = Container(image.with_toolkit())
    yield container
    container.kill()


@pytest.fixture(scope="module")
def host_sandbox(host: Container) -> None:
    host.run("toolkit", "sandbox", "--detach")


@pytest.fixture
def new_host(containers_run: None) -> Iterator[Callable[..., Container]]:
    with ExitStack() as stack:

        def boot(tree: image.Image | None = None, files: dict[str, str] | None = None) -> Container:
            container = Container(tree or image.with_toolkit(), files)
            stack.callback(container.kill)
            return container

        yield boot
