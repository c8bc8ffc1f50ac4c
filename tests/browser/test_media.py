"""Audio and video play where somebody opens their public URL in a browser, and nothing else is let in by that."""

from __future__ import annotations

import struct
from pathlib import Path

import httpx
import pytest

from browser.chromium import outcome_in_chromium
from browser.devtools import visitor
from wire.asking import open_ticket

_SAMPLES = bytes([128]) * 4000
WAV = (
    b"RIFF"
    + struct.pack("<I", 36 + len(_SAMPLES))
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    + b"data"
    + struct.pack("<I", len(_SAMPLES))
    + _SAMPLES
)


@pytest.mark.service("chromium")
def test_audio_and_video_play_at_their_public_urls(http: httpx.Client, tmp_path: Path) -> None:
    sound = http.post("/api/upload/a.wav", content=WAV).json()
    ticket = open_ticket(http, name="a.webm", content_type="video/webm", auto_complete=True)
    page = {"/": ("text/html", Path(__file__).with_name("recorded.html"))}
    assert outcome_in_chromium(page, {"url": ticket["url"]}, tmp_path) == {"status": 200}
    film = http.get(f"/api/files/{ticket['file_id']}").json()
    assert (film["content_type"], film["status"]) == ("video/webm", "ready")
    with visitor(tmp_path) as tab:
        tab.plays(sound["url"], "kAudioTracks")
        tab.plays(film["url"], "kVideoTracks")
