"""STRICT=1 is only worth something if nothing slips through it: the skip policy, run on test files made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import skips

PASSES = """
    def test_passes():
        pass
"""
SKIPS_ITSELF = """
    import pytest

    def test_skips():
        pytest.skip("no such thing here")
"""
SKIPPED_BY_MARK = """
    import pytest

    @pytest.mark.skipif(True, reason="no such thing here")
    def test_skipped():
        pass
"""
SKIPPED_WHOLE = """
    import pytest

    pytest.importorskip("a_module_that_nobody_has")
"""
FAILS_AS_EXPECTED = """
    import pytest

    @pytest.mark.xfail(reason="known")
    def test_fails():
        raise AssertionError
"""
NEEDS_CURL = """
    import pytest

    @pytest.mark.service("curl")
    def test_needs_curl():
        pass
"""


def run(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(source)
    pytester.makeini("[pytest]\nmarkers = service(name): needs a real service")
    return pytester.runpytest("-p", "support.skips", "-p", "no:cacheprovider", *options)


@pytest.mark.parametrize("source", [SKIPS_ITSELF, SKIPPED_BY_MARK, SKIPPED_WHOLE])
def test_a_skip_fails_a_strict_run_and_says_why(pytester: pytest.Pytester, source: str) -> None:
    result = run(pytester, source, "--no-skips")
    assert result.ret != pytest.ExitCode.OK
    result.stdout.re_match_lines([r".*--no-skips: .*(no such thing here|a_module_that_nobody_has)"])


@pytest.mark.parametrize("source", [SKIPS_ITSELF, SKIPPED_BY_MARK])
def test_a_skip_passes_otherwise(pytester: pytest.Pytester, source: str) -> None:
    result = run(pytester, source)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(skipped=1)


@pytest.mark.parametrize("source", [PASSES, FAILS_AS_EXPECTED])
def test_a_strict_run_leaves_other_outcomes_alone(pytester: pytest.Pytester, source: str) -> None:
    assert run(pytester, source, "--no-skips").ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("options", "status"), [((), pytest.ExitCode.OK), (("--no-skips",), pytest.ExitCode.TESTS_FAILED)]
)
def test_a_missing_service_is_named_with_what_installs_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], status: pytest.ExitCode
) -> None:
    monkeypatch.setenv("PATH", str(pytester.path))
    result = run(pytester, NEEDS_CURL, *options)
    assert result.ret == status
    result.stdout.fnmatch_lines(["*services that are not installed*", "curl: run `make services`"])


@pytest.mark.parametrize("parts", [("a-program-that-nobody-has",), (Path("a-package-that-nobody-has"),)])
def test_a_service_is_missing_as_soon_as_one_of_its_parts_is(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, parts: tuple[str | Path, ...]
) -> None:
    there = pytester.mkdir("package")
    monkeypatch.setitem(skips.SERVICES, "curl", (there, *parts))
    run(pytester, NEEDS_CURL).assert_outcomes(skipped=1)
    monkeypatch.setitem(skips.SERVICES, "curl", (there,))
    run(pytester, NEEDS_CURL).assert_outcomes(passed=1)
