"""Parallel guesses: how many are admitted, beside a crash, and from the many addresses of one network."""
import os, signal

from wire import connect, volley

# Each run has an account, or an address, of its own.
CASES = {
    "one account, 200 addresses": (5, "'one{run}@example.org', '10.1.0.0'::inet + {n}"),
    "one address, 200 accounts": (10, "'n{n}r{run}@example.org', '10.2.0.0'::inet + {run}"),
}
CRASHED = "'crash{run}@example.org', '10.3.0.0'::inet + {n}"
BEGIN = "SELECT attempt_id FROM audit.begin_login_attempt({}) WHERE NOT blocked"


class Races:
    def parallel(self):
        """200 guesses at once on one account, or from one address: how many are admitted."""
        self.fresh()
        wires = connect(self.server, 200)
        print("\n| 200 guesses at once | runs | admitted, least to most | runs with exactly the limit |"
              "\n|---|---|---|---|")
        for name, (limit, who) in CASES.items():
            for shape, guess, runs in (("", self.guess, self.a.races),
                                       (", plain shape", self.guess_plainly, min(10, self.a.races))):
                admitted = [guess(wires, who, run) for run in range(runs)]
                right = sum(one == limit for one in admitted)
                print(f"| {name}, limit {limit}{shape} | {runs} | {min(admitted)} to {max(admitted)} | "
                      f"{right} |", flush=True)
                if not shape:
                    self.note("races", right / runs, 0.0)
        for wire in wires:
            wire.close()

    def guess(self, wires, who, run):
        """Reserves, finishes what was admitted as failed, and some try once more; how many were admitted."""
        def begin(n):
            return BEGIN.format(who.format(run=run, n=n))
        attempts = [(wires[n], rows[0][0]) for n, rows in volley(wires, begin) if rows]
        for wire, attempt in attempts:
            wire.send(f"SELECT audit.finish_login_attempt('{attempt}', false)")
        for wire, attempt in attempts:
            if wire.answer() != [["t"]]:
                raise RuntimeError("an attempt that was admitted could not be finished")
        return len(attempts) + sum(bool(rows) for _, rows in volley(wires[:20], begin))

    def guess_plainly(self, wires, who, run):
        """Checks, and inserts the failure of each that the check let through."""
        def check(n):
            return f"SELECT plain_check({who.format(run=run, n=n)})"
        admitted = [n for n, rows in volley(wires, check) if rows == [["f"]]]
        for n in admitted:
            email, address = who.format(run=run, n=n).split(", ", 1)
            wires[n].send("SELECT plain_event('login_failed', "
                          f"jsonb_build_object('email', {email}), {address}, 'warning')")
        for n in admitted:
            wires[n].answer()
        return len(admitted)

    def crash(self):
        """The same attack; one backend is killed hard in the middle, and the server has to recover."""
        self.fresh()
        told, counted, halfway = [], [], 0
        for run in range(self.a.crashes):
            wires, after = connect(self.server, 200), run % 6

            def begin(n):
                if n == 199 and after == 0:
                    os.kill(wires[0].pid, signal.SIGKILL)
                return BEGIN.format(CRASHED.format(run=run, n=n))
            seen = 0
            for _, rows in volley(wires, begin):
                seen += bool(rows)
                if rows and seen == after:
                    os.kill(wires[199].pid, signal.SIGKILL)
            for wire in wires:
                # Nothing more is asked: this is the end of the connection.
                wire.answer()
                wire.close()
            halfway += 0 < seen < 5
            after, wires = None, connect(self.server, 200)
            seen += sum(bool(rows) for _, rows in volley(wires, begin))
            for wire in wires:
                wire.close()
            told.append(seen)
            counted.append(self.server.number("SELECT account_failures FROM audit.check_login("
                                              f"{CRASHED.format(run=run, n=0)})"))
        right = sum(seen <= count == 5 for seen, count in zip(told, counted))
        print(f"\n200 guesses at once, a backend killed with SIGKILL meanwhile, 200 again after the "
              f"recovery, limit 5, {len(told)} runs: {min(told)} to {max(told)} were told that they are "
              f"admitted, {min(counted)} to {max(counted)} are counted, in {right} runs exactly 5; in "
              f"{halfway} the crash came between the first and the fifth answer.", flush=True)
        self.note("crash", right / len(told))

    def ipv6(self):
        """Guesses from many addresses of one /64, each on another account."""
        self.fresh()
        wires, admitted = connect(self.server, 1), 0
        who = "'v{run}@example.org', '2001:db8:7:7::'::inet + {run} * 184467440737"
        for run in range(self.a.addresses):
            admitted += any(rows for _, rows in volley(wires, lambda _: BEGIN.format(who.format(run=run))))
        few = min(1_000, self.a.addresses)
        plain = sum(self.guess_plainly(wires, who, run) for run in range(few))
        keys = self.server.number("SELECT count(*) FROM audit.login_networks")
        print(f"\n{self.a.addresses:,} addresses of one /64, each on another account: {admitted} guesses "
              f"admitted (limit 10), keys of a network: {keys}; the plain shape admits {plain:,} of the "
              f"first {few:,}.", flush=True)
        self.note("ipv6", admitted, plain)
        wires[0].close()
