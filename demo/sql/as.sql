-- What the gateway does at the beginning of each request, for the person in :who and :community.
SELECT set_config('role', 'authenticated', true) AS role,
       set_config('request.jwt.claims', jsonb_build_object(
           'sub', 'a0000000-0000-4000-8000-00000000000' || :'who', 'role', 'authenticated',
           'session_id', '5e551000-0000-4000-8000-00000000000' || :'who',
           'app_metadata', jsonb_build_object('tenant_id', :'community'))::text, true) AS claims,
       set_config('request.headers', jsonb_build_object(
           'x-forwarded-for', '203.0.113.' || :'who', 'user-agent', :'agent')::text, true) AS headers
\gset gateway_
