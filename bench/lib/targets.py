"""What is promised, per cell and configuration: at most this, and the ambition (or None)."""

# added server CPU, microseconds per transaction (W) or row (B)
CPU = {
    ("w1", "audit_guard"): (14, 11), ("w1", "audit_guard_claims"): (17, None),
    ("w2", "audit_guard"): (22, 18), ("w2", "audit_guard_claims"): (24, None),
    ("w3", "audit_guard"): (60, 45), ("w3", "audit_guard_claims"): (72, None),
    ("b1", "audit_guard"): (5.0, 4), ("b1", "audit_guard_claims"): (6.2, None),
    ("b2", "audit_guard"): (7, 5), ("b2", "audit_guard_claims"): (8, None),
    ("b3", "audit_guard"): (5.6, 5), ("b3", "audit_guard_claims"): (6.2, None),
    ("b4", "audit_guard"): (5.0, 4), ("b4", "audit_guard_claims"): (6.2, None),
}
# Against limit_double of the same run, without claims: at most this multiple of what it adds.
LIMIT_DOUBLE = {"w1": 1.10, "w2": 1.0, "w3": 1.10, "b1": 1.0, "b2": 1.0, "b3": 1.0}

# log bytes per change, indexes included
BYTES = {
    ("w1", "audit_guard"): (720, 660), ("b1", "audit_guard"): (720, 660),
    ("w2", "audit_guard"): (1230, 1170), ("b2", "audit_guard"): (1230, 1170),
    ("w2", "audit_guard_delta"): (820, 760), ("b2", "audit_guard_delta"): (820, 760),
    ("w2", "audit_guard_changed"): (400, 370), ("b2", "audit_guard_changed"): (400, 370),
}

# share of the unaudited transactions per second, at least; soft, since clients and server share the cores
SHARE = {("w1", "audit_guard"): 0.72, ("w2", "audit_guard"): 0.65, ("w3", "audit_guard"): 0.75}

# at most, with unit
VALUES = {
    ("mem", "audit_guard"): (8, "MB"),
    ("history_cold", "audit_guard"): (5, "ms"), ("history_warm", "audit_guard"): (5, "ms"),
}

TEXT = {
    "w1": "W1 one-row INSERT", "w2": "W2 one-row UPDATE", "w3": "W3 TPC-B, four changes",
    "b1": "B1 INSERT … SELECT", "b2": "B2 bulk UPDATE", "b3": "B3 bulk DELETE", "b4": "B4 COPY",
    "mem": "memory of a mass UPDATE, above an empty trigger",
    "history_cold": "record_history, first call of a session",
    "history_warm": "record_history, further calls",
    "history_unanalysed_cold": "the same first call before any ANALYZE",
    "history_unanalysed_warm": "the same further calls before any ANALYZE",
}
