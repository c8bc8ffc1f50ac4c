"""A client that openapi-python-client generates from the OpenAPI document: it uploads, looks, lists and reads errors.

The generator wants an older typer than the command line has, so it gets an environment of its own; that makes this a long trial.
"""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.soak
GENERATOR = "openapi-python-client==0.29.1"
CONTENT = b"%PDF-1.7 of a generated client"


class Generated:
    """The generated package with its configured client; ``call`` runs an operation by the module that it became."""

    def __init__(self, client: Any, said: str) -> None:
        self.client = client
        self.said = said

    def call(self, module: str, *args: Any, **parameters: Any) -> Any:
        """Return the answer of an operation, with its status, headers and what was made of its body."""
        operation = importlib.import_module(f"ferry_client.api.{module}")
        return operation.sync_detailed(*args, client=self.client, **parameters)

    def model(self, module: str, name: str) -> Any:
        """Return a class of the package."""
        return getattr(importlib.import_module(f"ferry_client.{module}"), name)


@pytest.fixture(scope="module")
def generated(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    folder = tmp_path_factory.mktemp("generated")
    document = httpx.get(f"{server.url}/docs/openapi.json", trust_env=False, timeout=60).json()
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "config.yml").write_text("post_hooks: []\n")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run([folder / "venv/bin/pip", "--disable-pip-version-check", "-q", "install", GENERATOR], check=True)
    command = [str(folder / "venv/bin/openapi-python-client"), "generate", "--meta", "none"]
    command += ["--path", "openapi.json", "--config", "config.yml", "--output-path", "ferry_client"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    sys.path.insert(0, str(folder))
    try:
        made = importlib.import_module("ferry_client")
        arguments = {"trust_env": False}
        client = made.AuthenticatedClient(
            base_url=server.url, token=server.root_key, timeout=httpx.Timeout(60), httpx_args=arguments
        )
        yield Generated(client, run.stdout + run.stderr)
    finally:
        sys.path.remove(str(folder))
        for name in [each for each in sys.modules if each.partition(".")[0] == "ferry_client"]:
            del sys.modules[name]


def test_every_operation_and_every_shape_is_generated(generated: Generated) -> None:
    # It knows no XML, and drops the answers that are.
    lost = [line for line in generated.said.splitlines() if "not be generated" in line or "Unable to" in line]
    assert not lost
    warned = [line for line in generated.said.splitlines() if line.startswith("WARNING parsing")]
    assert all("/u/" in line for line in warned), warned


def test_a_file_goes_up_by_a_ticket_and_is_looked_at_and_listed(generated: Generated) -> None:
    new = generated.model("models", "NewUpload")(name="generated.pdf", size=len(CONTENT))
    ticket = generated.call("native_api.api_uploads_create_upload", body=new)
    assert (ticket.status_code, ticket.parsed.name) == (201, "generated.pdf")
    assert httpx.put(ticket.parsed.url, content=CONTENT, trust_env=False).is_success
    completion = generated.model("models", "UploadCompletion")()
    completed = generated.call(
        "native_api.api_uploads_upload_id_complete_complete_upload", ticket.parsed.id, body=completion
    ).parsed
    shown = generated.call("native_api.api_files_file_id_get_file", completed.id).parsed
    assert (shown.size, shown.status, shown.metadata.to_dict()) == (len(CONTENT), "ready", {})
    assert httpx.get(shown.url, trust_env=False).content == CONTENT
    fetched = generated.call("native_api.api_files_file_id_content_get_get_content", completed.id)
    assert fetched.parsed.payload.read() == CONTENT
    listed = generated.call("one_call_api.v1_files_list_files", limit=1000).parsed
    assert completed.id in [file.file_id for file in listed.files]


def test_bytes_and_forms_go_up_in_one_call(generated: Generated) -> None:
    file = generated.model("types", "File")
    put = generated.call(
        "native_api.api_upload_path_put_at_path",
        "generated/a.pdf",
        body=file(payload=io.BytesIO(CONTENT)),
        expires_in="1h",
    )
    assert (put.status_code, put.parsed.path, put.parsed.size) == (201, "generated/a.pdf", len(CONTENT))
    form = generated.model("models", "V1FilesUploadFilesBody")
    sent = form(file=file(payload=io.BytesIO(CONTENT), file_name="b.pdf", mime_type="application/pdf"))
    posted = generated.call("one_call_api.v1_files_upload", body=sent)
    assert (posted.status_code, posted.parsed.filename, posted.parsed.size) == (201, "b.pdf", len(CONTENT))


def test_errors_are_read_in_the_shape_of_their_flow(generated: Generated) -> None:
    nothing = "01b8dac5-b7e8-7fa5-8891-f07fa9588441"
    problem = generated.call("native_api.api_files_file_id_get_file", nothing)
    assert (problem.status_code, problem.parsed.code, problem.parsed.retry) == (404, "not_found", "never")
    refused = generated.call("organizations_api.v1_organizations_organization_id_files_list_files", nothing)
    assert (refused.status_code, refused.parsed.error.code) == (403, "ORGANIZATION_ACCESS_DENIED")
