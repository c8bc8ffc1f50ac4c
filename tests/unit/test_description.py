"""The OpenAPI document keeps its word: no answer has a status, a media type, a header or a shape that it does not tell of.

Requests are made from the document itself, by schemathesis; ``soak/test_word_soak.py`` makes many more.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from fileferry.api import bodies, description
from fileferry.api.examples import EXAMPLES
from fileferry.errors import CATALOGUE
from unit.description import contradictions
from unit.service import Service
from unit.words import Stage

_EACH = 3


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(Path(tmp_path_factory.mktemp("description"), "data"))
    yield service
    service.close()


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    told: dict[str, Any] = service.request("GET", "/docs/openapi.json").json()
    return told


def test_no_answer_contradicts_the_document(service: Service) -> None:
    sent, found = contradictions(service, service.request("GET", "/docs/openapi.json").json(), _EACH)
    assert not found, "\n".join(found[:20])
    assert sent >= 100 * _EACH


def test_what_the_document_does_not_tell_of_is_found(service: Service, document: dict[str, Any]) -> None:
    def without(path: str, change: str) -> list[str]:
        item = json.loads(json.dumps(document["paths"][path]))
        answers = item["get"]["responses"]
        told = {
            "a status": {status: answer for status, answer in answers.items() if status != "200"},
            "a media type": {**answers, "200": {"description": "", "content": {"text/csv": {}}}},
            "a shape": {**answers, "200": _json_answer({"type": "object", "required": ["nothing"]})},
            "a header": {**answers, "200": {**answers["200"], "headers": {"X-Nothing": {"required": True}}}},
        }
        item["get"]["responses"] = told[change]
        return contradictions(service, {**document, "paths": {path: {"get": item["get"]}}}, 2)[1]

    for change in ("a status", "a media type", "a shape", "a header"):
        assert without("/healthz", change), change


def _json_answer(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "", "content": {"application/json": {"schema": schema}}}


def test_calls_say_whether_they_need_a_key_or_a_signature(service: Service, document: dict[str, Any]) -> None:
    values = Stage(service).path_values()
    found = []
    for path, method, operation in description.operations(document):
        if path == "/u/{upload_id}/{name}" and method == "options":
            continue
        target = path.format_map(values).encode()
        answer = service.ask_raw(method.upper(), target, ((b"x-api-key", b""), (b"user-id", b"u")))
        schemes = {name for each in operation["security"] for name in each}
        # To Google's clients, who delete their sessions, a URL that is not valid is none.
        is_refused = answer.status == 403 or (answer.status, method) == (404, "delete")
        wanted = {"signature"} if is_refused else {"bearer", "key"} if answer.status == 401 else set()
        if schemes != wanted:
            found.append(f"{method} {path}: {answer.status}, {schemes}")
    assert not found
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key", "signature"}


def test_every_call_is_of_a_flow_that_is_told_of(document: dict[str, Any]) -> None:
    told = [tag["name"] for tag in document["tags"]]
    used = {tag for _path, _method, operation in description.operations(document) for tag in operation["tags"]}
    assert used == set(told)
    assert all(tag["description"] for tag in document["tags"])
    assert document["paths"]["/v1/files"]["post"]["tags"] == ["One-call API", "Signed API"]


def test_every_error_is_told_of_in_the_shape_of_each_flow_that_takes_files(document: dict[str, Any]) -> None:
    shapes = {
        ("/api/upload/{path}", "put"): "Problem",
        ("/v1/files", "post"): "DirectError",
        ("/v1/organizations/{organization_id}/files/upload", "post"): "OrganizationError",
        ("/u/{upload_id}/{name}", "put"): "XmlError",
    }
    never = {"range_not_satisfiable", "link_refused", "method_not_allowed"}
    for (path, method), shape in shapes.items():
        told = set()
        for answer in document["paths"][path][method]["responses"].values():
            name = answer.get("$ref", "").rpartition("/")[2]
            for content in document["components"]["responses"].get(name, {}).get("content", {}).values():
                told |= {example.split(".")[2] for example in content["examples"] if example.startswith(f"{shape}.")}
        assert set(CATALOGUE) - never <= told, path


def test_examples_have_the_shapes_that_they_are_examples_of(document: dict[str, Any]) -> None:
    components = document["components"]
    for name, example in EXAMPLES.items():
        jsonschema_rs.validate({"$ref": f"#/components/schemas/{name}", "components": components}, example)
    for name, example in components["examples"].items():
        shape = name.partition(".")[0]
        if shape != "XmlError":
            schema = {"$ref": f"#/components/schemas/{shape}", "components": components}
            jsonschema_rs.validate(schema, example["value"])
    for kind in bodies.taken():
        assert msgspec.convert(EXAMPLES[kind.__name__], kind), "a handler takes its example"


def test_descriptions_are_commonmark_of_whole_sentences(document: dict[str, Any]) -> None:
    said = list(_descriptions(document))
    assert len(said) > 300
    assert not [text for text in said if "``" in text or re.search(r"[^\n]\n(?![\n-])", text)]


def _descriptions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name in ("description", "summary") and isinstance(each, str):
                yield each
            yield from _descriptions(each)
    elif isinstance(value, list):
        for each in value:
            yield from _descriptions(each)


def test_the_page_shows_every_call_by_flow_and_lets_it_be_tried(service: Service, document: dict[str, Any]) -> None:
    page = service.request("GET", "/docs", key=None).text
    sections = dict(re.findall(r'<section id="[^"]*"><h2>([^<]*)</h2>(.*?)</section>', page, re.DOTALL))
    for path, method, operation in description.operations(document):
        for tag in operation["tags"]:
            assert f"<b>{method.upper()}</b> <code>{html.escape(path)}</code>" in sections[tag]
            assert f'data-method="{method.upper()}" data-path="{html.escape(path)}"' in sections[tag]
    assert 'id="search"' in page
    assert 'id="key" type="password"' in page
    assert "`" not in re.sub(r"<script>.*</script>|<pre>.*?</pre>", "", page, flags=re.DOTALL)


def test_the_page_runs_its_own_script_and_no_other(service: Service) -> None:
    page = service.request("GET", "/docs", key=None).text
    policy = html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r'(?:src|href)="(?!#|http://service/docs/openapi.json)', page)
