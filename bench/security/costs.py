"""What sessions and events cost, call by call."""
import statistics

from session import Session, middle

median = statistics.median

DEVICE = ("""'{"device_type": "desktop", "browser": "Firefox", "os": "Linux", "app_version": "1.4.2", """
          """"device_id": "d-1", "device_fingerprint": "f0e1d2c3"}'""")
PERSON = f"md5(i::text)::uuid, '10.4.0.0'::inet + i, {DEVICE}"
SOMEBODY = "email => 'user' || i || '@example.org', ip_address => '10.0.0.0'::inet + i"
EVENTS = {
    "data_export": "audit.log_security_event('data_export', 'made for the benchmark', md5(i::text)::uuid, "
                   "metadata => '{\"rows\": 17}')",
    "login_failed, each of its own account and address":
        f"audit.log_security_event('login_failed', {SOMEBODY})",
    "login_failed, all of one account and address":
        "audit.log_security_event('login_failed', email => 'hot@example.org', ip_address => '203.0.113.9')",
    "login_success of these accounts": f"audit.log_security_event('login_success', {SOMEBODY})",
    "plain shape": "plain_event('login_failed', jsonb_build_object('email', 'user' || i || '@example.org'), "
                   "'10.0.0.0'::inet + i, 'warning')",
}
# Sessions in an order that has nothing to do with where they lie.
IDS = """
    CREATE TABLE {name} AS SELECT row_number() OVER () AS i, s.*
    FROM (SELECT id, ip_address AS ip, {device} AS device FROM {source} ORDER BY random()) AS s;
    CREATE INDEX ON {name} (i);
"""


class Costs:
    def sessions(self):
        """Sessions are made, and validated without and with a write, beside the plain row and heartbeat."""
        self.fresh()
        session, found = Session(self.server), {}
        # The first call makes what the others need.
        session.ask("SELECT audit.create_user_session(gen_random_uuid(), '10.3.0.0')")
        for name, call in (("create_user_session", "audit.create_user_session"),
                           ("the same, plain shape", "plain_session")):
            found[name] = self.turns(session, f"{call}({PERSON})", loop="i IN {first}..{last}")
        session.ask(IDS.format(name="ids", device="device_fingerprint", source="audit.user_sessions"))
        session.ask(IDS.format(name="plain_ids", device="NULL::text", source="plain_sessions"))
        session.ask("VACUUM ANALYZE")
        for name, arguments in (("validate_session, no write", "id"),
                                ("the same with address and device", "id, ip, device")):
            found[name] = self.turns(session, f"audit.validate_session({arguments})")
        session.ask("SET audit_guard.session_touch_interval = 0")
        for name, call, table in (("validate_session with a touch", "audit.validate_session", "ids"),
                                  ("heartbeat, plain shape", "plain_heartbeat", "plain_ids")):
            loop = f"r IN SELECT id FROM {table} WHERE i BETWEEN {{first}} AND {{last}}"
            found[name] = self.turns(session, f"{call}(r.id)", loop=loop)
        session.close()
        print(f"\n| with {self.a.sessions:,} sessions | ms per call | CPU us per call | single turns |"
              "\n|---|---|---|---|")
        dear = {}
        for name, turns in found.items():
            ms, cpu = zip(*turns)
            dear[name] = median(cpu) / 1e3
            print(f"| {name} | {median(ms):.4f} | {median(cpu):.1f} | {middle(cpu, '{:.1f}')} |", flush=True)
        for name in ("validate_session, no write", "the same with address and device"):
            self.note("validate", dear[name], dear["heartbeat, plain shape"])

    def turns(self, session, call, loop=None):
        """All sessions in some turns: each call its own transaction, or all of a turn in one statement that
        must answer every call and write nothing. Ms and CPU us of one call, by turn."""
        turns, step = [], self.a.sessions // self.a.reps
        for first in range(1, step * self.a.reps, step):
            last = first + step - 1
            if loop:
                cpu, seconds, _ = session.timed(
                    f"DO $$ DECLARE r record; BEGIN FOR {loop.format(first=first, last=last)} LOOP "
                    f"PERFORM {call}; COMMIT; END LOOP; END $$")
            else:
                session.ask("BEGIN")
                cpu, seconds, answered = session.timed(
                    f"SELECT count({call}) FROM ids WHERE i BETWEEN {first} AND {last}")
                unwritten = session.ask("SELECT pg_current_xact_id_if_assigned() IS NULL")
                session.ask("COMMIT")
                if (answered, unwritten) != ([str(step)], ["t"]):
                    raise RuntimeError(f"{call}: {answered} of {step} answers, nothing written: {unwritten}")
            turns.append((seconds * 1e3 / step, cpu * 1e6 / step))
        return turns

    def events(self):
        """CPU of an event, 100 in a transaction and one, beside the INSERT of the plain shape."""
        self.fresh()
        session, found, step = Session(self.server), {}, self.a.events
        print("\n| event | CPU us per call, 100 a transaction | single turns | CPU us, each a transaction | "
              "single turns |\n|---|---|---|---|---|")
        for name, call in EVENTS.items():
            cells = []
            for every in (100, 1):
                turns = []
                # The first turn fills the caches. No account comes twice.
                for turn in range(self.a.reps + 1):
                    first = (turn + (every == 1) * (self.a.reps + 1)) * step + 1
                    cpu, _, _ = session.timed(
                        f"DO $$ BEGIN FOR i IN {first}..{first + step - 1} LOOP PERFORM {call}; "
                        f"IF i % {every} = 0 THEN COMMIT; END IF; END LOOP; END $$")
                    turns.append(cpu * 1e6 / step)
                cells += [median(turns[1:]), middle(turns[1:], "{:.1f}")]
            found[name] = cells[0]
            print(f"| {name} | {cells[0]:.1f} | {cells[1]} | {cells[2]:.1f} | {cells[3]} |", flush=True)
        session.close()
        self.note("event", found["data_export"], found["plain shape"])
        self.note("failure", max(cost for name, cost in found.items() if name.startswith("login_failed")),
                  found["plain shape"])
