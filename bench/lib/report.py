#!/usr/bin/env -S python3 -B
"""Markdown tables from the CSV of one or more runs: medians of differences taken inside each repetition."""
import csv, statistics as st, sys
from collections import defaultdict

from targets import BYTES, CPU, LIMIT_DOUBLE, SHARE, TEXT, VALUES

W, B, BASE = ["w1", "w2", "w3"], ["b1", "b2", "b3", "b4"], "none"
CLAIMS = {"audit_guard_claims": ", request claims filled", "audit_guard_delta": ", detail delta",
          "audit_guard_changed": ", detail changed", "audit_guard": ""}


class Results:
    def __init__(self, rows):
        self.val, self.names, self.errors = defaultdict(dict), [], []
        for r in rows:
            if r["config"] not in self.names:
                self.names.append(r["config"])
            if r["error"]:
                self.errors.append(f"{r['config']}, {r['cell']}, repetition {r['rep']}: {r['error']}")
            else:
                self.val[r["cell"], r["config"]][r["run"], r["rep"]] = r
        # The order of the configurations turns from repetition to repetition; the baseline goes first.
        self.names.sort(key=lambda n: n != BASE)

    def cells(self, among):
        return [c for c in among if any((c, n) in self.val for n in self.names)]

    def numbers(self, cell, config, field):
        return [float(r[field]) for r in self.val.get((cell, config), {}).values() if r[field] != ""]

    def paired(self, cell, config, field, how):
        """how(value, value of the baseline), one per repetition that has both."""
        a, b = self.val.get((cell, config), {}), self.val.get((cell, BASE), {})
        return [how(float(r[field]), float(b[k][field])) for k, r in a.items() if k in b]

    def added(self, cell, config):
        return self.paired(cell, config, "cpu_us", lambda x, y: x - y)


def median(xs):
    return st.median(xs) if xs else None


def digits(cell):
    return 1 if cell[0] == "w" else 2


def show(x, form="{:.0f}"):
    return "–" if x is None else form.format(x)


def table(title, heads, rows, left=1):
    out = [f"### {title}", "", "| " + " | ".join(heads) + " |",
           "|" + "---|" * left + "---:|" * (len(heads) - left)]
    return "\n".join(out + ["| " + " | ".join(r) + " |" for r in rows]) + "\n"


def compare(title, res, cells, text):
    rows = [[n] + [text(c, n) for c in cells] for n in res.names
            if any((c, n) in res.val for c in cells)]
    return table(title, ["configuration"] + [c.upper() for c in cells], rows) if cells else ""


def verdict(value, most, ambition=None, smaller=True):
    """'met' or how far off; values count as they are printed, so that the table proves its own verdict."""
    if value is None:
        return "not measured"
    if (value <= most) != smaller and value != most:
        return f"**missed** by {abs(value - most) / most:.0%}"
    return "met, ambition too" if ambition is not None and value <= ambition else "met"


def figures(res):
    """The one table that says whether what is promised holds."""
    rows = []
    for (cell, config), (most, ambition) in CPU.items():
        own = res.added(cell, config)
        if not own:
            continue
        f = f"{{:+.{digits(cell)}f}}"
        value = round(st.median(own), digits(cell))
        says = verdict(value, most, ambition)
        # The yardstick records no context, so it is compared without claims only.
        double = median(res.added(cell, "limit_double")) if config == "audit_guard" else None
        if double is not None and cell in LIMIT_DOUBLE:
            share = value / double
            says += f"; {share:.2f} of limit_double" + ("" if share <= LIMIT_DOUBLE[cell] else " (**over**)")
        spread = f" ({f.format(min(own))} … {f.format(max(own))})" if len(own) > 1 else ""
        unit = "transaction" if cell in W else "row"
        rows.append([TEXT[cell] + CLAIMS[config], f.format(value) + f" µs per {unit}" + spread,
                     f"{most} µs", show(double, f), says])
    for (cell, config), (most, ambition) in BYTES.items():
        value = median(res.numbers(cell, config, "log"))
        if value is not None:
            double = median(res.numbers(cell, "limit_double", "log"))
            rows.append([f"log bytes per change, {cell.upper()}{CLAIMS[config]}", show(value), str(most),
                         show(double), verdict(round(value), most, ambition)])
    for (cell, config), (most, unit) in VALUES.items():
        value = median(res.numbers(cell, config, "value"))
        if value is not None:
            size = " and ".join(sorted({f"{int(n):,}" for n in res.numbers(cell, config, "changes")}))
            rows.append([f"{TEXT[cell]} ({size} rows)", f"{value:.2f} {unit}", f"{most} {unit}", "–",
                         verdict(value, most)])
    for (cell, config), least in SHARE.items():
        value = median(res.paired(cell, config, "rate", lambda x, y: x / y))
        if value is not None:
            double = median(res.paired(cell, "limit_double", "rate", lambda x, y: x / y))
            rows.append([f"share of unaudited tps, {cell.upper()} (soft)", f"{value:.2f}", f"≥ {least}",
                         show(double, "{:.2f}"), verdict(round(value, 2), least, smaller=False)])
    heads = ["cell", "added server CPU (least … most)", "target", "limit_double", "verdict"]
    return table("Figures", heads, rows) if rows else ""


def group_report(rows):
    """Everything about the rows of one number of clients and one synchronous_commit."""
    res = Results(rows)
    w, b = res.cells(W), res.cells(B)

    def rate(c, n):
        share = median(res.paired(c, n, "rate", lambda x, y: x / y))
        return f"{show(median(res.numbers(c, n, 'rate')))} ({show(share, '{:.2f}')})"

    def cpu(c, n):
        d = digits(c)
        return (f"{show(median(res.numbers(c, n, 'cpu_us')), f'{{:.{d}f}}')} "
                f"({show(median(res.added(c, n)), f'{{:+.{d}f}}')})")

    def size(field):
        return lambda c, n: show(median(res.numbers(c, n, field)))
    parts = [figures(res),
             compare("Server CPU in µs per transaction (bulk: per row), and added to the baseline",
                     res, w + b, cpu),
             compare("Transactions (bulk: rows) per second, and share of the baseline", res, w + b, rate),
             # W3's is blurred: pages that several sessions extended ahead count for its small rows
             compare("Log bytes per change, indexes included", res,
                     [c for c in w + b if c != "w3"], size("log")),
             compare("WAL bytes per change, the change itself included", res, w + b, size("wal"))]
    values = [[TEXT[c], n, r["note"], r["value"]] for c in TEXT for n in res.names
              for r in res.val.get((c, n), {}).values() if r["value"] != ""]
    if values:
        heads = ["cell", "configuration", "how", "value"]
        parts.append(table("Memory (MB) and history (ms)", heads, values, 3))
    if res.errors:
        parts.append("### Errors\n\n" + "\n".join(f"- {e}" for e in res.errors) + "\n")
    return "\n".join(p for p in parts if p)


def report(rows):
    groups = defaultdict(list)
    for r in rows:
        groups[r["clients"], r["sync"]].append(r)
    out = []
    for (clients, sync), members in groups.items():
        out.append(f"{members[0]['server']}.")
        timed = [r for r in members if r["cell"] in W + B]
        if timed:
            secs = sorted({float(r["secs"]) for r in timed})
            reps = len({(r["run"], r["rep"]) for r in timed})
            out[-1] += (f" {clients} client{'s' * (clients != '1')}, synchronous_commit {sync}, W cells of "
                        f"{' and '.join(f'{s:g}' for s in secs)} s, {reps} repetition{'s' * (reps != 1)}.")
            others = [float(r["others"]) for r in timed if r["others"] != ""]
            if others:
                out[-1] += (f" Other programs used {st.median(others):.0%} of the machine "
                            f"(at worst {max(others):.0%}).")
            if reps < 3 or secs[0] < 10:
                out.append("**Too short to judge by**: that takes three repetitions and W cells of 10 s.")
        out.append(group_report(members))
    return "\n\n".join(out)


def read(files):
    for f in files:
        with open(f, newline="") as fh:
            yield from csv.DictReader(fh)


if __name__ == "__main__":
    print(report(list(read(sys.argv[1:]))))
