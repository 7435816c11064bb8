"""The sandbox over TLS, and TLS that ends in the middle of a connection."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit.sandbox.client import SandboxClient

TOOLKIT = Path(sys.executable).with_name("toolkit")
TOKEN = f"123456:{'A' * 35}"
CALL = """
import asyncio, sys, telegram
from telegram.error import NetworkError

async def main():
    async with telegram.Bot(sys.argv[1], base_url=sys.argv[2] + "/bot") as bot:
        print("ok", flush=True)
        for _ in sys.stdin:
            try:
                await bot.get_me()
                print("ok", flush=True)
            except NetworkError as error:
                print(error, flush=True)

asyncio.run(main())
"""


def run(*arguments: object, code: int = 0) -> str:
    done = subprocess.run(
        [str(word) for word in arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done
    return done.stdout + done.stderr


@pytest.fixture
def secure(certificate, tmp_path, monkeypatch) -> Iterator[SandboxClient]:
    cert, key = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    files = ("--url-file", tmp_path / "url", "--pid-file", tmp_path / "pid")
    run(TOOLKIT, "sandbox", "--detach", "--port", 0, *files, "--tls-cert", cert, "--tls-key", key)
    yield SandboxClient((tmp_path / "url").read_text().strip())
    run(TOOLKIT, "sandbox", "stop", "--pid-file", tmp_path / "pid")


def test_a_bot_speaks_tls_and_tls_ends_on_demand(secure):
    assert secure.url.startswith("https://")
    assert secure.health()["sandbox"] is True
    command = [sys.executable, "-c", CALL, TOKEN, secure.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as bot:

        def call() -> str:
            bot.stdin.write("\n")
            bot.stdin.flush()
            return bot.stdout.readline()

        assert bot.stdout.readline() == "ok\n"
        secure.fault("123456", "getMe", "tls", count=1)
        assert "SSL" in call()
        assert call() == "ok\n"


def test_who_does_not_trust_the_certificate_is_told(secure, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    told = run(TOOLKIT, "sandbox", "bots", "--url", secure.url, code=1)
    assert "CERTIFICATE_VERIFY_FAILED" in told
    assert "Traceback" not in told


def test_files_that_are_no_certificate_are_told(certificate, tmp_path):
    cert, key = certificate
    (tmp_path / "none.pem").write_text("nothing")
    start = (TOOLKIT, "sandbox", "--port", 0)
    told = run(*start, "--tls-cert", tmp_path / "none.pem", "--tls-key", key, code=2)
    assert "none.pem" in told
    assert "PEM" in told
    assert "Traceback" not in told
    told = run(*start, "--tls-cert", cert, "--tls-key", tmp_path / "missing", code=2)
    assert "No such file" in told
    assert "--tls-key" in run(*start, "--tls-cert", cert, code=2)
