\echo '-- Ada signs in at home. From now on her network there is known:'
\echo
SELECT attempt_id FROM audit.begin_login_attempt('ada@lindenhof.example', '203.0.113.1') \gset home_
SELECT audit.finish_login_attempt(:'home_attempt_id', true,
    user_id => 'a0000000-0000-4000-8000-000000000001') AS finished;
