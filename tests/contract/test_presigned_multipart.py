"""The presigned flow takes large files in parts: initiate, list, fresh URLs, complete, abort."""

from __future__ import annotations

import hashlib
import os
import uuid

import httpx
import pytest

from contract.test_presigned_tickets import refused
from wire.asking import SMALL_PART, confirm, etag_of, initiate, send


def test_parts_in_any_order_make_the_file(http: httpx.Client) -> None:
    content = os.urandom(3 * SMALL_PART + 5)
    upload = initiate(http, len(content), contentType="image/png")
    assert list(upload.urls) == [1, 2, 3, 4]
    etags = {number: upload.put(number, upload.piece(content, number)) for number in (3, 1, 4, 2)}
    done = upload.complete(dict(sorted(etags.items())))
    assert done.status_code == 200, done.text
    file = done.json()
    assert (file["id"], file["size"], file["uploaded"]) == (upload.id, len(content), True)
    assert (file["s3Key"], file["contentType"]) == (upload.s3_key, "image/png")
    assert upload.fetch().content == content
    assert [entry["id"] for entry in http.get(f"/v1/files/{upload.folder}").json()["files"]] == [upload.id]


def test_completing_again_gives_the_same_answer_and_so_does_confirming(http: httpx.Client) -> None:
    upload = initiate(http, SMALL_PART + 1)
    etags = upload.put_all(os.urandom(SMALL_PART + 1))
    first = upload.complete(etags).json()
    assert upload.complete(etags).json() == first
    assert confirm(http, upload.id).json()["files"] == [first]


def test_a_part_that_never_arrived_is_named(http: httpx.Client) -> None:
    content = os.urandom(3 * SMALL_PART)
    upload = initiate(http, len(content))
    etags = {1: upload.put(1, upload.piece(content, 1)), 2: etag_of(upload.piece(content, 2))}
    etags[3] = upload.put(3, upload.piece(content, 3))
    error = refused(upload.complete(etags), 400, "invalid_part")
    assert error["part_number"] == 2
    assert "2" in error["message"]
    refused(confirm(http, upload.id), 409, "not_uploaded")
    upload.put(2, upload.piece(content, 2))
    assert upload.complete(etags).status_code == 200


def test_a_wrong_etag_is_refused_naming_the_part(http: httpx.Client) -> None:
    content = os.urandom(2 * SMALL_PART)
    upload = initiate(http, len(content))
    etags = upload.put_all(content)
    for wrong in ('"0123"', "", etags[1]):
        assert refused(upload.complete({**etags, 2: wrong}), 400, "invalid_part")["part_number"] == 2
    assert upload.complete(etags).status_code == 200


def test_the_etag_of_a_part_that_was_replaced_is_stale(http: httpx.Client) -> None:
    content = os.urandom(2 * SMALL_PART)
    upload = initiate(http, len(content))
    stale = upload.put(1, bytes(SMALL_PART))
    etags = upload.put_all(content)
    assert refused(upload.complete({**etags, 1: stale}), 400, "invalid_part")["part_number"] == 1
    assert upload.complete(etags).status_code == 200
    assert upload.fetch().content == content


def test_an_etag_may_lack_its_quotes(http: httpx.Client) -> None:
    upload = initiate(http, 10)
    etags = upload.put_all(b"0123456789")
    assert upload.complete({1: etags[1].strip('"')}).status_code == 200


@pytest.mark.parametrize("numbers", [[2, 1], [1, 1, 2], [1, 2, 3], [0, 1, 2], [-1, 1, 2], [1, 2, 10**30]])
def test_parts_are_listed_once_in_ascending_order(http: httpx.Client, numbers: list[int]) -> None:
    content = os.urandom(2 * SMALL_PART)
    upload = initiate(http, len(content))
    etags = upload.put_all(content)
    parts = [{"partNumber": number, "etag": etags.get(number, "x")} for number in numbers]
    refused(upload.call("complete", parts=parts), 400, "invalid_part")
    assert upload.complete(etags).status_code == 200


def test_parts_left_out_are_missed_by_their_size(http: httpx.Client) -> None:
    content = os.urandom(2 * SMALL_PART)
    upload = initiate(http, len(content))
    etags = upload.put_all(content)
    refused(upload.complete({1: etags[1]}), 400, "size_mismatch")


def test_what_has_arrived_is_listed_to_go_on_after_a_crash(http: httpx.Client) -> None:
    content = os.urandom(3 * SMALL_PART)
    upload = initiate(http, len(content))
    assert upload.parts().json()["parts"] == []
    etags = {number: upload.put(number, upload.piece(content, number)) for number in (3, 1)}
    seen = upload.parts().json()
    assert (seen["id"], seen["uploadId"], seen["partSize"]) == (upload.id, upload.upload_id, SMALL_PART)
    assert seen["parts"] == [{"partNumber": number, "etag": etags[number], "size": SMALL_PART} for number in (1, 3)]


def test_fresh_urls_are_given_for_given_parts(http: httpx.Client) -> None:
    content = os.urandom(3 * SMALL_PART)
    upload = initiate(http, len(content))
    given = upload.call("urls", partNumbers=[3, 1]).json()
    assert [entry["partNumber"] for entry in given["urls"]] == [3, 1]
    fresh = {entry["partNumber"]: entry["url"] for entry in given["urls"]}
    etags = {}
    for number, url in {**upload.urls, **fresh}.items():
        etags[number] = send(url, upload.piece(content, number)).headers["etag"]
    assert upload.complete(etags).status_code == 200
    assert upload.fetch().content == content


@pytest.mark.parametrize("number", [0, 4, -1])
def test_there_is_no_url_for_a_part_that_is_none(http: httpx.Client, number: int) -> None:
    upload = initiate(http, 3 * SMALL_PART)
    refused(upload.call("urls", partNumbers=[1, number]), 400, "invalid_parameter")


def test_an_aborted_upload_takes_gives_and_completes_nothing(http: httpx.Client) -> None:
    content = os.urandom(2 * SMALL_PART)
    upload = initiate(http, len(content))
    etags = upload.put_all(content)
    for _again in range(2):
        assert upload.call("abort").status_code == 204
    refused(upload.complete(etags), 410, "gone")
    refused(confirm(http, upload.id), 410, "gone")
    refused(upload.parts(), 410, "gone")
    refused(upload.call("urls", partNumbers=[1]), 410, "gone")
    assert send(upload.urls[1], upload.piece(content, 1)).status_code == 410
    assert upload.fetch().status_code == 404


def test_a_complete_upload_cannot_be_aborted(http: httpx.Client) -> None:
    upload = initiate(http, 3)
    assert upload.complete(upload.put_all(b"abc")).status_code == 200
    refused(upload.call("abort"), 409, "already_uploaded")
    assert upload.fetch().content == b"abc"


@pytest.mark.parametrize("size", [0, 1, SMALL_PART, SMALL_PART + 1, 2 * SMALL_PART])
def test_sizes_around_a_part(http: httpx.Client, size: int) -> None:
    content = os.urandom(size)
    upload = initiate(http, size)
    assert len(upload.urls) == max(1, -(-size // SMALL_PART))
    assert upload.complete(upload.put_all(content)).json()["size"] == size
    served = upload.fetch()
    assert (served.content, int(served.headers["content-length"])) == (content, size)


def test_we_choose_parts_where_no_size_is_asked_for(http: httpx.Client) -> None:
    upload = initiate(http, 20 * 1024**2, part_size=None)
    assert len(upload.urls) == -(-upload.size // upload.part_size)


@pytest.mark.parametrize(
    ("size", "part_size"), [(1, 1), (1, SMALL_PART - 1), (1, 6 * 1024**3), (SMALL_PART * 10_000 + 1, SMALL_PART)]
)
def test_part_sizes_that_cannot_be_are_refused(http: httpx.Client, size: int, part_size: int) -> None:
    asked = {"name": "a", "size": size, "partSize": part_size}
    answer = http.post(f"/v1/files/multipart/{upload_folder(http)}/initiate", json=asked)
    refused(answer, 400, "invalid_parameter")


def upload_folder(http: httpx.Client) -> str:
    return initiate(http, 1).folder


def test_ten_thousand_urls_are_given(http: httpx.Client) -> None:
    upload = initiate(http, SMALL_PART * 10_000)
    assert len(upload.urls) == 10_000
    last = os.urandom(SMALL_PART)
    assert upload.put(10_000, last) == etag_of(last)
    assert [part["partNumber"] for part in upload.parts().json()["parts"]] == [10_000]


def test_a_promised_checksum_of_the_whole_is_verified_at_completion(http: httpx.Client) -> None:
    content = os.urandom(2 * SMALL_PART + 3)
    for checksum in (hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest()):
        good = initiate(http, len(content), checksum=checksum)
        assert good.complete(good.put_all(content)).status_code == 200
        assert good.fetch().content == content
        bad = initiate(http, len(content), checksum=checksum)
        etags = bad.put_all(content[::-1])
        refused(bad.complete(etags), 400, "digest_mismatch")
        assert bad.fetch().status_code == 404


def test_ids_that_do_not_belong_together_are_refused(http: httpx.Client) -> None:
    one, other = initiate(http, 3), initiate(http, 3)
    etags = one.put_all(b"abc")
    parts = [{"partNumber": 1, "etag": etags[1]}]
    path = f"/v1/files/multipart/{one.folder}"
    for names in (
        {"id": one.id, "uploadId": other.upload_id},
        {"id": other.id, "uploadId": one.upload_id},
        {"id": str(uuid.uuid4()), "uploadId": one.upload_id},
        other.names,
    ):
        refused(http.post(f"{path}/complete", json={**names, "parts": parts}), 404, "not_found")
        refused(http.post(f"{path}/abort", json=names), 404, "not_found")
        refused(http.post(f"{path}/urls", json={**names, "partNumbers": [1]}), 404, "not_found")
    refused(http.get(f"{path}/{other.upload_id}/parts"), 404, "not_found")
    assert one.complete(etags).status_code == 200
