"""Requests to addresses that strangers chose: where they may go, and that nothing leads them elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fileferry.engine.events import egress
from fileferry.engine.events.egress import AddressRefused, Egress, EgressError, Network, is_permitted, networks_of
from fileferry.settings import SettingsError, load
from support.receiver import Receiver, Reply, receiving

HERE = (ipaddress.ip_network("127.0.0.0/8"),)
HOST = "receiver.example"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


def names(*addresses: str) -> egress.Resolve:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


def post(url: str, networks: Sequence[Network] = HERE, resolve: egress.Resolve = egress.resolve) -> egress.Answer:
    async def run() -> egress.Answer:
        async with Egress(networks, resolve) as sender:
            return await sender.post(url, {"x-sent": "yes"}, b"body")

    return asyncio.run(run())


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_an_address_that_is_not_public_is_not_permitted(address: str) -> None:
    assert not is_permitted(address, ())


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"],
)
def test_a_public_address_is_permitted(address: str) -> None:
    assert is_permitted(address, ())


@pytest.mark.parametrize(
    ("address", "permitted"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("10.2.0.0", False), ("fd00::5", True), ("127.0.0.1", False)],
)
def test_a_setting_permits_networks_that_are_not_public(address: str, permitted: bool) -> None:
    settings = load({"FILEFERRY_WEBHOOK_NETWORKS": "10.1.0.0/16, fd00::/64"})
    assert is_permitted(address, networks_of(settings)) is permitted


def test_a_setting_that_is_no_network_is_refused() -> None:
    with pytest.raises(SettingsError, match="FILEFERRY_WEBHOOK_NETWORKS"):
        networks_of(load({"FILEFERRY_WEBHOOK_NETWORKS": "10.0.0.0/99"}))


def test_the_address_that_was_checked_is_connected_to_and_the_host_keeps_its_name(receiver: Receiver) -> None:
    url = f"http://{HOST}:{receiver.port}/hook?a=b"
    assert post(url, resolve=names("127.0.0.1")).status == 200
    (message,) = receiver.received
    assert (message.headers["host"], message.path) == (f"{HOST}:{receiver.port}", "/hook?a=b")
    assert (message.headers["x-sent"], message.body) == ("yes", b"body")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::ffff:127.0.0.1]"])
def test_a_local_address_is_refused_however_it_is_written(receiver: Receiver, host: str) -> None:
    with pytest.raises(AddressRefused):
        post(f"http://{host}:{receiver.port}/", networks=())
    assert receiver.received == []


def test_of_several_addresses_only_permitted_ones_are_connected_to(receiver: Receiver) -> None:
    url = f"http://{HOST}:{receiver.port}/"
    assert post(url, resolve=names("10.0.0.1", "::1", "127.0.0.1")).status == 200
    with pytest.raises(AddressRefused):
        post(url, resolve=names("10.0.0.1", "::1"))
    assert len(receiver.received) == 1


def test_an_address_where_nobody_listens_is_followed_by_the_next(receiver: Receiver) -> None:
    assert post(f"http://{HOST}:{receiver.port}/", resolve=names("127.0.0.2", "127.0.0.1")).status == 200


def test_no_address_at_all_is_a_failure_that_names_the_host() -> None:
    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(EgressError, match=HOST):
        post(f"http://{HOST}/", resolve=unknown)


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..example"])
def test_a_name_that_cannot_be_is_a_failure(host: str) -> None:
    with pytest.raises(EgressError):
        post(f"http://{host}/")


def test_a_redirect_to_a_private_address_is_an_answer_and_nothing_more(receiver: Receiver) -> None:
    with receiving() as private:
        receiver.answer = lambda _message: Reply(302, {"Location": private.url})
        assert post(receiver.url).status == 302
        assert private.received == []


def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert post(receiver.url).status == 200
        assert proxy.received == []


@pytest.mark.parametrize(("name", "trusted"), [(HOST, True), ("other.example", False)])
def test_a_certificate_must_be_that_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool
) -> None:
    certificate = self_signed(tmp_path / "certificate.pem", name)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with receiving(context) as receiver:
        url = f"https://{HOST}:{receiver.port}/"
        if trusted:
            assert post(url, resolve=names("127.0.0.1")).status == 200
        else:
            with pytest.raises(EgressError, match=r"(?i)certificate"):
                post(url, resolve=names("127.0.0.1"))
        assert len(receiver.received) == int(trusted)


@pytest.mark.parametrize("said", [b"220 smtp.example ESMTP\r\n", b""], ids=["other words", "nothing"])
def test_a_receiver_that_does_not_speak_http_is_a_failure(said: bytes) -> None:
    async def run() -> None:
        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Egress(HERE) as sender:
            with pytest.raises(EgressError, match=r"^No HTTP answer: .*[^.]\.$"):
                await sender.post(f"http://127.0.0.1:{port}/", {}, b"")

    asyncio.run(run())


def test_interim_answers_without_end_are_not_read() -> None:
    async def run() -> None:
        async def promise(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
                    await writer.drain()

        server = await asyncio.start_server(promise, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Egress(HERE) as sender:
            with pytest.raises(EgressError, match="more than"):
                await sender.post(f"http://127.0.0.1:{port}/", {}, b"")

    asyncio.run(run())


def self_signed(path: Path, name: str) -> Path:
    """Write a key and a certificate of its own for a host."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    encoding, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, encoding, plain) + certificate)
    return path
