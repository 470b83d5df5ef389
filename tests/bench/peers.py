# SPDX-License-Identifier: Apache-2.0
# The servers under test: NFS-Ganesha from Debian's package, unpacked and not installed, and stratad.
#
# stratad listens on loopback. NFS-Ganesha refuses to bind to loopback where there is no other address (its getaddrinfo asks for
# configured ones), so it binds to all: it must be started in a network of its own, which has only loopback (isolation.py).

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

START_SECONDS = 60
STOP_SECONDS = 30
LIBRARIES = ["usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib/ganesha"]

GANESHA_CONFIG = """
NFS_CORE_PARAM {{
  NFS_Port = {port}; Protocols = 4;
  Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false;
  Plugins_Dir = "{plugins}";
}}
NFS_KRB5 {{ Active_krb5 = false; }}
NFSv4 {{ Graceless = true; Lease_Lifetime = 60; RecoveryRoot = "{state}"; Only_Numeric_Owners = true; Minor_Versions = 1, 2; }}
EXPORT {{
  Export_Id = 1; Path = "{export}"; Pseudo = "/bench"; Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Protocols = 4;
  Transports = TCP; FSAL {{ Name = VFS; }}
}}
LOG {{ Default_Log_Level = EVENT; }}
"""


class NotRun(Exception):
    """This machine cannot run a server; the message says why."""


class Server:
    """A process that serves NFS at `address`; `pid` and `start_seconds` (from exec to serving) hold once it is started."""

    name = ""
    path = "/bench"

    def __init__(self, folder, port):
        self.folder = pathlib.Path(folder)
        self.address = f"127.0.0.1:{port}"
        self.port = port
        self.process = None
        self.start_seconds = 0.0
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "server.log"

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        began = time.monotonic()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment())
        try:
            while not self.is_serving():
                if self.process.poll() is not None or time.monotonic() - began > START_SECONDS:
                    raise RuntimeError(f"{self.name} does not serve:\n{self.last_lines()}")
                time.sleep(0.005)
        except BaseException:
            self.kill()
            raise
        self.start_seconds = time.monotonic() - began
        return self

    def stop(self):
        """SIGTERM, and SIGKILL after half a minute; returns how many seconds it took."""
        began = time.monotonic()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"bench: {self.name} did not end within {STOP_SECONDS} s of SIGTERM", flush=True)
                self.kill()
        return time.monotonic() - began

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def last_lines(self, count=8):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-count:])

    def environment(self):
        return None

    def command(self):
        raise NotImplementedError

    def is_serving(self):
        raise NotImplementedError


class Ganesha(Server):
    name = "NFS-Ganesha"

    def __init__(self, folder, port, root):
        super().__init__(folder, port)
        self.root = root
        for part in ("export", "state"):
            (self.folder / part).mkdir(exist_ok=True)
        (self.folder / "export").chmod(0o777)

    def command(self):
        program = shutil.which("ganesha.nfsd") or str(self.root / "usr/bin/ganesha.nfsd")
        plugins = next(iter(self.root.glob("usr/lib/*/ganesha")), pathlib.Path("/usr/lib/x86_64-linux-gnu/ganesha"))
        config = self.folder / "ganesha.conf"
        export = self.folder / "export"
        config.write_text(GANESHA_CONFIG.format(port=self.port, plugins=plugins, state=self.folder / "state", export=export))
        return [program, "-F", "-f", str(config), "-L", str(self.log), "-p", str(self.folder / "pid")]

    def environment(self):
        folders = [str(self.root / part) for part in LIBRARIES]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}

    def is_serving(self):
        if "NFS SERVER INITIALIZED" not in self.log.read_text(errors="replace"):
            return False
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Strata(Server):
    """`arguments`: further ones for stratad, in which {folder} stands for the server's folder."""

    name = "Strata"

    def __init__(self, folder, port, program, arguments=()):
        super().__init__(folder, port)
        self.program = program
        self.arguments = list(arguments)

    def command(self):
        further = [argument.replace("{folder}", str(self.folder)) for argument in self.arguments]
        data = str(self.folder / "data")
        return [str(self.program), "--data", data, "--share", "bench:mode=0777", "--nfs", self.address, *further]

    def is_serving(self):
        return re.search(r"^ready:", self.log.read_text(errors="replace"), re.MULTILINE) is not None


def _packages_of_ganesha():
    """nfs-ganesha-vfs and the libraries that it needs and this machine lacks."""
    plan = subprocess.run(["apt-get", "install", "-s", "--no-install-recommends", "nfs-ganesha-vfs"], capture_output=True, text=True,
                          check=False)
    if plan.returncode != 0:
        raise NotRun("apt knows no nfs-ganesha-vfs (apt-get update?)")
    names = re.findall(r"^Inst (\S+)", plan.stdout, re.MULTILINE)
    return [name for name in names if name.startswith(("lib", "nfs-ganesha"))]


def fetch_ganesha(folder):
    """The folder that holds an unpacked NFS-Ganesha; fetched into `folder` at the first time. Nothing is installed or started."""
    given = os.environ.get("STRATA_PEERS")
    if given and (pathlib.Path(given) / "usr/bin/ganesha.nfsd").exists():
        return pathlib.Path(given)
    folder = pathlib.Path(folder)
    if (folder / ".complete").exists() or shutil.which("ganesha.nfsd"):
        return folder
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    wanted = _packages_of_ganesha()
    fetched = subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", *wanted], cwd=packages, capture_output=True,
                             text=True, check=False)
    if fetched.returncode != 0:
        raise NotRun(f"NFS-Ganesha's packages could not be fetched: {fetched.stderr.strip().splitlines()[-1:]}")
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    shutil.rmtree(packages)
    (folder / ".complete").touch()
    return folder
