"""One way of auditing, read from an .ini file (format: README.md)."""
import configparser, sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
W_AND_B = "w1 w2 w3 b1 b2 b3 b4"


class Plugin:
    def __init__(self, name, folders=()):
        self.path = self._find(name, folders)
        self.name = self.path.stem
        ini = self._read(self.path)
        c = dict(ini["config"])
        if "like" in c:
            # Paths stay relative to the file that names them, so only a neighbour can be built upon.
            base = self._read(self.path.parent / f"{c['like'].strip()}.ini")
            c = {**base["config"], **c}
            self.override = {**self._section(base, "override"), **self._section(ini, "override")}
        else:
            self.override = self._section(ini, "override")

        def get(key, default=""):
            return c.get(key, default).strip()
        self.title, self.install, self.install_sql = get("title"), get("install").split(), get("install_sql")
        self.errors_ok = get("install_errors_ok") == "true"
        self.enable, self.after, self.check = get("enable"), get("after_enable"), get("check")
        self.skip_tables, self.skip = get("skip_tables").split(), get("skip").split()
        self.log_size, self.log_rows, self.history = get("log_size"), get("log_rows"), get("history")
        self.server = [s.strip() for s in get("server").splitlines() if s.strip()]
        self.cells = get("cells", W_AND_B).split()

    @staticmethod
    def _find(name, folders):
        for p in [Path(name)] + [Path(d) / f"{name}.ini" for d in [*folders, HERE / "configs"]]:
            if p.is_file():
                return p.resolve()
        sys.exit(f"no configuration {name}")

    @staticmethod
    def _read(path):
        ini = configparser.ConfigParser(interpolation=None)
        with open(path) as f:
            ini.read_file(f)
        return ini

    @staticmethod
    def _section(ini, name):
        return dict(ini[name]) if ini.has_section(name) else {}

    def script(self, cell, default):
        if cell in self.override:
            return self.path.parent / self.override[cell]
        return HERE / "workloads" / default
