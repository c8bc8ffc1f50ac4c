"""No request takes much computing because of how long or how odd its words are, and none is answered as our own fault."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

import pytest

from unit import specimens, words
from unit.mutations import mutations
from unit.service import Service
from unit.words import MOST_SECONDS, Row, Sent, Stage


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all that leaves it as it is."""
    service = Service(tmp_path_factory.mktemp("words") / "data")
    yield service
    service.close()


@pytest.fixture(scope="module")
def stage(service: Service) -> Stage:
    """One of everything on it."""
    return Stage(service)


@pytest.mark.parametrize("rows_of", [words.rows_of_the_schema, words.rows_of_headers, words.rows_of_bodies])
def test_no_field_costs_much_whatever_it_is_filled_with(
    stage: Stage, rows_of: Callable[[Stage], Iterator[Row]]
) -> None:
    failed = []
    for row in rows_of(stage):
        for letter, text in row.texts():
            seconds, answer = stage.seconds_of(row.fill(text))
            if seconds > MOST_SECONDS or answer.status >= 500:
                failed.append(f"{row.name}: {seconds:.3f} s, {answer.status} for {letter!r}")
    assert not failed, "\n".join(failed)


def test_what_mutations_spoil_is_right_before(stage: Stage) -> None:
    answered = [(stage.ask(sent), sent) for sent in specimens.requests(stage)]
    assert not [(answer, sent) for answer, sent in answered if answer.status >= 400]


@pytest.mark.parametrize("seed", range(3))
def test_no_request_that_is_almost_right_costs_much_or_fails_here(
    make_service: Callable[..., Service], seed: int
) -> None:
    stage = Stage(make_service())
    assert not stage.failures(mutations(stage, seed, 150))


@pytest.mark.parametrize("target", [b"/api/files?prefix=" + b"a" * words.LARGE, b"/" + b"a" * words.LARGE])
def test_an_address_that_is_too_long_is_refused_before_it_is_looked_into(service: Service, target: bytes) -> None:
    answer = service.ask_raw("GET", target)
    assert (answer.status, b'"code":"address_too_long"' in answer.body) == (414, True)


@pytest.mark.parametrize(
    "letter", ["\N{LATIN SMALL LETTER U WITH DIAERESIS AND MACRON}", "\N{HANGUL SYLLABLE GAG}", "\u1f82"]
)
def test_a_name_that_fits_once_it_is_composed_is_taken(service: Service, letter: str) -> None:
    name = letter * (255 // len(letter.encode()))
    sent = unicodedata.normalize("NFD", name)
    assert len(sent) > len(name)
    assert service.upload(path=sent)["name"] == name


@pytest.mark.parametrize("weight", ["²", "9" * 5000, "1.5", "-1", ""])
def test_a_weight_that_is_no_number_asks_for_nothing(service: Service, weight: str) -> None:
    wanted = f"md5={weight}, sha=1".encode("latin-1")
    answer = service.ask_raw("PUT", f"/api/upload/of_{len(weight)}".encode(), [(b"Want-Repr-Digest", wanted)], b"x")
    assert answer.status == 201


@pytest.mark.parametrize("encoding", ["utf-7", "euc-jp", "no-such-encoding", "T" * 1000])
@pytest.mark.parametrize("list_of", ["blocks", "parts"])
def test_a_list_in_xml_is_utf_8_whatever_it_says(stage: Stage, encoding: str, list_of: str) -> None:
    target, method = stage.ticket + b"&comp=blocklist", "PUT"
    if list_of == "parts":
        target, method = stage.ticket + b"&uploadId=" + stage.ticket.split(b"/")[2], "POST"
    root = "BlockList" if list_of == "blocks" else "CompleteMultipartUpload"
    body = f'<?xml version="1.0" encoding="{encoding}"?><{root}/>'.encode()
    assert stage.ask(Sent(method, target, (), body)).status < 500


def test_json_that_is_not_utf_8_is_the_mistake_of_the_client(service: Service) -> None:
    headers = [(b"Content-Type", b"application/json")]
    for body in (b'{"name\xff":1}', b'{"name":"\xff"}', b'{"metadata":{"\xff":1},"name":"a"}'):
        assert service.ask_raw("POST", b"/api/uploads", headers, body).status == 400
    assert service.ask_raw("PUT", b"/api/upload/a?metadata=%7B%22%ff%22:1%7D").status < 500


def test_base64_may_hold_blanks_and_no_other_letters(service: Service) -> None:
    for text, status in (("Y W\nJ\tj\r", 201), ("YWJj\xa0", 400), ("YWJj!", 400)):
        assert service.request("POST", "/v1/files", json={"filename": "a", "base64": text}).status_code == status
