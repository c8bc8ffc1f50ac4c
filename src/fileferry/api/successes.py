"""Answers of calls that went well, as OpenAPI is told of them. Errors are in ``responses``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fileferry.web import problems

_JSON, _TEXT, _XML, _ANY = "application/json", "text/plain", "application/xml", "*/*"
_STREAM = "text/event-stream"


def _schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_FILE, _BYTES, _WORDS = _schema("FileObject"), {"type": "string", "format": "binary"}, {"type": "string"}
_HEALTH: Mapping[str, Any] = {_JSON: _schema("Health"), _TEXT: _WORDS}
_PROBLEM = _schema("Problem")
# Generators of clients know what to do with the first.
_OF_ANY_TYPE: Mapping[str, Any] = {"application/octet-stream": _BYTES, _ANY: _BYTES}
_UPLOADED: Mapping[str, Any] = {_JSON: _FILE, _TEXT: _WORDS}


class _Told(NamedTuple):
    """What handlers answer that make their answers by hand: media types with their schemas, by status."""

    address: str
    methods: tuple[str, ...]
    answers: Mapping[str, Mapping[str, Any]]


_ANSWERS = (
    _Told("/metrics", ("get",), {"200": {_TEXT: _WORDS}}),
    *(
        _Told(f"/{name}/health_check", ("get",), {"200": _HEALTH, "503": {**_HEALTH, problems.MEDIA_TYPE: _PROBLEM}})
        for name in ("workspace", "file")
    ),
    _Told("/api/events", ("get",), {"200": {_JSON: _schema("EventPage"), _STREAM: _WORDS}}),
    _Told("/api/upload", ("put",), {"200": _UPLOADED, "201": _UPLOADED, "202": {_TEXT: _WORDS}}),
    _Told("/api/upload", ("post",), {"201": _UPLOADED, "202": {_TEXT: _WORDS}}),
    _Told("/api/files/{file_id}/content", ("get",), {"200": _OF_ANY_TYPE, "206": _OF_ANY_TYPE, "304": {}}),
    _Told("/api/files/{file_id}/content", ("head",), {"200": {}, "206": {}, "304": {}}),
    _Told(
        "/v1/files/{id}",
        ("get",),
        {"200": {_JSON: {"anyOf": [_schema(name) for name in ("DirectFile", "PresignedPage", "SignedFile")]}}},
    ),
    _Told(
        "/file/v2/orgs/{organization_id}/workspaces/{workspace_id}/files/{file_id}",
        ("put",),
        {"200": {_JSON: _schema("UploadAnswer")}, "204": {}, "303": {_JSON: _schema("DownloadableFile")}},
    ),
    *(
        told
        for place in ("/f/{token}/{name}", "/d/{version_id}/{name}")
        for told in (
            _Told(place, ("get",), {"200": _OF_ANY_TYPE, "206": _OF_ANY_TYPE, "304": {}}),
            _Told(place, ("head",), {"200": {}, "206": {}, "304": {}}),
        )
    ),
    _Told("/u/{upload_id}/{name}", ("get",), {"200": {_XML: {"type": "object"}}, "204": {}}),
    _Told("/u/{upload_id}/{name}", ("head",), {"200": {}, "204": {}}),
    _Told(
        "/u/{upload_id}/{name}",
        ("put",),
        {"200": {_JSON: {"type": "object"}}, "201": {}, "204": {}, "308": {}},
    ),
    _Told(
        "/u/{upload_id}/{name}",
        ("post",),
        {
            "200": {_JSON: {"type": "object"}, _XML: {"type": "object"}},
            "201": {_ANY: _WORDS},
            "204": {},
            "308": {},
        },
    ),
    _Told("/u/{upload_id}/{name}", ("patch",), {"200": {_JSON: {"type": "object"}}, "201": {}, "204": {}}),
    _Told("/u/{upload_id}/{name}", ("delete",), {"202": {}, "204": {}, "499": {}}),
    _Told("/tus", ("post",), {"201": {}}),
)
_SENTENCES = {
    "200": "Done.",
    "201": "It is there now.",
    "202": "It is taken, and not yet done.",
    "204": "Done; there is nothing more to say.",
    "206": "A part of the bytes.",
    "303": "It is at another place now.",
    "304": "It has not changed.",
    "308": "More bytes are to come.",
    "499": "The session was ended.",
    "503": "Uploads are not taken now.",
}


def of(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """Return the answers of a call that went well: as its handler's type tells of them, or as the handler makes them by hand."""
    if method == "options":
        return {"200": {"description": _SENTENCES["200"]}}
    told = next((told for told in _ANSWERS if method in told.methods and _is_of(path, told.address)), None)
    if told is None:
        found = {status: answer for status, answer in operation["responses"].items() if status != "400"}
        for status, answer in found.items():
            answer["description"] = _SENTENCES[status]
            if not answer.get("headers"):
                answer.pop("headers", None)
        return found
    return {status: _answer(status, contents) for status, contents in told.answers.items()}


def _is_of(path: str, address: str) -> bool:
    return path in (address, f"{address}/{{path}}")


def _answer(status: str, contents: Mapping[str, Any]) -> dict[str, Any]:
    content = {media_type: {"schema": shape} for media_type, shape in contents.items()}
    return {"description": _SENTENCES[status]} | ({"content": content} if content else {})
