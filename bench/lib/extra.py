"""The cells mem (memory of a mass update) and history (one record's life among many rows)."""
import random, re, shutil, statistics as st, time
from pathlib import Path


HISTORY_CHANGES = 10        # log rows per record: one insert, the rest updates
COLD_SESSIONS, WARM_CALLS = 15, 5


def room(server, rows):
    """Refuses to fill the disk: table, log and WAL take up to 2.5 kB per row."""
    free = shutil.disk_usage(server.home).free
    if free < rows * 2500:
        raise RuntimeError(f"{rows:,} rows need about {rows * 2500 / 1e9:.0f} GB in {server.home}, "
                           f"{free / 1e9:.0f} GB are free: fewer rows (--mem-rows, --history-rows), "
                           "or BENCH_DIR on another disk")


def anonymous_memory(pid):
    """Private memory of a process in bytes, without shared buffers."""
    m = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(m.group(1)) * 1024


def peak_growth(server, sql):
    """Runs one statement in a new session; how far its backend's private memory grew at most, in bytes."""
    with server.session() as p:
        def ask(q):
            p.stdin.write(q + ";\n")
            return p.stdout.readline().strip()
        pid = int(ask("SELECT pg_backend_pid()"))
        before = peak = anonymous_memory(pid)
        p.stdin.write(sql + ";\nSELECT 'done';\n")
        p.stdin.close()
        # Sampled, since the kernel keeps no high-water mark of this part. The queue of row triggers is full
        # when the statement ends and lives until its last trigger has run, so the peak lasts.
        while p.poll() is None:
            try:
                peak = max(peak, anonymous_memory(pid))
            except (FileNotFoundError, AttributeError):     # the backend has ended, or is just ending
                break
            time.sleep(0.02)
        out, err = p.stdout.read(), p.stderr.read()
    if "done" not in out:
        raise RuntimeError(f"psql: {err.strip()[:400]}")
    return peak - before


def empty_trigger(server, table):
    """Gives the table a row trigger that does nothing, compiled if there is one; says which."""
    if server.psql("SELECT 1 FROM pg_available_extensions WHERE name = 'lo'"):
        # lo_manage(column) of the contrib module lo returns at once when the column is not in the SET list.
        server.psql("CREATE EXTENSION IF NOT EXISTS lo")
        function, what = "lo_manage('id')", "C (lo_manage on a column that is not updated)"
    else:
        server.psql("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        function, what = "nothing()", "plpgsql (RETURN NULL; this server has no contrib module lo)"
    server.psql(f"CREATE TRIGGER nothing AFTER UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}; "
                f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER nothing")
    return what


def mem(bench, cfg):
    """Memory of one UPDATE of many rows on a tracked table, above the same with an empty trigger, in MB."""
    s, n = bench.s, bench.a.mem_rows
    room(s, n)
    bench.fresh(cfg, tables=[])
    for t in ("mem_empty", "mem_tracked"):
        s.psql(f"CREATE TABLE {t} (id int PRIMARY KEY, v int NOT NULL); "
               f"INSERT INTO {t} SELECT i, 0 FROM generate_series(1, {n}) i")
    what = empty_trigger(s, "mem_empty")
    bench.enable(cfg, "mem_tracked")
    empty = peak_growth(s, "UPDATE mem_empty SET v = v + 1")
    s.psql("DROP TABLE mem_empty; CHECKPOINT")      # room on the disk for what the next statement writes
    rows = s.number(cfg.log_rows)
    full = peak_growth(s, "UPDATE mem_tracked SET v = v + 1")
    rows = s.number(cfg.log_rows) - rows
    row = dict(cell="mem", changes=n, log_rows=rows, value=round((full - empty) / 2**20, 2),
               note=f"UPDATE of {n:,} rows: {full / 2**20:.1f} MB tracked, {empty / 2**20:.1f} MB with an "
                    f"empty trigger in {what}")
    if rows != n:
        row["error"] = f"{n} rows changed, but {rows} were logged"
    return [row]


def history(bench, cfg):
    """Milliseconds to read one record's history from a log of many rows, as a client sees them."""
    s = bench.s
    room(s, bench.a.history_rows)
    records = max(1, bench.a.history_rows // HISTORY_CHANGES)
    bench.fresh(cfg, tables=[])
    s.psql("CREATE TABLE hist (id bigint PRIMARY KEY, status text, n int, updated_at timestamptz)")
    bench.enable(cfg, "hist")
    rows = s.number(cfg.log_rows)
    s.psql(f"INSERT INTO hist SELECT i, 'new', 0, now() FROM generate_series(1, {records}) i")
    for _ in range(HISTORY_CHANGES - 1):
        s.psql("UPDATE hist SET n = n + 1, status = 'round ' || n, updated_at = now()")
    rows = s.number(cfg.log_rows) - rows
    error = "" if rows == records * HISTORY_CHANGES else \
        f"{records * HISTORY_CHANGES} rows changed, but {rows} were logged"
    result = []
    for cell, before in (("history_unanalysed", ""), ("history", "ANALYZE")):
        if before:
            s.psql(before)
        cold, warm, wrong = timings(s, cfg.history, records)
        note = f"one of {records:,} records, {rows:,} log rows" + ("" if before else ", no statistics yet")
        for suffix, value in (("cold", cold), ("warm", warm)):
            result.append(dict(cell=f"{cell}_{suffix}", changes=rows, log_rows=rows, value=round(value, 3),
                               note=note, error=error or wrong))
    return result


def timings(server, query, records):
    """Medians of the first call of new sessions and of their further calls, each for another record."""
    cold, warm, wrong = [], [], ""
    for _ in range(COLD_SESSIONS):
        keys = [random.randint(1, records) for _ in range(1 + WARM_CALLS)]
        calls = [query.replace("{table}", "hist").replace("{key}", str(k)) + ";" for k in keys]
        script = "\\timing on\n" + "\n".join(calls) + "\n"
        with server.session() as p:
            out, err = p.communicate(script)
        times = [float(t) for t in re.findall(r"^Time: ([\d.]+) ms", out, re.M)]
        # Every other line is a row of the answer: a fast wrong answer must not count.
        answers = sum(1 for line in out.splitlines() if line and not line.startswith("Time: "))
        if len(times) != len(calls):
            raise RuntimeError(f"psql: {err.strip()[:400]}")
        if answers != len(calls) * HISTORY_CHANGES:
            wrong = f"{answers} rows for {len(calls)} records of {HISTORY_CHANGES} changes each"
        cold.append(times[0])
        warm += times[1:]
    return st.median(cold), st.median(warm), wrong


EXTRA = {"mem": mem, "history": history}
# what a plug-in must say to be measured in the cell
NEEDS = {"mem": "enable", "history": "history"}
