"""Whatever a client writes is read or refused in our own words, never with another exception."""

from __future__ import annotations

import contextlib
import json
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fileferry.api.delivery import content_disposition
from fileferry.engine.access.keys import is_well_formed, new_secret
from fileferry.engine.inspection.digests import Algorithm, Hasher, combine_crc32c
from fileferry.engine.inspection.media_types import SIGNED_TYPES, contradicts
from fileferry.engine.inspection.signatures import judge_types
from fileferry.errors import BadRequest, FerryError
from fileferry.model import clean_name, clean_path, format_time, parse_duration, parse_size
from fileferry.telemetry import redact
from fileferry.web.digest_fields import declared_digests
from fileferry.web.entity_tags import entity_tags
from fileferry.web.requests import (
    decode_cursor,
    encode_cursor,
    parse_expires_at,
    parse_expires_in,
    parse_limit,
    parse_metadata,
)

TEXT = st.text() | st.text("0123456789smhdw.-+:TZ ", max_size=40)
MOMENTS = st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9999, 12, 29), timezones=st.just(UTC))


@given(TEXT)
def test_every_text_is_read_or_refused(text: str) -> None:
    for read in (clean_name, clean_path, parse_expires_in, parse_expires_at, parse_metadata, parse_limit, entity_tags):
        with contextlib.suppress(FerryError):
            read(text)
    with contextlib.suppress(FerryError):
        decode_cursor(text, 2)
    with contextlib.suppress(ValueError):
        parse_size(text)
    for name in ("content-digest", "repr-digest", "content-md5"):
        with contextlib.suppress(BadRequest):
            declared_digests({name: text})


@given(st.integers(1, 36500 * 86400))
def test_seconds_are_themselves_as_text_and_number(seconds: int) -> None:
    assert parse_expires_in(seconds) == parse_expires_in(str(seconds)) == timedelta(seconds=seconds)


@given(st.integers(1, 1000), st.sampled_from(["s", "m", "h", "d", "w"]))
def test_units_multiply(number: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    assert parse_duration(f"{number}{unit}") == timedelta(seconds=number * seconds)


@given(MOMENTS)
def test_a_time_that_was_written_is_read_back(moment: datetime) -> None:
    read = parse_expires_at(format_time(moment))
    assert read == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@given(st.text(min_size=1))
def test_a_name_that_is_kept_is_harmless(text: str) -> None:
    with contextlib.suppress(FerryError):
        name = clean_name(text)
        assert clean_name(name) == name
        assert name not in ("", ".", "..")
        assert not set(name) & set("/\\")
        assert len(name.encode()) <= 255
        assert not [letter for letter in name if unicodedata.category(letter) == "Cc"]


@given(st.text())
def test_a_path_that_is_kept_stays_itself(text: str) -> None:
    with contextlib.suppress(FerryError):
        path = clean_path(text)
        assert clean_path(path) == path
        assert not {"", ".", ".."} & set(path.split("/"))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["inline", "attachment"]))
def test_a_disposition_is_one_printable_line(name: str, kind: str) -> None:
    value = content_disposition(kind, name)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2))
def test_a_cursor_holds_what_was_put_in(parts: list[str]) -> None:
    assert decode_cursor(encode_cursor(*parts), 2) == parts


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**53), 2**53) | st.booleans()))
def test_metadata_is_read_back(value: dict[str, Any]) -> None:
    assert parse_metadata(json.dumps(value)) == value


@given(st.binary(max_size=300), st.text(max_size=30), st.text(max_size=12))
def test_types_are_judged_whatever_comes(head: bytes, declared: str, name: str) -> None:
    content_type, detected = judge_types(head, declared, name)
    assert content_type.isascii()
    assert content_type.isprintable()
    assert len(content_type) <= 255
    if content_type in SIGNED_TYPES and detected != content_type:
        assert contradicts(content_type, detected)


@given(st.binary(max_size=5000), st.binary(max_size=5000))
def test_checksums_of_two_runs_combine(first: bytes, second: bytes) -> None:
    def crc32c(content: bytes) -> int:
        hasher = Hasher()
        hasher.update([content])
        return int.from_bytes(hasher.value(Algorithm.CRC32C))

    assert combine_crc32c(crc32c(first), crc32c(second), len(second)) == crc32c(first + second)


@given(st.binary(), st.integers(1, 100))
def test_a_hasher_does_not_care_how_bytes_are_cut(content: bytes, cut: int) -> None:
    whole, pieces = Hasher(Algorithm), Hasher(Algorithm)
    whole.update([content])
    pieces.update(content[start : start + cut] for start in range(0, len(content), cut))
    for algorithm in Algorithm:
        assert whole.value(algorithm) == pieces.value(algorithm)


def test_a_secret_has_a_form_that_scanners_can_tell() -> None:
    secrets = {new_secret() for _ in range(200)}
    assert len(secrets) == 200
    for secret in secrets:
        assert is_well_formed(secret)
        assert not is_well_formed(secret[:-1] + ("0" if secret[-1] != "0" else "1"))
        assert not is_well_formed(secret[:10] + ("0" if secret[10] != "0" else "1") + secret[11:])
        assert not is_well_formed(secret[:-1])


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_secret_is_redacted_wherever_it_stands(before: str, after: str) -> None:
    secret = new_secret()
    assert secret not in redact(f"{before}{secret} {after}")
    assert secret not in redact(f"{before} Bearer {secret}{after}")
