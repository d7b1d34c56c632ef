"""What stands in the tutorials and in the READMEs runs as it stands there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE, read_line, run, swift_binary

PACKAGE = Path(__file__).parents[1]
CHECKOUT = PACKAGE.parents[1]
IN_PROCESS = (CHECKOUT / "README.md", PACKAGE / "README.md", CHECKOUT / "docs" / "clients-python.md")
# Their code is in docs/examples as well (scripts/generate-examples), where it is built.
TUTORIALS = tuple(CHECKOUT / "docs" / f"write-{name}.md" for name in ("a-client", "a-server", "an-environment"))

_BLOCK = re.compile(r"^```(\S*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Seconds for a command of a tutorial: some of them compile, or check a server from end to end.
SECONDS = 200.0


@pytest.mark.parametrize("document", IN_PROCESS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_its_code_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIFT_GYM_SERVER_BINARY", str(swift_binary()))
    monkeypatch.delenv("SWIFT_GYM_SERVER", raising=False)
    monkeypatch.chdir(tmp_path)
    blocks = [text for language, _, text in _BLOCK.findall(document.read_text()) if language == "python"]
    assert blocks
    # One after the other in one namespace, as a reader types them.
    namespace: dict[str, object] = {"__name__": "__main__"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{document.name}, block {number + 1}", "exec"), namespace)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".sock")]


class Terminals:
    """What a reader has open: commands that end, and servers in the background."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: list[subprocess.Popen[str]] = []
        self._environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}

    def here(self, text: str) -> str:
        """The text for this machine: the binaries under test, this Python, and a folder of the test's own."""
        text = text.replace("/tmp/", f"{self._folder}/").replace("=/tmp ", f"={self._folder} ")
        text = text.replace(".build/release/", f"{swift_binary().parent}/")
        return text.replace("python3 ", f"{shlex.quote(sys.executable)} ")

    def serve(self, command: str) -> None:
        server = subprocess.Popen(
            ["bash", "-c", self.here(command)],
            cwd=CHECKOUT,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._servers.append(server)
        assert read_line(server).startswith("listening on unix:")

    def run(self, commands: str) -> str:
        script = "set -euo pipefail\n" + self.here(commands)
        done = run(["bash", "-c", script], seconds=SECONDS, cwd=CHECKOUT, env=self._environment)
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        while self._servers:
            server = self._servers.pop()
            os.killpg(server.pid, signal.SIGTERM)
            try:
                assert server.wait(PATIENCE) == 0
            finally:
                server.kill()
                assert server.stdout is not None
                server.stdout.close()


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    opened = Terminals(tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize("document", TUTORIALS, ids=lambda path: path.name)
def test_the_tutorial_can_be_followed(document: Path, terminals: Terminals, tmp_path: Path) -> None:
    for program in ("gym-agent", "gym-conformance", "example-client", "example-environment"):
        if not (swift_binary().parent / program).is_file():
            pytest.skip(f"no {program} beside gym-server")
    said = ""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for language, label, text in _BLOCK.findall(document.read_text()):
        if label.startswith("docs/examples/"):
            assert text in (CHECKOUT / label).read_text(), f"{label} is not what the page says"
        elif language == "sh" and label == "background":
            terminals.serve(text)
        elif language == "sh":
            said = terminals.run(text)
        elif language == "text":
            assert said == text
        else:
            assert language == "python", f"a block of {language} is not tested"
            exec(compile(terminals.here(text), document.name, "exec"), namespace)
    # The servers remove their sockets.
    terminals.close()
    assert not [path.name for path in tmp_path.iterdir() if path.is_socket()]


def test_the_manifest_of_the_tutorial_asks_for_what_there_is(tmp_path: Path) -> None:
    swift = shutil.which("swift")
    if swift is None:
        pytest.skip("no swift to read manifests with")
    # Where SwiftPM may leave what it likes.
    shutil.copy(CHECKOUT / "docs" / "examples" / "package" / "Package.swift", tmp_path)
    done = run([swift, "package", "--package-path", str(tmp_path), "dump-package"], seconds=SECONDS)
    assert done.returncode == 0, done.stderr
    asked_for = {
        dependency["product"][0]
        for target in json.loads(done.stdout)["targets"]
        for dependency in target["dependencies"]
        if "product" in dependency
    }
    offered = set(re.findall(r'\.library\(name: "(\w+)"', (CHECKOUT / "Package.swift").read_text()))
    assert asked_for and asked_for <= offered
