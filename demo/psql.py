"""psql and pgbench against the cluster that the environment names."""
import os, subprocess, sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Whoever runs the demo may have settings of his own, which would change what it shows.
ENVIRONMENT = {k: v for k, v in os.environ.items()
               if k not in ("PGOPTIONS", "PGSERVICE", "PGAPPNAME", "PSQL_PAGER", "PAGER")}


def fail(why):
    sys.stdout.flush()
    sys.exit(f"\nTHE DEMO FAILED: {why}")


def run(command, options="", **more):
    return subprocess.run([str(word) for word in command], text=True, cwd=HERE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=dict(ENVIRONMENT, PGOPTIONS=options), **more)


def psql(sql, echo=False, stop=True, quiet=True, tuples=False):
    """Answers and messages of the server, in the order in which they came; echo shows the statements too."""
    # Read from stdin, because messages about a file begin with its name and line.
    command = ["psql", "-X", "-v", f"ON_ERROR_STOP={int(stop)}", "-P", "pager=off"]
    command += ["-q"] * quiet + ["-A", "-t"] * tuples + ["-e"] * echo
    result = run(command, input=sql)
    if result.returncode and stop:
        fail(f"psql: {result.stdout.strip()}")
    return result.stdout


def read(sql):
    return psql(sql, tuples=True).strip()


def pgbench(*arguments, user=None, options=""):
    # -n: no VACUUM before the run, which only the owner may do.
    result = run(["pgbench", "-n", *(["-U", user] if user else []), *arguments], options)
    if result.returncode or "aborted" in result.stdout:
        fail(f"pgbench: {result.stdout.strip()[-2000:]}")
    return result.stdout
