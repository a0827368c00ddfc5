"""A SLURM cluster of two nodes on this machine's loopback, all of it in one folder: what `make test-slurm` runs on."""

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
PACKAGES = ("munge", "slurm-wlm")
NODES = ("n1", "n2")
PARTITION = "both"
MARK = "CLUSTER_PART"  # in the environment of each daemon and of what it starts: the folder, and the node
CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=30
KillWait=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=64000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=64000
PartitionName={partition} Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def program(name: str) -> str | None:
    """The path of a program, daemons included, or None."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def why_not() -> str | None:
    """Install SLURM where it is missing and can be installed; the reason why it cannot, or None."""
    if all(map(program, DAEMONS)):
        return None
    if program("apt-get") is None:
        return "SLURM is not installed, and there is no apt-get to install it with"
    as_root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    if as_root and (program("sudo") is None or subprocess.run([*as_root, "true"], capture_output=True).returncode):
        return "SLURM is not installed, and only root can install it"
    as_root += ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    for words in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run([*as_root, *words], capture_output=True, text=True)
        if done.returncode:
            return f"SLURM is not installed, and apt-get {' '.join(words)} failed: {done.stderr.strip()[-500:]}"
    return None


def wait_until(what: str, happened: Callable[[], object], seconds: float = 600) -> None:
    """Return when ``happened`` says so.

    Raises:
        TimeoutError: it does not, for ``seconds``.
    """
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s until {what}")
        time.sleep(0.3)


class Cluster:
    """The cluster in ``folder``; ``environment`` is that of its user."""

    def __init__(self, folder: Path) -> None:
        """Write the configuration; `start` starts it."""
        self.folder = folder
        for part in ("state", "bin", *NODES):
            (folder / part).mkdir()
        folder.chmod(0o755)  # munge wants its socket to be reached by everybody
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o600)
        with free_ports(1 + len(NODES)) as ports:
            values = {"host": socket.gethostname(), "user": getpass.getuser(), "partition": PARTITION}
            (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, ports=ports, **values))
        version = subprocess.run([program("slurmd"), "-V"], capture_output=True, text=True, check=True).stdout
        if int(re.search(r"\d+", version).group()) >= 23:  # older ones do without, and do not know the word
            (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        # snakemake's jobs start srun with an environment that lacks the name of a configuration outside /etc
        (folder / "bin" / "srun").write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {program("srun")} "$@"\n')
        (folder / "bin" / "srun").chmod(0o755)
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        self.environment = os.environ | {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": path, MARK: f"{folder}:user"}

    def start(self) -> None:
        """Start all daemons, and wait until both nodes take jobs."""
        paths = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        options = [f"--{option}={self.folder}/munge.{name}" for option, name in paths.items()]
        self._daemon("munged", "--foreground", *options)
        wait_until("munged answers", (self.folder / "munge.socket").exists, 60)
        self._daemon("slurmctld", "-D", "-c")
        for node in NODES:
            self.start_node(node)
        wait_until("both nodes are idle", lambda: all(self.state(node) == "idle" for node in NODES), 60)

    def _daemon(self, name: str, *options: str, part: str = "head") -> None:
        with open(self.folder / f"{name}-{part}.log", "a") as log:
            environment = self.environment | {MARK: f"{self.folder}:{part}"}
            subprocess.Popen([program(name), *options], stdout=log, stderr=log, env=environment, start_new_session=True)

    def start_node(self, node: str) -> None:
        """Start the daemon of ``node``; `state` says when it takes jobs."""
        self._daemon("slurmd", "-D", "-N", node, part=node)

    def state(self, node: str) -> str:
        """What SLURM says of ``node``: idle, allocated, down ..., with a star where it does not answer."""
        return self.ask("sinfo", "--noheader", "--nodes", node, "--format", "%T")

    def ask(self, *command: str) -> str:
        """What one of SLURM's commands prints; nothing where it fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    def kill_node(self, node: str) -> None:
        """End all that runs on ``node`` at once: its daemon, and its jobs with all their processes."""
        for pid in self._processes(f"{MARK}={self.folder}:{node}", f"SLURMD_NODENAME={node}"):
            end(pid, signal.SIGKILL)

    def logs(self) -> str:
        """The last lines of each daemon's log."""
        paths = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{path.name}:\n{path.read_text()[-600:]}" for path in paths)

    def stop(self) -> None:
        """End every process that the cluster, or its user, has started."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._processes():
                end(pid, kind)
            time.sleep(1)

    def _processes(self, *marks: str) -> list[int]:
        """Processes that belong to this cluster and, where given, have one of the ``marks`` in their environment."""
        out = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                entries = path.read_bytes().decode(errors="replace").split("\0")
            except OSError:  # it has ended, or is another user's
                continue
            of_cluster = any(entry.startswith(f"{MARK}={self.folder}:") for entry in entries)
            if of_cluster and (not marks or set(marks) & set(entries)):
                out.append(int(path.parent.name))
        return out


def end(pid: int, kind: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, kind)


@contextmanager
def free_ports(number: int) -> Iterator[list[int]]:
    """Ports that nobody listens on, taken until the end of the block."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        yield [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
