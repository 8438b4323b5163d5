"""A private PostgreSQL cluster for one run: reachable over a socket only, made anew, removed at the end."""
import fcntl, os, pwd, shutil, subprocess, sys, time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PORT = "54401"      # only names the socket
TICK = os.sysconf("SC_CLK_TCK")


def program_folder():
    """Where psql, pgbench and the server are: PG_BIN, else pg_config's answer, else Debian's newest."""
    if os.environ.get("PG_BIN"):
        return Path(os.environ["PG_BIN"])
    if shutil.which("pg_config"):
        out = subprocess.run(["pg_config", "--bindir"], text=True, capture_output=True).stdout.strip()
        if (Path(out) / "initdb").is_file():        # pg_config may belong to a client-only installation
            return Path(out)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if not found:
        sys.exit("no PostgreSQL server found: set PG_BIN to the folder that holds initdb and pgbench")
    return found[-1].parent


class Server:
    def __init__(self, name=""):
        """Servers that run at the same time need different names."""
        self.bin = program_folder()
        for p in ("initdb", "pg_ctl", "psql", "pgbench"):
            if not (self.bin / p).is_file():
                sys.exit(f"{self.bin} has no {p}: set PG_BIN to a folder with a whole PostgreSQL server")
        # The server refuses to run as root, so root lends it to another user.
        self.user = os.environ.get("BENCH_USER", "postgres") if os.getuid() == 0 else None
        self.prefix = ["runuser", "-u", self.user, "--"] if self.user else []
        try:
            self.uid = pwd.getpwnam(self.user).pw_uid if self.user else os.getuid()
        except KeyError:
            sys.exit(f"there is no system user {self.user} to run the server: set BENCH_USER")
        self.home = Path((os.environ.get("BENCH_DIR") or f"/var/tmp/audit_guard_bench_{self.uid}") + name)
        # Ours: the folder, the lock and the configuration. The server's: these two and what is in them.
        self.data, self.run = self.home / "data", self.home / "run"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        self.env.update(PGHOST=str(self.run), PGPORT=PORT, PGUSER="bench")
        self.settings = None
        self._own_home()

    def _own_home(self):
        """Makes the folder, refuses one that is somebody else's, and keeps a second run out."""
        self.home.mkdir(exist_ok=True)
        if self.home.is_symlink() or self.home.stat().st_uid != os.getuid():
            sys.exit(f"{self.home} belongs to somebody else: set BENCH_DIR")
        self.home.chmod(0o711)
        self.lock = open(self.home / "lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another benchmark runs in {self.home}: wait for it, or set BENCH_DIR")
        self.destroy()      # what a killed run may have left

    def _as_server(self, *cmd):
        # From / because the server's user may not be allowed into the caller's folder.
        r = subprocess.run([*self.prefix, *map(str, cmd)], env=self.env, cwd="/", text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode:
            raise RuntimeError(f"{Path(str(cmd[0])).name} failed: {r.stdout.strip()[-800:]}")

    def start(self, settings=()):
        """(Re)starts the server with these name=value settings on top; nothing to do when it has them."""
        if settings == self.settings:
            return
        if self.settings is None:
            for folder in (self.data, self.run):
                folder.mkdir(mode=0o700)
                os.chown(folder, self.uid, -1)
            self._as_server(self.bin / "initdb", "-N", "-D", self.data, "-U", "bench", "-A", "trust",
                            "-E", "UTF8", "--locale=C")
        else:
            self.stop()
        lines = [f"{n.strip()} = '{v.strip()}'\n" for n, v in (s.split("=", 1) for s in settings)]
        conf = self.home / "postgresql.conf"
        conf.write_text((HERE / "postgresql.conf").read_text() + "".join(lines))
        conf.chmod(0o644)
        log = self.run / "server.log"
        try:
            self._pg_ctl("start", "-l", log, "-o", f"-p {PORT} -k {self.run} -c config_file={conf}")
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{log.read_text()[-800:] if log.exists() else ''}") from None
        self.settings = settings

    def _pg_ctl(self, action, *more):
        self._as_server(self.bin / "pg_ctl", "-D", self.data, "-w", "-t", "300", action, *more)

    def stop(self):
        if self.settings is not None:
            self._pg_ctl("stop", "-m", "fast")

    def destroy(self):
        if (self.data / "postmaster.pid").exists():
            try:
                self._pg_ctl("stop", "-m", "immediate")
            except RuntimeError:
                pass        # the file of a server that has died already
        for folder in (self.data, self.run):
            shutil.rmtree(folder, ignore_errors=True)
        self.settings = None

    def psql(self, sql=None, file=None, db="bench", stop=True, options="", cwd=None, var=()):
        cmd = [self.bin / "psql", "-X", "-q", "-A", "-t", "-d", db, "-v", f"ON_ERROR_STOP={int(stop)}"]
        for v in var:
            cmd += ["-v", v]
        cmd += ["-f", str(file)] if file else ["-c", sql]
        env = dict(self.env, PGOPTIONS=f"-c client_min_messages=error {options}")
        r = subprocess.run(cmd, env=env, text=True, capture_output=True, cwd=cwd, stdin=subprocess.DEVNULL)
        if r.returncode and stop:
            raise RuntimeError(f"psql: {r.stderr.strip()[:400]}")
        return r.stdout.strip()

    def session(self, db="bench"):
        """A psql that stays connected: write statements to its stdin, read unaligned rows from stdout."""
        cmd = [self.bin / "psql", "-X", "-q", "-A", "-t", "-d", db, "-v", "ON_ERROR_STOP=1"]
        return subprocess.Popen(cmd, env=dict(self.env, PGOPTIONS="-c client_min_messages=error"), text=True,
                                bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def number(self, sql, db="bench"):
        return int(float(self.psql(sql, db=db) or 0)) if sql else 0

    def cpu(self):
        """CPU seconds used so far by the whole server: the postmaster, its children, those that ended."""
        time.sleep(0.2)                     # let the last backends end
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])

        def stat(pid):
            # utime stime cutime cstime; the program's name before them may hold blanks and brackets
            return [int(x) for x in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15]]
        while True:
            try:
                ticks = sum(stat(postmaster))
                for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
                    ticks += sum(stat(pid)[:2])
                return ticks / TICK
            except FileNotFoundError:       # a child ended in between: its time is now the postmaster's
                time.sleep(0.05)


def machine_busy():
    """CPU seconds that this machine has spent on anything (stolen time included) since it started."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICK
