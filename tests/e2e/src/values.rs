//! Random SQL values of the built-in types, with a liking for the special ones.

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

/// Every type the image tests give to columns, with the values worth trying. The first entry of
/// each list has no special meaning; types made by a test itself are added by that test.
pub const SPECIAL: &[(&str, &[&str])] = &[
    ("bool", &["true", "false"]),
    ("int2", &["0", "1", "-1", "9999", "10000", "-10000", "32767", "-32768"]),
    ("int4", &["0", "-1", "9999", "10000", "10001", "100000000", "2147483647", "-2147483648"]),
    ("int8", &["0", "42", "9999999999999999", "9223372036854775807", "-9223372036854775808"]),
    ("float4", &["NaN", "Infinity", "-Infinity", "0", "-0", "0.1", "1e-45", "3.4028235e38", "16777217"]),
    (
        "float8",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "0",
            "-0",
            "0.1",
            "5e-324",
            "1.7976931348623157e308",
            "1e15",
            "1e16",
        ],
    ),
    (
        "numeric",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "0",
            "0.000",
            "-0.0",
            "1.10",
            "1.1000",
            "10000",
            "9999",
            "100000000",
            "-12345678901234567890.123456789000",
            "1e-20",
            "1e20",
            "-1e13000",
            "1e-13000",
            "0.0001",
            "0.00010000",
            "1e-16383",
            "1e131071",
        ],
    ),
    ("numeric(12,4)", &["0", "1.5", "-99999999.9999", "NaN", "0.0001"]),
    ("varchar", &["", "x", "Ünï", "a\"b\\c/d"]),
    ("varchar(300)", &["", "short", "漢字漢字"]),
    ("char(7)", &["", "abc", "漢", "1234567", " lead"]),
    ("bpchar", &["", "é", "  blanks  "]),
    ("\"char\"", &["", "a", "\\", "\""]),
    ("name", &["", "pg_class", "naïve \"name\""]),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("bytea", &["", "\\x00", "\\xdeadbeef00ff5c", "\\x5c22"]),
    (
        "date",
        &[
            "infinity",
            "-infinity",
            "0044-03-15 BC",
            "4714-11-24 BC",
            "5874897-12-31",
            "2024-02-29",
            "0001-01-01",
        ],
    ),
    (
        "timestamp",
        &[
            "infinity",
            "-infinity",
            "0044-03-15 12:00:00.5 BC",
            "294276-12-31 23:59:59.999999",
            "2000-01-01 00:00:00",
            "1999-12-31 23:59:59.999999",
            "2024-02-29 00:00:00.100",
        ],
    ),
    (
        "timestamptz",
        &[
            "infinity",
            "-infinity",
            "0044-03-15 12:00:00.5 UTC BC",
            "294276-12-31 00:00:00 UTC",
            "1900-01-01 00:00:00 Europe/Amsterdam",
            "2024-03-31 02:30:00+01",
            "2024-10-27 00:59:59.000001 UTC",
        ],
    ),
    ("timestamptz(0)", &["2024-03-31 02:30:00.7+01", "1970-01-01 UTC"]),
    ("time", &["00:00:00", "24:00:00", "23:59:59.999999", "00:00:00.000001"]),
    ("timetz", &["00:00:00+00", "23:59:59.999999+15:59", "12:00:00-15:59", "01:02:03.4+05:30:15"]),
    (
        "interval",
        &[
            "0",
            "-1 year -2 mons +3 days -04:05:06.789",
            "1 mon -1 day",
            "178000000 years",
            "-0.000001 sec",
            "100:00:00",
        ],
    ),
    ("inet", &["0.0.0.0/0", "192.0.2.7", "192.0.2.7/24", "::", "2001:db8::1/64", "::ffff:192.0.2.1"]),
    ("cidr", &["192.0.2.0/24", "2001:db8::/32", "10.0.0.1/32"]),
    ("macaddr", &["00:00:00:00:00:00", "08:00:2b:01:02:03"]),
    ("macaddr8", &["08:00:2b:ff:fe:01:02:03"]),
    ("json", &["null", "[]", "{\"b\" : 1 ,\"a\":1.10, \"b\":2}", "\"\\u00e9\\n\"", " 1.50 ", "true"]),
    (
        "jsonb",
        &[
            "null",
            "true",
            "\"scalar \\\" \\\\ \\u0001\"",
            "1.500",
            "-0",
            "[]",
            "{}",
            "{\"a\": {\"b\": [1, 2.50, {\"c\": null}]}, \"\": \"\"}",
            "[[[[[]]]], {\"x\": [true, false, null]}]",
        ],
    ),
    ("jsonpath", &["$", "$.a[*] ? (@ > 1.50)"]),
    ("int4[]", &["{}", "{1,NULL,-3}", "{{1,2},{3,4}}", "[0:1]={7,8}", "[-1:0][2:3]={{1,2},{3,4}}"]),
    ("int2[]", &["{{{1},{2}},{{3},{NULL}}}", "{{{{1}}}}", "{{{{{{1,2}}}}}}", "[3:3][-1:0][7:7]={{{1},{2}}}"]),
    ("text[]", &["{}", "{\"a \\\"b\\\" \\\\c\",NULL,\"NULL\",\"\"}", "{{é,漢},{x,y}}"]),
    ("timestamptz[]", &["{}", "{\"2024-03-31 02:30:00+01\",infinity,NULL}"]),
    ("numeric[]", &["{1.10,NaN,Infinity,0.000}"]),
    ("jsonb[]", &["{}", "{\"{\\\"a\\\": 1}\",null,NULL}"]),
    ("interval[]", &["{\"1 day -01:00:00\",\"3 mons\"}"]),
    ("bytea[]", &["{\"\\\\xdead\",\"\\\\x\"}"]),
    ("bool[]", &["{t,f,NULL}"]),
    ("uuid[]", &["{00000000-0000-0000-0000-000000000000}"]),
    ("int4range", &["empty", "[1,5)", "(,)", "[3,]"]),
    ("int8range", &["[-9223372036854775808,9223372036854775807)", "empty"]),
    ("numrange", &["[1.10,2.200]", "empty"]),
    ("daterange", &["[2020-01-02,2021-03-04)", "[-infinity,infinity]", "(,2020-02-03)"]),
    ("tsrange", &["[2020-01-02 03:04:05,)"]),
    ("tstzrange", &["[\"2020-01-02 03:04:05+02\",\"2020-02-03 04:05:06+00\")", "empty"]),
    ("int4multirange", &["{}", "{(,1),[3,)}"]),
    ("nummultirange", &["{[1.10,2.200],(3,NaN)}"]),
    ("datemultirange", &["{[2026-01-01,2026-02-01),[2026-03-01,infinity)}"]),
    ("tsmultirange", &["{[\"2026-01-01 01:02:03.4\",)}"]),
    ("int8multirange", &["{}", "{[1,2),[5,9)}"]),
    ("tstzmultirange", &["{[\"2020-01-02 03:04:05+02\",\"2020-02-03 04:05:06+00\")}"]),
    ("money", &["0", "-12345678.91", "92233720368547758.07", "1000"]),
    ("tsvector", &["", "a:1A b:2,3 'it''s':4", "漢:1"]),
    ("tsquery", &["a & !b", "'x y' <-> c"]),
    ("bit(5)", &["10101", "00000"]),
    ("varbit", &["", "1", "10101010101"]),
    ("point", &["(0.1,-0)", "(NaN,Infinity)", "(1e300,1e-300)"]),
    ("line", &["{1,-1,0.1}"]),
    ("lseg", &["[(0,0),(1.5,2)]"]),
    ("box", &["(3,4),(1,2)"]),
    ("path", &["((0,0),(1,1))", "[(0,0),(0.1,1)]"]),
    ("polygon", &["((0,0),(1,1),(1,0))"]),
    ("circle", &["<(0.1,0),2>"]),
    ("oid", &["0", "4294967295"]),
    ("regtype", &["int4", "0"]),
    ("regclass", &["pg_catalog.pg_class", "987654"]),
    ("regproc", &["pg_catalog.now", "0"]),
    ("regrole", &["postgres"]),
    ("regprocedure", &["pg_catalog.abs(integer)", "0"]),
    ("regoper", &["pg_catalog.||/", "0"]),
    ("regoperator", &["pg_catalog.+(integer,integer)"]),
    ("regcollation", &["pg_catalog.\"C\""]),
    ("regnamespace", &["pg_catalog"]),
    ("regconfig", &["pg_catalog.english"]),
    ("regdictionary", &["pg_catalog.english_stem"]),
    ("xid", &["0", "4294967295"]),
    ("xid8", &["18446744073709551615"]),
    ("cid", &["7"]),
    ("tid", &["(0,1)", "(4294967295,65535)"]),
    ("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"]),
    ("pg_snapshot", &["10:20:10,14,15"]),
    ("txid_snapshot", &["10:20:10,14,15"]),
    ("int2vector", &["", "1 2 3"]),
    ("oidvector", &["1 2"]),
    ("refcursor", &["a cursor"]),
    ("aclitem", &["postgres=r/postgres"]),
];

/// Pieces of text that an escaping routine may get wrong.
const TEXTS: &[&str] = &[
    "",
    "plain",
    "it's",
    "\"quoted\" \\ back/slash",
    "tab\tnewline\ncarriage\rfeed\u{c}bell\u{7}back\u{8}",
    "\u{1}\u{1f}\u{7f}\u{80}\u{9f}",
    "é ü ñ",
    "漢字かな",
    "😀👩‍👩‍👧",
    "\u{2028}\u{2029}\u{feff}",
    "e\u{301}\u{fffd}\u{ffff}",
    "null",
    "{\"a\": 1}",
    "\\u0041\\n",
    "   ",
];

/// A string as an SQL literal.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as an SQL identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A random text, mostly short.
pub fn text(rng: &mut StdRng) -> String {
    let parts = rng.random_range(1..4);
    (0..parts).map(|_| *TEXTS.choose(rng).unwrap_or(&"")).collect()
}

/// A random SQL expression of the type, never NULL. Unknown types are a mistake of the test.
pub fn literal(rng: &mut StdRng, ty: &str) -> String {
    if let Some(value) = random(rng, ty) {
        return value;
    }
    let values = SPECIAL.iter().find(|(name, _)| *name == ty).map_or(&[][..], |(_, values)| *values);
    match values.choose(rng) {
        // The text of an amount of money means something else under another lc_monetary.
        Some(value) if ty == "money" => format!("{}::numeric::money", quoted(value)),
        Some(value) => format!("{}::{ty}", quoted(value)),
        // Fails where it is used, naming the type.
        None => format!("'no values known'::{ty}"),
    }
}

/// Values that need randomness or size; `None` leaves the choice to the list of special ones.
fn random(rng: &mut StdRng, ty: &str) -> Option<String> {
    let big = rng.random_ratio(1, 30);
    let expression = match ty {
        // Incompressible, so that it is stored out of line; and compressible, stored compressed.
        "text" | "varchar" | "json" | "jsonb" if big => {
            let n = rng.random_range(0..1000);
            let count = rng.random_range(20..600);
            let long =
                format!("(SELECT string_agg(md5((i * {n})::text), '') FROM generate_series(1, {count}) i)");
            let long = if rng.random() { long } else { format!("repeat('abc é ', {})", count * 8) };
            if ty.starts_with("json") { format!("to_{ty}({long}::text)") } else { format!("{long}::{ty}") }
        }
        "bytea" if big => format!("decode(repeat('{:02x}5c', 4000), 'hex')", rng.random::<u8>()),
        "numeric" if big => {
            format!(
                "({}repeat('{}', 60000))::numeric",
                if rng.random() { "'-' || " } else { "" },
                rng.random_range(1..10)
            )
        }
        "int4[]" if big => "(SELECT array_agg(i) FROM generate_series(1, 3000) i)".to_owned(),
        "text" => quoted(&text(rng)) + "::text",
        _ if rng.random_ratio(1, 2) => return None,
        "int2" => format!("'{}'::int2", rng.random::<i16>()),
        "int4" => format!("'{}'::int4", rng.random::<i32>() >> rng.random_range(0..32)),
        "int8" => format!("'{}'::int8", rng.random::<i64>() >> rng.random_range(0..64)),
        "float4" => format!("'{}'::float4", f32::from_bits(rng.random()).clamp(-1e37, 1e37)),
        "float8" => format!("'{:e}'::float8", f64::from_bits(rng.random()).clamp(-1e307, 1e307)),
        "numeric" => {
            let digits = rng.random::<i64>() >> rng.random_range(0..64);
            format!("'{digits}e{}'::numeric", rng.random_range(-30..30))
        }
        "varchar" | "name" | "varchar(300)" => {
            let short: String = text(rng).chars().take(15).collect();
            quoted(&short) + "::" + ty
        }
        "jsonb" | "json" => format!("to_{ty}({}::text)", quoted(&text(rng))),
        "uuid" => format!("'{:032x}'::uuid", rng.random::<u128>()),
        "date" => format!("('2000-01-01'::date + {})", rng.random_range(-800_000..2_000_000)),
        "timestamp" | "timestamptz" => {
            let seconds = rng.random_range(-80_000_000_000_i64..200_000_000_000);
            let micros = rng.random_range(0..1_000_000);
            format!("('2000-01-01 UTC'::{ty} + '{seconds}.{micros:06} s'::interval)")
        }
        _ => return None,
    };
    Some(expression)
}
