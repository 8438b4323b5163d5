//! How sessions differ: the settings a writer may have, and the ones images are made under.

use postgres::Client;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::Result;
use crate::values::quoted;

/// The settings every image is made under, whatever the writer's session has.
pub const PINNED: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres';
    SET bytea_output = 'hex'; SET extra_float_digits = 1; SET lc_monetary = 'C';";

/// Settings that change how values are printed, none of them the pinned ones.
const OTHERS: &[(&str, &[&str])] = &[
    ("TimeZone", &["Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati", "Europe/Amsterdam", "<+03>-3"]),
    ("DateStyle", &["SQL, DMY", "German", "Postgres, MDY", "ISO, YMD"]),
    ("IntervalStyle", &["sql_standard", "postgres_verbose", "iso_8601"]),
    ("bytea_output", &["escape"]),
    ("extra_float_digits", &["-15", "0", "3"]),
    ("xmloption", &["document", "content"]),
];

/// Gives a session random settings of its own and returns the statement that did it.
pub fn unsettle(client: &mut Client, rng: &mut StdRng, also: &[(&str, &[&str])]) -> Result<String> {
    let mut statement = String::new();
    for (name, values) in OTHERS.iter().chain(also) {
        let value = values.choose(rng).ok_or("a setting without values")?;
        let value = if *name == "DateStyle" { (*value).to_owned() } else { quoted(value) };
        statement.push_str(&format!("SET {name} = {value}; "));
    }
    client.batch_execute(&statement).map_err(|e| format!("{statement}: {e:?}"))?;
    Ok(statement)
}
