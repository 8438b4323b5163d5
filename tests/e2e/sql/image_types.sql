-- Types of users: enums, domains over everything, composites with a dropped attribute, own ranges, and
-- types whose author chose how they look as JSON.
-- Who may call: loaded by the image test as superuser.
-- Relies on: nothing.

CREATE TYPE mood AS ENUM ('sad', 'ok', 'häppy "x" \');
CREATE TYPE castable AS ENUM ('one', 'two');
CREATE FUNCTION castable_json(castable) RETURNS json LANGUAGE sql IMMUTABLE AS
    $$ SELECT pg_catalog.json_build_object('is', $1::text, 'not', NULL) $$;
CREATE CAST (castable AS json) WITH FUNCTION castable_json(castable);
CREATE TYPE pair AS (a int, "B b" text, gone int, c numeric);
ALTER TYPE pair DROP ATTRIBUTE gone;
CREATE TYPE nested AS (p pair, ps pair[], at timestamptz, j jsonb, iv interval, raw bytea, how castable);
CREATE TYPE no_fields AS ();
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN posint2 AS posint;
CREATE DOMAIN doc AS jsonb;
CREATE DOMAIN textdoc AS json;
CREATE DOMAIN sums AS numeric(9, 2)[];
CREATE DOMAIN somebody AS pair;
CREATE DOMAIN feeling AS mood;
CREATE DOMAIN chosen AS castable;
CREATE DOMAIN moment AS timestamptz(3);
CREATE TYPE textrange AS RANGE (subtype = text);
