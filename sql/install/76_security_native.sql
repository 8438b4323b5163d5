-- Purpose: what the library does for logins and sessions: keys, times of failures, whose request it is.
-- Who may call: all of it is internal.
-- Relies on: 00_schema.sql.

CREATE FUNCTION audit._account_key(email text) RETURNS uuid
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'account_key_wrapper';
COMMENT ON FUNCTION audit._account_key(text) IS
    'internal: the key under which failed logins of an account are counted, however its email is written; '
    'null for a blank one';

CREATE FUNCTION audit._account_tag(account uuid) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'account_tag_wrapper';
COMMENT ON FUNCTION audit._account_tag(uuid) IS
    'internal: what stands for an account among the failures of a network: the first two bytes of its key';

CREATE FUNCTION audit._pair_key(account uuid, network inet) RETURNS uuid
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pair_key_wrapper';
COMMENT ON FUNCTION audit._pair_key(uuid, inet) IS
    'internal: the key of an account in a network';

CREATE FUNCTION audit._device_key(account uuid, fingerprint text) RETURNS uuid
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'device_key_wrapper';
COMMENT ON FUNCTION audit._device_key(uuid, text) IS
    'internal: the key of an account on a device; null for a blank fingerprint';

CREATE FUNCTION audit._login_network(ip inet) RETURNS inet
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'login_network_wrapper';
COMMENT ON FUNCTION audit._login_network(inet) IS
    'internal: the network that an address shares its budget with; 0.0.0.0 for null';

CREATE FUNCTION audit._request_ip() RETURNS inet
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'request_ip_wrapper';
COMMENT ON FUNCTION audit._request_ip() IS
    'internal: the address of the client as set_context or a trusted proxy gives it; null when none does';

CREATE FUNCTION audit._claims() RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'claims_wrapper';
COMMENT ON FUNCTION audit._claims() IS
    'internal: the claims of the request; null unless audit_guard.trusted_logins lists the login role and '
    'they are a JSON object';

CREATE FUNCTION audit._event_id() RETURNS uuid
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'event_id_wrapper';
COMMENT ON FUNCTION audit._event_id() IS
    'internal: a new uuid that begins with the time (version 7), so that an index by block finds it';

CREATE FUNCTION audit._has_leaves(stream regclass) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'has_leaves_wrapper';
COMMENT ON FUNCTION audit._has_leaves(regclass) IS
    'internal: whether a partitioned table has a partition';

CREATE FUNCTION audit._has_triggers(target regclass) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'has_triggers_wrapper';
COMMENT ON FUNCTION audit._has_triggers(regclass) IS
    'internal: whether a table has the triggers that record its changes, for rows and for TRUNCATE';

CREATE FUNCTION audit._lock_person(subject text) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lock_person_wrapper';
COMMENT ON FUNCTION audit._lock_person(text) IS
    'internal: lets one transaction at a time go on with this person, until it ends';

CREATE FUNCTION audit._add_failure(failures bytea, at timestamptz, tag integer DEFAULT NULL)
RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'add_failure_wrapper';
COMMENT ON FUNCTION audit._add_failure(bytea, timestamptz, integer) IS
    'internal: adds a failure to the times of a counter, of which the latest 100 of a day are kept, 200 '
    'with tags; an infinite time adds none';

CREATE FUNCTION audit._remove_failure(failures bytea, at timestamptz, tag integer DEFAULT NULL)
RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'remove_failure_wrapper';
COMMENT ON FUNCTION audit._remove_failure(bytea, timestamptz, integer) IS
    'internal: takes one failure of exactly this time back; null when none is left';

CREATE FUNCTION audit._failures_of(times timestamptz[], tags integer[] DEFAULT NULL) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'failures_of_wrapper';
COMMENT ON FUNCTION audit._failures_of(timestamptz[], integer[]) IS
    'internal: the times of a counter from arrays in any order';

CREATE FUNCTION audit._failures_in(
    failures bytea, reset_at timestamptz, at timestamptz, window_minutes integer)
RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'failures_in_wrapper';
COMMENT ON FUNCTION audit._failures_in(bytea, timestamptz, timestamptz, integer) IS
    'internal: how many failures after the last reset lie in a window that ends at a moment; a little '
    'ahead of it counts as well, since a clock may have been set back';

CREATE FUNCTION audit._accounts_in(failures bytea, at timestamptz, window_minutes integer)
RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'accounts_in_wrapper';
COMMENT ON FUNCTION audit._accounts_in(bytea, timestamptz, integer) IS
    'internal: how many different accounts those failures are of';

CREATE FUNCTION audit._has_room(
    failures bytea, reset_at timestamptz, at timestamptz, max_attempts integer, window_minutes integer,
    daily boolean)
RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'has_room_wrapper';
COMMENT ON FUNCTION audit._has_room(bytea, timestamptz, timestamptz, integer, integer, boolean) IS
    'internal: whether another try may be made: fewer failures than these in the window and, with the '
    'daily rule, fewer than 100 in a day';

CREATE FUNCTION audit._newest_failure(failures bytea) RETURNS timestamptz
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'newest_failure_wrapper';
COMMENT ON FUNCTION audit._newest_failure(bytea) IS
    'internal: the time of the latest failure';

CREATE FUNCTION audit._block_began(
    failures bytea, reset_at timestamptz, at timestamptz, max_attempts integer, window_minutes integer)
RETURNS timestamptz
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'block_began_wrapper';
COMMENT ON FUNCTION audit._block_began(bytea, timestamptz, timestamptz, integer, integer) IS
    'internal: since when more tries have been refused without a gap; null when they are not';

CREATE FUNCTION audit._retry_after(
    failures bytea, reset_at timestamptz, at timestamptz, max_attempts integer, window_minutes integer,
    daily boolean)
RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'retry_after_wrapper';
COMMENT ON FUNCTION audit._retry_after(bytea, timestamptz, timestamptz, integer, integer, boolean) IS
    'internal: in how many seconds another try may be made; 0 when it may be made now';

CREATE FUNCTION audit._login_window() RETURNS integer
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'login_window_wrapper';
COMMENT ON FUNCTION audit._login_window() IS
    'internal: audit_guard.login_window in minutes';

CREATE FUNCTION audit._touch_interval() RETURNS interval
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'touch_interval_wrapper';
COMMENT ON FUNCTION audit._touch_interval() IS
    'internal: audit_guard.session_touch_interval';
