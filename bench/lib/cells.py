"""The cells W1 to W3 (pgbench) and B1 to B4 (bulk statements)."""
import os, re, resource, subprocess, time

from server import HERE, machine_busy

# script, logged rows per transaction
OLTP = {"w1": ("w1_insert.sql", 1), "w2": ("w2_update.sql", 1), "w3": ("w3_tpcb.sql", 4)}
# script, rows
BULK = {"b1": ("b1_insert_select.sql", 200_000), "b2": ("b2_update.sql", 200_000),
        "b3": ("b3_delete.sql", 100_000), "b4": ("b4_copy.sql", 200_000)}
TABLES = ["orders", "orders_upd", "bulk_t", "bulk_c",
          "pgbench_accounts", "pgbench_tellers", "pgbench_branches", "pgbench_history"]
DB = "bench"


def units(wanted):
    """Cells that share one database: each W cell has its own, the bulk cells follow each other in one."""
    bulk = [c for c in BULK if c in wanted]
    if "b1" not in bulk and ("b2" in bulk or "b3" in bulk):
        bulk.insert(0, "b1")            # it makes the rows of the other two
    return [[c] for c in OLTP if c in wanted] + ([bulk] if bulk else [])


class Bench:
    def __init__(self, server, args):
        self.s, self.a = server, args

    def template(self):
        """What every configuration starts from, loaded once."""
        if self.s.psql("SELECT 1 FROM pg_database WHERE datname = 'bench_template'", db="postgres"):
            return
        self.s.psql("CREATE DATABASE bench_template", db="postgres")
        subprocess.run([self.s.bin / "pgbench", "-i", "-q", "-s", str(self.a.scale), "bench_template"],
                       env=self.s.env, check=True, capture_output=True)
        self.s.psql(file=HERE / "schema.sql", db="bench_template")
        self.s.psql("VACUUM (FREEZE, ANALYZE)", db="bench_template")
        self.s.psql(f"COPY bulk_src TO '{self.s.run}/bulk.copy'", db="bench_template")

    def fresh(self, cfg, tables=TABLES):
        """A new database with the plug-in installed and enabled on these tables."""
        self.s.start(cfg.server)
        self.template()
        self.s.psql(f"DROP DATABASE IF EXISTS {DB} WITH (FORCE)", db="postgres")
        # The copy is written to WAL after this checkpoint and none follows: a page that changes later is not
        # its first change since a checkpoint, so no full-page images blur CPU and WAL.
        self.s.psql("CHECKPOINT", db="postgres")
        self.s.psql(f"CREATE DATABASE {DB} TEMPLATE bench_template STRATEGY WAL_LOG", db="postgres")
        for f in cfg.install:
            f = (cfg.path.parent / f).resolve()
            self.s.psql(file=f, stop=not cfg.errors_ok, cwd=f.parent)
        if cfg.install_sql:
            self.s.psql(cfg.install_sql)
        for t in tables:
            self.enable(cfg, t)
        if cfg.after:
            self.s.psql(cfg.after.replace("{database}", DB))
        self.s.psql("VACUUM ANALYZE")

    def enable(self, cfg, table):
        if cfg.enable and table not in cfg.skip_tables:
            self.s.psql(cfg.enable.replace("{table}", table).replace("{schema}", "public"))

    def run(self, cfg, cell):
        return self.oltp(cfg, cell) if cell in OLTP else self.bulk(cfg, cell)

    def oltp(self, cfg, cell):
        script, per_transaction = OLTP[cell]
        clients = self.a.clients
        cmd = [self.s.bin / "pgbench", "-n", "-M", self.a.protocol, "-c", str(clients),
               "-j", str(min(clients, 2)), "-T", str(self.a.secs), "-s", str(self.a.scale),
               "-f", cfg.script(cell, script), DB]
        env = dict(self.s.env, PGOPTIONS=f"-c synchronous_commit={self.a.sync}")

        def work():
            r = subprocess.run(cmd, env=env, text=True, capture_output=True)
            if r.returncode:
                raise RuntimeError(f"pgbench: {r.stderr.strip()[:400]}")
            rate = float(re.search(r"^tps = ([\d.]+)", r.stdout, re.M).group(1))
            done = int(re.search(r"actually processed: (\d+)", r.stdout).group(1))
            return done, done * per_transaction, rate
        return self.measured(cfg, work)

    def bulk(self, cfg, cell):
        script, rows = BULK[cell]

        def work():
            t = time.perf_counter()
            self.s.psql(file=cfg.script(cell, script), options=f"-c synchronous_commit={self.a.sync}",
                        var=[f"copyfile={self.s.run}/bulk.copy"])
            return rows, rows, rows / (time.perf_counter() - t)
        return self.measured(cfg, work)

    def measured(self, cfg, work):
        """work() -> (transactions or rows, changed rows, how many of the first a second).

        Server CPU is per transaction (bulk: per row); log and WAL bytes are per changed row."""
        size, rows = self.s.number(cfg.log_size), self.s.number(cfg.log_rows)
        lsn = self.s.psql("SELECT pg_current_wal_insert_lsn()")
        cpu, busy, own, clock = self.s.cpu(), machine_busy(), own_cpu(), time.perf_counter()
        done, changes, rate = work()
        clock, own, busy = time.perf_counter() - clock, own_cpu() - own, machine_busy() - busy
        cpu = self.s.cpu() - cpu
        wal = self.s.number(f"SELECT pg_current_wal_insert_lsn() - '{lsn}'::pg_lsn")
        size, rows = self.s.number(cfg.log_size) - size, self.s.number(cfg.log_rows) - rows
        result = dict(changes=changes, rate=round(rate, 2), cpu_us=round(cpu / done * 1e6, 2),
                      wal=round(wal / changes, 1), log=round(size / changes, 1), log_rows=rows,
                      others=round(max(0.0, busy - cpu - own) / clock / os.cpu_count(), 3))
        if cfg.log_rows and rows != changes:
            result["error"] = f"{changes} rows changed, but {rows} were logged"
        return result

    def checked(self, cfg):
        """What is wrong with the log, by the plug-in's own query; empty when nothing is."""
        wrong = self.s.number(cfg.check)
        return f"{wrong} rows of the log fail the plug-in's check" if wrong else ""


def own_cpu():
    """CPU seconds of this program and of the clients that it has started and that have ended."""
    return sum(sum(resource.getrusage(w)[:2]) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
