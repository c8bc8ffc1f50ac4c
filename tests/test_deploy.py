"""The files of deploy: the unit is judged by systemd, and what the others name is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fileferry import telemetry
from fileferry.engine.access import counters
from fileferry.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


@pytest.mark.service("systemd")
def test_systemd_takes_every_line_of_the_unit(tmp_path: Path) -> None:
    program = shutil.which("fileferry") or str(Path(sys.executable).with_name("fileferry"))
    unit = (DEPLOY / "fileferry.service").read_text()
    assert "/opt/fileferry/bin/fileferry" in unit
    # The account and the program are those of a machine that it is installed on.
    text = unit.replace("/opt/fileferry/bin/fileferry", program)
    text = text.replace("User=fileferry", "User=root").replace("Group=fileferry", "Group=root")
    (tmp_path / "fileferry.service").write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "fileferry.service")]
    judged = subprocess.run(command, capture_output=True, text=True, timeout=120)
    complaints = [line for line in judged.stderr.splitlines() if "fileferry.service" in line]
    assert (judged.returncode, complaints) == (0, []), judged.stderr


@pytest.mark.parametrize("name", ["fileferry.service", "Dockerfile", "compose.yml"])
def test_every_variable_is_a_setting(name: str) -> None:
    named = set(re.findall(rf"{PREFIX}([A-Z_]+)", (DEPLOY / name).read_text()))
    assert named
    assert named <= {field.upper() for field in Settings.__struct_fields__}


def test_what_the_container_file_copies_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert copied
    assert not [name for line in copied for name in line.split() if not (ROOT / name).exists()]
    services = yaml.safe_load((DEPLOY / "compose.yml").read_text())["services"]
    assert (DEPLOY / services["fileferry"]["build"]["context"] / services["fileferry"]["build"]["dockerfile"]).exists()
    mounted = [volume.partition(":")[0] for service in services.values() for volume in service["volumes"]]
    assert not [name for name in mounted if name.startswith(".") and not (DEPLOY / name).exists()]


def test_alerts_and_dashboard_name_only_metrics_that_there_are() -> None:
    rules = yaml.safe_load((DEPLOY / "monitoring" / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((DEPLOY / "monitoring" / "grafana.json").read_text())["panels"]
    asked = [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]
    named = {name.removesuffix("_bucket") for text in asked for name in re.findall(r"fileferry_[a-z_]+", text)}
    known = set(re.findall(r"^# TYPE (fileferry_[a-z_]+)", telemetry.metrics_page().decode(), re.MULTILINE))
    assert counters.__name__, "it has a metric of its own"
    assert len(named) > 10
    assert named <= known
