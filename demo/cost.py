"""What recording costs: pgbench's TPC-B with and without it, in turns, on the same server."""
import os, re, time
from pathlib import Path
from statistics import median
from psql import fail, pgbench, psql, read

ROUNDS, SECONDS, CLIENTS, SCALE = 5, 2, 4, 5
TABLES = ("pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history")
# The gateway's role with a person's claims, as in the app, so that these columns are filled and paid for.
# No waiting for the disk: beside that waiting the same work would look cheaper.
SESSION = ("-c search_path={schema} -c role=authenticated -c synchronous_commit=off"
           ' -c request.jwt.claims={{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated",'
           '"session_id":"5e551000-0000-4000-8000-000000000001","app_metadata":{{"tenant_id":"lindenhof"}}}}')

LOG_BYTES = """SELECT sum(pg_total_relation_size(inhrelid))
FROM pg_inherits WHERE inhparent = 'audit.audit_log'::regclass;"""
LOG_ROWS = "SELECT count(*) FROM audit.audit_log WHERE table_schema = 'bank_recorded';"
# Each transaction inserts one row into history and changes three others, unless it happens to add 0 to them.
CHANGES = """SELECT count(*) + 3 * count(*) FILTER (WHERE delta <> 0)
FROM bank_recorded.pgbench_history;"""

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def process(pid):
    """Parent, and CPU ticks: user, system, and both of the children that ended."""
    # The program's name stands in brackets before them and may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[1]), [int(ticks) for ticks in fields[11:15]]


def server_cpu(postmaster):
    """CPU seconds used so far by the whole server: its processes, and those that ended."""
    time.sleep(0.3)                     # let the last sessions end
    while True:
        ticks = sum(process(postmaster)[1])
        try:
            for pid in (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()):
                parent, used = process(pid)
                if parent == postmaster:
                    ticks += sum(used[:2])
            return ticks / TICKS_PER_SECOND
        except OSError:                 # a process ended meanwhile, and may be counted twice
            time.sleep(0.05)


def machine_busy():
    """CPU seconds that anything on this machine has used since it started."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def ours(postmaster):
    """CPU seconds of the server, of this program and of the pgbench and psql it has run."""
    return server_cpu(postmaster) + sum(os.times()[:4])


def prepare(schema, recorded):
    psql(f"CREATE SCHEMA {schema}")
    pgbench("-i", "-q", "-s", SCALE, options=f"-c search_path={schema}")
    psql(f"GRANT USAGE ON SCHEMA {schema} TO authenticated;"
         f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO authenticated")
    if recorded:
        for table in TABLES:
            psql(f"SELECT audit.enable_tracking('{schema}.{table}')")
    psql(f"VACUUM ANALYZE {', '.join(f'{schema}.{table}' for table in TABLES)}")


class Side:
    """One of the two that are compared: transactions per second and server CPU of its rounds."""

    def __init__(self, schema):
        self.schema = schema
        self.tps, self.microseconds = [], []

    def run(self, seconds):
        return pgbench("-c", CLIENTS, "-j", 2, "-T", seconds, "-M", "prepared", user="authenticator",
                       options=SESSION.format(schema=self.schema))

    def round(self, postmaster):
        before = server_cpu(postmaster)
        out = self.run(SECONDS)
        used = server_cpu(postmaster) - before
        done = re.search(r"actually processed: (\d+)", out)
        tps = re.search(r"tps = ([\d.]+)", out)
        if not done or not tps:
            fail(f"pgbench says something else than expected: {out}")
        self.tps.append(float(tps[1]))
        self.microseconds.append(used / int(done[1]) * 1e6)


def show_cost():
    prepare("bank_plain", recorded=False)
    prepare("bank_recorded", recorded=True)
    postmaster = int(read("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"))
    print(f"pgbench's TPC-B: each transaction updates three rows and inserts one. {CLIENTS} clients, scale "
          f"{SCALE}, prepared\nstatements, synchronous_commit and autovacuum off; {ROUNDS} rounds of "
          f"{SECONDS} seconds each, in turns with nothing\nrecorded, and with all four tables recorded in "
          "full, with a person's claims.\n", flush=True)
    # Cleaning up would fall into the one or the other round by chance. The cluster is our own.
    psql("ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf(); CHECKPOINT")
    log_bytes = int(read(LOG_BYTES))
    plain, recorded = Side("bank_plain"), Side("bank_recorded")
    for side in (plain, recorded):
        side.run(1)                     # until caches are warm
    clock, busy, own = time.monotonic(), machine_busy(), ours(postmaster)
    for turn in range(ROUNDS):
        for side in ((plain, recorded), (recorded, plain))[turn % 2]:
            side.round(postmaster)
    others = machine_busy() - busy - (ours(postmaster) - own)
    others /= (time.monotonic() - clock) * os.cpu_count()
    psql("ALTER SYSTEM RESET autovacuum; SELECT pg_reload_conf()")
    log_bytes = int(read(LOG_BYTES)) - log_bytes
    rows, changes = int(read(LOG_ROWS)), int(read(CHANGES))
    if rows != changes or rows == 0:
        fail(f"the log has {rows} entries for {changes} changes")

    per_transaction = rows / int(read("SELECT count(*) FROM bank_recorded.pgbench_history"))
    share = median(r / p for p, r in zip(plain.tps, recorded.tps))
    added = median(r - p for p, r in zip(plain.microseconds, recorded.microseconds))
    print(f"{'':10}{'transactions per second':>34}{'server CPU per transaction, us':>40}")
    print(f"{'':10}" + f"{'not recorded':>17}{'recorded':>17}{'not recorded':>20}{'recorded':>20}")
    for n, (p, r, p_us, r_us) in enumerate(
            zip(plain.tps, recorded.tps, plain.microseconds, recorded.microseconds), 1):
        print(f"round {n:<4}{p:17,.0f}{r:17,.0f}{p_us:20.1f}{r_us:20.1f}")
    print(f"\nRecording leaves {share:.2f} of the transactions per second (on {os.cpu_count()} cores, which "
          f"pgbench itself needs too) and adds\n{added:.1f} us of server CPU to a transaction, "
          f"{added / per_transaction:.1f} us per recorded change (medians of the rounds; "
          "CPU from /proc,\nall processes of the server). Meanwhile other programs used "
          f"{max(others, 0):.0%} of the machine{': take these as rough' if others > 0.1 else ''}.")
    print(f"\nNothing was missed, and one entry takes {log_bytes / rows:,.0f} bytes of disk, "
          "indexes included:\n")
    for sql, value in ((CHANGES, changes), (LOG_ROWS, rows)):
        print(f"{sql}\n  {value:,}")
    print(f"-- before and after, the difference by the number of entries:\n{LOG_BYTES}\n  {log_bytes:,} more")
    print("\nA few seconds on a machine in use: `make bench` measures properly.")
