"""Servers and keys that are written down, and which of them a command uses: a key goes to the server it was given for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from shell import Result, Shell

from support.live_server import LiveServer


@pytest.fixture
def home(shell: Shell) -> Path:
    """The folder of the configuration, of somebody whose environment names no server and no key."""
    del shell.environment["FILEFERRY_URL"], shell.environment["FILEFERRY_KEY"]
    shell.environment["XDG_CONFIG_HOME"] = str(shell.folder / "config")
    return shell.folder / "config" / "fileferry"


def login(shell: Shell, server: LiveServer, *options: str, key: str | None = None) -> Result:
    return shell.run("login", server.url, *options, stdin=(key or server.root_key).encode() + b"\n")


def test_login_is_remembered_for_its_owner_alone(shell: Shell, server: LiveServer, home: Path) -> None:
    before = os.umask(0)
    try:
        result = login(shell, server)
    finally:
        os.umask(before)
    assert (result.returncode, result.stdout) == (0, b"")
    assert server.root_key.encode() not in result.stderr
    assert (home / "config.ini").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o077 == 0
    assert f"server\t{server.url}" in shell.out("whoami").splitlines()
    assert json.loads(shell.out("whoami", "--json"))["is_root"] is True
    assert shell.out("logout") == ""
    status, said = shell.refused("whoami")
    assert (status, "fileferry login" in said) == (1, True)


def test_a_key_that_the_server_does_not_know_is_not_remembered(shell: Shell, server: LiveServer, home: Path) -> None:
    assert login(shell, server, key="ff_unknown").returncode == 1
    assert not home.exists()


def test_a_profile_by_name_wins_over_the_environment(shell: Shell, server: LiveServer, home: Path) -> None:
    made = json.loads(shell_with(shell, server).out("keys", "create", "reader", "--scope", "read", "--json"))
    login(shell, server)
    login(shell, server, "--profile", "reading", key=made["secret"])
    assert identity(shell)["key_id"] != made["key_id"]
    assert identity(shell, "--profile", "reading")["key_id"] == made["key_id"]
    shell.environment["FILEFERRY_PROFILE"] = "reading"
    assert identity(shell)["key_id"] == made["key_id"]
    shell.environment |= {"FILEFERRY_URL": server.url, "FILEFERRY_KEY": server.root_key}
    assert identity(shell)["key_id"] != made["key_id"]
    assert identity(shell, "--profile", "reading")["key_id"] == made["key_id"]
    status, said = shell.refused("--profile", "other", "whoami")
    assert (status, "login --profile other" in said) == (1, True)


def test_the_key_of_a_profile_goes_to_no_other_server(shell: Shell, server: LiveServer, home: Path) -> None:
    login(shell, server)
    other = server.url.replace("127.0.0.1", "localhost")
    status, said = shell.refused("whoami", "--url", other)
    assert (status, "carries no API key" in said) == (1, True)
    shell.environment["FILEFERRY_URL"] = other
    assert shell.refused("whoami")[0] == 1
    shell.environment["FILEFERRY_URL"] = server.url + "/"
    assert identity(shell)


def test_a_key_is_read_from_a_file(shell: Shell, server: LiveServer, home: Path) -> None:
    secret = shell.folder / "secret"
    secret.write_text(server.root_key + "\n")
    assert identity(shell, options=["--url", server.url, "--key", f"@{secret}"])
    shell.environment |= {"FILEFERRY_URL": server.url, "FILEFERRY_KEY_FILE": str(secret)}
    assert identity(shell)
    del shell.environment["FILEFERRY_URL"], shell.environment["FILEFERRY_KEY_FILE"]
    assert login(shell, server, "--key-file", str(secret)).returncode == 0
    assert server.root_key not in (home / "config.ini").read_text()
    assert identity(shell)
    secret.unlink()
    status, said = shell.refused("whoami")
    assert (status, str(secret) in said) == (1, True)


def test_a_configuration_that_others_can_read_is_not_used(shell: Shell, server: LiveServer, home: Path) -> None:
    login(shell, server)
    (home / "config.ini").chmod(0o640)
    status, said = shell.refused("whoami")
    assert (status, "chmod 600" in said) == (1, True)


@pytest.mark.parametrize("content", ["no section", "[default]\nkey = ff_x\n", "\0[", "[a]\n[a]\n"])
def test_a_configuration_that_cannot_be_used_is_one_line(shell: Shell, home: Path, content: str) -> None:
    home.mkdir(parents=True)
    (home / "config.ini").write_text(content)
    (home / "config.ini").chmod(0o600)
    status, said = shell.refused("whoami")
    assert (status, said.count("\n")) == (1, 1)


def shell_with(shell: Shell, server: LiveServer) -> Shell:
    return Shell(shell.folder, server.url, server.root_key)


def identity(shell: Shell, *before: str, options: list[str] | None = None) -> dict[str, str]:
    """Whose key the commands use."""
    key: dict[str, str] = json.loads(shell.out(*before, "whoami", "--json", *(options or [])))["key"]
    return key | {"key_id": key["key_id"]}
