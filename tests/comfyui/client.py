"""Talks to a running ComfyUI as its frontend does: HTTP for requests, a websocket for what happens meanwhile."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from comfyui import Server

PREVIEW, TEXT = 1, 3  # the first four bytes of a binary message


class Rejected(Exception):
    """The server did not queue the prompt; this is all it said."""


@dataclass
class Run:
    """What happened to one prompt. Times are in seconds since it was posted; nodes are ids in the prompt."""

    id: str = ""
    end: str = ""  # "execution_success", "execution_error" or "execution_interrupted"
    seconds: float = 0.0
    error: str = ""
    failed_node: str = ""
    cached: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    outputs: dict[str, dict] = field(default_factory=dict)  # of output nodes, as /history has them
    progress: list[tuple[float, str, int, int]] = field(default_factory=list)  # time, node, value, of
    previews: list[tuple[float, bytes]] = field(default_factory=list)  # time, JPEG or PNG
    texts: list[tuple[str, str]] = field(default_factory=list)  # node, what it shows

    @property
    def ok(self) -> bool:
        return self.end == "execution_success"

    def files(self, ending: str = "") -> list[dict]:
        """Files that output nodes made and whose name ends so."""
        found = [file for output in self.outputs.values() for value in output.values() for file in value]
        return [file for file in found if isinstance(file, dict) and file.get("filename", "").endswith(ending)]

    def hear(self, message: bytes | dict) -> None:
        """Takes in one message of the websocket."""
        if isinstance(message, bytes):
            kind, body = int.from_bytes(message[:4], "big"), message[4:]
            if kind == PREVIEW:
                self.previews.append((self.seconds, body[4:]))
            elif kind == TEXT:
                length = 4 + int.from_bytes(body[:4], "big")
                self.texts.append((body[4:length].decode(), body[length:].decode()))
            return
        kind, data = message["type"], message.get("data") or {}
        if data.get("prompt_id") != self.id:
            return
        if kind == "execution_cached":
            self.cached += data["nodes"]
        elif kind == "executing" and data["node"]:
            self.ran.append(data["node"])
        elif kind == "executed":
            self.outputs[data["node"]] = data["output"] or {}
        elif kind == "progress":
            self.progress.append((self.seconds, data["node"], data["value"], data["max"]))
        elif kind in ("execution_success", "execution_error", "execution_interrupted"):
            self.end, self.failed_node = kind, str(data.get("node_id", ""))
            self.error = data.get("exception_message", "")


class Client:
    def __init__(self, server: Server):
        self.server = server

    def fetch(self, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, bytes]:
        """Status and body of the reply; a POST where there is a `body`."""
        request = urllib.request.Request(self.server.url + path, body, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as err:
            return err.code, err.read()

    def get(self, path: str) -> bytes:
        status, reply = self.fetch(path)
        assert status == 200, f"{path} answers {status}"
        return reply

    def json(self, path: str):
        return json.loads(self.get(path))

    def post(self, path: str, body: object = None) -> None:
        status, reply = self.fetch(path, json.dumps(body).encode())
        assert status == 200, f"{path} answers {status}: {reply[:500]!r}"

    def object_info(self) -> dict:
        return self.json("/object_info")

    def interrupt(self) -> None:
        self.post("/interrupt", {})

    def free(self, models: bool = True, cache: bool = True) -> None:
        """Unloads the models and forgets what nodes gave out, and waits for it."""
        for _ in range(2):  # a server that is just tidying up after a run misses the first for ten seconds
            self.post("/free", {"unload_models": models, "free_memory": cache})
            time.sleep(1.2)

    def view(self, file: dict) -> bytes:
        query = urllib.parse.urlencode({key: file[key] for key in ("filename", "subfolder", "type")})
        return self.get(f"/view?{query}")

    def upload(self, picture: Path) -> str:
        """Puts a picture into the input folder; its name there."""
        edge = uuid.uuid4().hex
        head = f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="{picture.name}"\r\n\r\n'
        body = head.encode() + picture.read_bytes() + f"\r\n--{edge}--\r\n".encode()
        status, reply = self.fetch("/upload/image", body, f"multipart/form-data; boundary={edge}")
        assert status == 200, f"/upload/image answers {status}: {reply[:500]!r}"
        return json.loads(reply)["name"]

    def run(self, prompt: dict, each: Callable[[Run], None] = lambda run: None, timeout: float = 600) -> Run:
        """Posts an API-format prompt and follows it to its end; `each` is called after every message.

        Raises Rejected where the server does not take the prompt.
        """
        from websocket import create_connection

        name, start = uuid.uuid4().hex, time.monotonic()
        run = Run()
        # Without suppress_origin the server takes this for a page of another site.
        channel = create_connection(
            f"{self.server.url.replace('http', 'ws')}/ws?clientId={name}", timeout=timeout, suppress_origin=True
        )
        try:
            status, reply = self.fetch("/prompt", json.dumps({"prompt": prompt, "client_id": name}).encode())
            if status != 200:
                raise Rejected(json.dumps(json.loads(reply), indent=1, ensure_ascii=False))
            run.id = json.loads(reply)["prompt_id"]
            while not run.end:
                message = channel.recv()
                run.seconds = time.monotonic() - start
                run.hear(message if isinstance(message, bytes) else json.loads(message))
                each(run)
        finally:
            channel.close()
        return run
