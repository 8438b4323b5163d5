-- A guess at Ada's password from an address of its own. Whoever is admitted is told: wrong.
\set host random(1, 254)
SELECT audit.finish_login_attempt(a.attempt_id, false)
FROM audit.begin_login_attempt('ada@lindenhof.example', ('198.51.100.' || :host)::inet) a WHERE NOT a.blocked;
