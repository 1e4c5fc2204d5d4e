"""The site and the simulator as processes of their own, as on a server, and their certain end."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Self
from urllib.parse import quote

from django.conf import settings

SECONDS_TO_START = 60
SECONDS_TO_STOP = 10
URL = re.compile(r"https?://[^\s/]+:\d+")


class ProcessFailed(Exception):
    """A process that did not do its work; says which, and its last words."""

    def __init__(self, name: str, problem: str, output: str) -> None:
        super().__init__(f"{name} {problem}. It said:\n\n{output.strip() or '(nothing)'}")


class Server:
    """A process that serves until the block ends. All it prints is read, so that it never waits for a reader."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.url = ""
        self.echo: Callable[[str], None] | None = None
        """Where its lines go from now on; without one, the last of them are kept for an error message."""
        self.over = threading.Event()
        self._announced = threading.Event()
        self._last: deque[str] = deque(maxlen=30)
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        """Wait until it says where it listens. Raises ProcessFailed."""
        try:
            if not self._announced.wait(SECONDS_TO_START):
                raise self.failed(f"did not start within {SECONDS_TO_START} seconds")
            if not self.url:
                raise self.failed("ended instead of starting")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def failed(self, problem: str) -> ProcessFailed:
        return ProcessFailed(self.name, problem, "\n".join(self._last))

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            with self._process.stdout as lines:
                for line in lines:
                    self._heard(line.rstrip())
        finally:
            self.over.set()
            self._announced.set()

    def _heard(self, line: str) -> None:
        self._last.append(line)
        if not self.url and (found := URL.search(line)):
            self.url = found[0]
            self._announced.set()
        elif self.echo is not None:
            self.echo(line)


def simulator(port: int, environment: dict[str, str]) -> Server:
    """Both wallets on this machine; port 0 is any free one."""
    # Other ids each time: a demo goes on with the payments of its last run, and no wallet gives an id twice.
    seed = str(secrets.randbelow(2**32))
    arguments = ["-m", "django_tenant_billing.contrib.simulator", "--port", str(port), "--seed", seed]
    return Server("The simulator", arguments, environment)


def site(port: int, environment: dict[str, str]) -> Server:
    """The example site, under Django's development server; port 0 is any free one."""
    return Server("The site", [*_manage("runserver"), f"127.0.0.1:{port}", "--noreload"], environment)


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run a command of manage.py and return what it printed. Raises ProcessFailed."""
    command = [sys.executable, *_manage(*arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise ProcessFailed(f"manage.py {arguments[0]}", f"ended with code {done.returncode}", done.stderr)
    return done.stdout


def watch(environment: dict[str, str], *arguments: str) -> int:
    """Run a command of manage.py that prints where this one does; its exit code."""
    command = [sys.executable, *_manage(*arguments)]
    # Ctrl-C is for this process, which ends the other one without its traceback.
    return subprocess.run(command, env=environment, check=False, start_new_session=True).returncode


def environment_for(database: Path, simulator_url: str = "") -> dict[str, str]:
    """What the processes see: this SQLite file and the simulator, whatever .env and the environment say."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "example.settings",
        "DEBUG": "True",
        "ALLOWED_HOSTS": "",
        "DATABASE_URL": f"sqlite:///{quote(str(database.resolve()))}",
        "SIMULATOR_URL": simulator_url,
        "TENANT_BILLING_MODE": "sandbox",
        "TENANT_BILLING_PUBLIC_BASE_URL": "",
        "DJANGO_RUNSERVER_HIDE_WARNING": "true",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }


def interrupt_on_signals() -> None:
    """Let SIGTERM end the command as Ctrl-C does, through every ``finally``; a second signal disturbs no clean-up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def _manage(*arguments: str) -> list[str]:
    return [str(settings.PROJECT / "manage.py"), *arguments]
