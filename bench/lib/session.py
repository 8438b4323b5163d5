"""A session that stays connected, the CPU time of its backend, and what several measurements come to."""
import re, statistics, subprocess, time
from pathlib import Path

from server import TICK


def process_cpu(pid):
    """CPU seconds of a process, from the kernel's scheduler where it keeps count in nanoseconds."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:
        ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return sum(map(int, ticks)) / TICK


class Session:
    """A psql that stays connected."""

    def __init__(self, server, db="bench"):
        self.psql = server.session(db)
        self.pid = int(self.ask("SELECT pg_backend_pid()")[0])
        self.ask("SET synchronous_commit = off")

    def ask(self, sql):
        """The answer of one or more statements."""
        self.psql.stdin.write(f"{sql.rstrip().rstrip(';')};\n\\echo == done\n")
        self.psql.stdin.flush()
        lines = []
        for line in self.psql.stdout:
            if line == "== done\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise RuntimeError(f"psql: {self.psql.stderr.read().strip()[:400]}")

    def timed(self, sql):
        """CPU seconds, seconds and answer of one statement."""
        used, began = process_cpu(self.pid), time.monotonic()
        answer = self.ask(sql)
        return process_cpu(self.pid) - used, time.monotonic() - began, answer

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()


def pgbench(server, db, *options, script, sync="off"):
    """How many transactions a pgbench of prepared statements made, and how many a second."""
    command = [server.bin / "pgbench", "-n", "-M", "prepared", *options, "-f", script, db]
    env = dict(server.env, PGOPTIONS=f"-c synchronous_commit={sync}")
    r = subprocess.run(command, env=env, text=True, capture_output=True)
    if r.returncode:
        raise RuntimeError(f"pgbench: {r.stderr.strip()[:400]}")
    done = int(re.search(r"actually processed: (\d+)", r.stdout).group(1))
    return done, float(re.search(r"^tps = ([\d.]+)", r.stdout, re.M).group(1))


def quiet(values):
    """What a quarter of the measurements stayed below."""
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]


def middle(values, form):
    """Between which values half of them lie."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return f"{form.format(low)} to {form.format(high)}"
