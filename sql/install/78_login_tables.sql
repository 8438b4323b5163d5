-- Purpose: what is remembered about logins: failures per account, device and network, and attempts under way.
-- Who may call: functions of ours alone; audit_reader reads login_allowlist.
-- Relies on: 00_schema.sql. All but the list of allowed networks is a cache of audit.security_events.

-- Who attacks decides how many rows there are, so they are small: no address of a person, only 16 bytes.
CREATE TABLE audit.login_counters (
    key uuid PRIMARY KEY,
    failures bytea,
    reset_at timestamptz,
    known_until timestamptz,
    reported_at timestamptz,
    guessed_at timestamptz
) WITH (fillfactor = 95, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
COMMENT ON TABLE audit.login_counters IS
    'the latest failed logins of each account, and of each device and network that an account was used from';
COMMENT ON COLUMN audit.login_counters.key IS
    'hash of the account, or of the account with a network or a device';
COMMENT ON COLUMN audit.login_counters.failures IS 'when the latest failures were; null: none';
COMMENT ON COLUMN audit.login_counters.reset_at IS 'failures up to this moment do not count any more';
COMMENT ON COLUMN audit.login_counters.known_until IS
    'until when the account is known to be used from this network or device; null for an account itself';
COMMENT ON COLUMN audit.login_counters.reported_at IS 'when a block was last put on record';
COMMENT ON COLUMN audit.login_counters.guessed_at IS 'when slow guessing was last put on record';

CREATE TABLE audit.login_networks (
    network inet PRIMARY KEY,
    failures bytea,
    reported_at timestamptz,
    sprayed_at timestamptz
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
COMMENT ON TABLE audit.login_networks IS 'the latest failed logins from each network';
COMMENT ON COLUMN audit.login_networks.network IS
    'an IPv4 address, an IPv6 network, or 0.0.0.0 for all whose address is not known';
COMMENT ON COLUMN audit.login_networks.failures IS
    'when the latest failures were, each with two bytes that tell accounts apart; null: none';
COMMENT ON COLUMN audit.login_networks.reported_at IS 'when a block was last put on record';
COMMENT ON COLUMN audit.login_networks.sprayed_at IS 'when password spraying was last put on record';

CREATE TABLE audit.login_attempts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    attempted_at timestamptz NOT NULL,
    email text,
    ip_address inet,
    device_fingerprint text,
    budget text COLLATE "C" NOT NULL CHECK (budget IN ('account', 'pair', 'device'))
) WITH (autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE audit.login_attempts IS 'logins that were begun and are not finished';
COMMENT ON COLUMN audit.login_attempts.id IS 'number of the attempt, for finish_login_attempt';
COMMENT ON COLUMN audit.login_attempts.attempted_at IS 'the moment at which it counts as a failure';
COMMENT ON COLUMN audit.login_attempts.email IS 'the address as it was given';
COMMENT ON COLUMN audit.login_attempts.ip_address IS 'from where';
COMMENT ON COLUMN audit.login_attempts.device_fingerprint IS 'from which device';
COMMENT ON COLUMN audit.login_attempts.budget IS
    'whose tries it uses: those of the account and its network, or those that a network (pair) or device has '
    'from which the account is known to be used';
COMMENT ON CONSTRAINT login_attempts_budget_check ON audit.login_attempts IS 'one of the three';

-- No evidence, and nothing that a dump has to carry. Sixty-four rows, so that sessions rarely meet in one;
-- row -1 remembers when an attack was last put on record. There from the start: two sessions that would both
-- make a row would wait for each other.
CREATE TABLE audit.login_rate (
    shard smallint PRIMARY KEY,
    minute bigint NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    baseline real NOT NULL DEFAULT 0,
    reported_at timestamptz
) WITH (fillfactor = 20);
INSERT INTO audit.login_rate (shard) SELECT s.shard FROM generate_series(-1, 63) s(shard);
COMMENT ON TABLE audit.login_rate IS 'how many logins fail per minute in the whole database';
COMMENT ON COLUMN audit.login_rate.shard IS 'failures are spread over the rows; -1: what was put on record';
COMMENT ON COLUMN audit.login_rate.minute IS 'the minute that is being counted, since 1970';
COMMENT ON COLUMN audit.login_rate.failures IS 'failures in this minute';
COMMENT ON COLUMN audit.login_rate.baseline IS 'failures per minute as they were before, the last hour most';
COMMENT ON COLUMN audit.login_rate.reported_at IS 'when credential stuffing was last put on record';

-- A sequence waits for nobody.
CREATE SEQUENCE audit.login_failures_seq AS bigint CYCLE;
COMMENT ON SEQUENCE audit.login_failures_seq IS 'counts failed logins, so that one in eight is looked at more closely';

CREATE TABLE audit.login_allowlist (
    network cidr PRIMARY KEY,
    reason text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    added_by text COLLATE "C" NOT NULL,
    expires_at timestamptz
);
CREATE INDEX login_allowlist_network_idx ON audit.login_allowlist USING gist (network inet_ops);
COMMENT ON TABLE audit.login_allowlist IS
    'networks that many people share, whose failed logins count for the accounts alone';
COMMENT ON COLUMN audit.login_allowlist.network IS 'the network';
COMMENT ON COLUMN audit.login_allowlist.reason IS 'why, in the words of the person who added it';
COMMENT ON COLUMN audit.login_allowlist.added_at IS 'when it was added or last changed';
COMMENT ON COLUMN audit.login_allowlist.added_by IS 'the role that logged in and did so';
COMMENT ON COLUMN audit.login_allowlist.expires_at IS 'when it ends; null: until it is taken out';

CREATE TYPE audit.login_verdict AS (
    blocked boolean,
    reason text,
    retry_after_seconds integer,
    account_failures integer,
    network_failures integer,
    remaining integer,
    attempt_id uuid
);
COMMENT ON TYPE audit.login_verdict IS 'what audit.check_login() and audit.begin_login_attempt() return';
COMMENT ON COLUMN audit.login_verdict.blocked IS 'whether the login must not be tried now';
COMMENT ON COLUMN audit.login_verdict.reason IS
    'whose tries are used up: account, network, or where the account is known to be used, pair (account and '
    'network) or device; null when not blocked';
COMMENT ON COLUMN audit.login_verdict.retry_after_seconds IS
    'how long to wait for the next try; 0: not blocked';
COMMENT ON COLUMN audit.login_verdict.account_failures IS
    'failures of the account in the window, tries under way included';
COMMENT ON COLUMN audit.login_verdict.network_failures IS
    'failures from the network in the window, tries under way included';
COMMENT ON COLUMN audit.login_verdict.remaining IS 'how many tries are left before it blocks';
COMMENT ON COLUMN audit.login_verdict.attempt_id IS
    'number of the attempt, for finish_login_attempt; null when none was begun';
