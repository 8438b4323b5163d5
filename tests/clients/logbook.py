"""Reads the log, and tells from it what a table must contain."""


def entries(admin, *tables, columns="*"):
    """The log rows of these tables, in the order of the changes."""
    return admin.execute(
        f"SELECT {columns} FROM audit.audit_log WHERE table_name = ANY (%s) ORDER BY logged_at, id",
        [list(tables)],
    ).fetchall()


def told(admin, *tables):
    """The same as short tuples: operation, key, changed fields."""
    return [(row["operation"], row["record_id"], row["changed_fields"]) for row in entries(admin, *tables)]


class Replay:
    """The contents of a table as the log tells them. `look` reads on; what ALTER TABLE did to rows that were
    there before is told by `reshape`, because the log holds the shape of its time."""

    def __init__(self, admin, table):
        self.admin, self.names, self.seen, self.rows = admin, [table], 0, {}

    def look(self):
        """Applies what was logged since the last look, and checks that each step fits the one before."""
        for entry in entries(self.admin, *self.names)[self.seen :]:
            self.seen += 1
            self._apply(entry)
        return self

    def _apply(self, entry):
        key, old, new = entry["record_id"], entry["old_record"], entry["new_record"]
        if entry["operation"] == "TRUNCATE":
            self.rows = {}
        elif entry["operation"] == "INSERT":
            assert key not in self.rows, f"{key} was inserted twice"
            self.rows[key] = new
        elif entry["operation"] == "UPDATE":
            assert self.rows.pop(entry["old_record_id"] or key) == old
            assert set(entry["changed_fields"]) == {name for name in new if old[name] != new[name]}
            self.rows[key] = new
        else:
            assert self.rows.pop(key) == old

    def reshape(self, change):
        """Does to each row what ALTER TABLE did to it, before what was logged after it is read."""
        for row in self.rows.values():
            change(row)

    def rename(self, table):
        self.names.append(table)

    def check(self, hidden=()):
        """The table must contain exactly what was told, apart from columns that are not logged."""
        self.look()
        found = self.admin.execute(f'SELECT to_jsonb(t) AS row FROM "{self.names[-1]}" t').fetchall()
        expected = [
            {name: value for name, value in row["row"].items() if name not in hidden} for row in found
        ]
        assert sorted(self.rows.values(), key=repr) == sorted(expected, key=repr)
        return len(expected)
