"""The code in the tutorial and in the README runs as it stands there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from conftest import swift_binary

PACKAGE = Path(__file__).parents[1]
CHECKOUT = PACKAGE.parents[1]
DOCUMENTS = (PACKAGE / "README.md", CHECKOUT / "docs" / "clients-python.md")

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_its_code_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIFT_GYM_SERVER_BINARY", str(swift_binary()))
    monkeypatch.delenv("SWIFT_GYM_SERVER", raising=False)
    monkeypatch.chdir(tmp_path)
    blocks = _BLOCK.findall(document.read_text())
    assert blocks
    # One after the other in one namespace, as a reader types them.
    namespace: dict[str, object] = {"__name__": "__main__"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{document.name}, block {number + 1}", "exec"), namespace)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".sock")]
