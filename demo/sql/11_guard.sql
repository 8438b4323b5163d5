\echo '-- What residents signed is to be kept for seven years. One call protects a table:'
\echo
SET ROLE app;
CREATE TABLE consents (
    id int PRIMARY KEY, resident text NOT NULL, said text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now());
RESET ROLE;
SELECT audit.protect('consents', '7 years') \g /dev/null
\echo
\echo '-- Old papers come in once, announced; from then on a row is of the day on which it comes:'
\echo
BEGIN;
SELECT audit.begin_restore('paper files of the old manager') \g /dev/null
INSERT INTO consents SELECT n, 'Resident ' || n, 'yes', now() - interval '8 years'
FROM generate_series(1, 3) n;
COMMIT;
INSERT INTO consents VALUES (4, 'Ada Winter', 'yes'), (5, 'Omar Saleh', 'no');
SELECT audit.place_hold('consents', 'court case 7', record_ids => '{3}') \g /dev/null
\echo
\echo '-- Is all of this in force?'
\echo
SELECT level, part, object, in_force FROM audit.guard_status() ORDER BY 1, 2, 3;
