"""The checker of the docs' words sees what it is for, and passes over what is code, generated or a link."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "prose.py"


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def found(prose: ModuleType, folder: Path, text: str) -> list[str]:
    page = folder / "page.md"
    page.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prose, "ROOT", folder)
        return [fault.partition(": ")[2] for fault in prose.faults(page)]


LONG = " ".join(["word"] * 36)


@pytest.mark.parametrize(
    "text",
    [
        "A key that is confined.",
        "| cell | The presigned flow. |",
        "# Files are\njudged",
        f"{LONG}.",
        f"- {LONG}",
    ],
)
def test_a_fault_is_found_wherever_prose_stands(prose: ModuleType, tmp_path: Path, text: str) -> None:
    assert len(found(prose, tmp_path, f"Good.\n\n{text}\n")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "`flow` and flow.js",
        "```python\nflow = judged\n```",
        "<!-- begin: commands -->\njudged flow\n<!-- end: commands -->",
        "[tus](flows/tus.md)",
        f"{LONG[:80]}. {LONG[:80]}.",
        f"{LONG[:80]}\n\n{LONG[:100]}",
    ],
)
def test_what_is_no_prose_is_passed_over(prose: ModuleType, tmp_path: Path, text: str) -> None:
    assert found(prose, tmp_path, text) == []


def test_the_place_of_a_fault_is_its_line(prose: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("One.\n\n```text\na\n```\n\nTwo. It is\njudged.\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prose, "ROOT", tmp_path)
        assert [fault.split(":")[:2] for fault in prose.faults(tmp_path / "page.md")] == [["page.md", "7"]]
