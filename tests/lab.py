"""A JupyterLab for the tests, started by `tito lab`."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request


class Lab:
    """A JupyterLab started by `tito lab`, with Jupyter's own folders inside the test's."""

    def __init__(self, tito, folder, *arguments, **environment):
        private = {f"JUPYTER_{name}_DIR": str(folder / "jupyter" / name) for name in ("CONFIG", "DATA", "RUNTIME")}
        self.port = unused_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tito.cli", "lab", "--port", str(self.port), *arguments],
            cwd=tito.folder,
            env=tito.environment(**private, **environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        while not self.lines or not self.lines[-1].startswith("next:"):
            self.lines.append(self.process.stdout.readline())
            assert self.lines[-1], f"tito lab ended: {''.join(self.lines)}"
        self.url = next(line.split()[1] for line in self.lines if line.startswith("JupyterLab:"))
        self.token = self.url.rpartition("token=")[2]
        self.wait()

    def get(self, path, data=None, token=None):
        headers = {"Authorization": f"token {self.token if token is None else token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.geturl(), answer.read().decode()

    def json(self, path, data=None):
        return json.loads(self.get(path, data)[1])

    def wait(self):
        """Until it answers."""
        for _ in range(300):
            assert self.process.poll() is None, self.process.stdout.read()
            try:
                return self.get("/api/status")
            except OSError:
                time.sleep(0.1)
        raise AssertionError("JupyterLab does not answer")

    def settings(self, plugin):
        return self.json(f"/lab/api/settings/{plugin}")["schema"]["properties"]

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
