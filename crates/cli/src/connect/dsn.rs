//! Connection strings: `host=... dbname=...` and `postgresql://...`, with the environment behind them.

use std::collections::BTreeMap;

use crate::failure::{Failure, Result};

/// What can be set, and the variable that sets it when the connection string does not.
const KNOWN: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("dbname", "PGDATABASE"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];

/// What libpq knows and what changes nothing here.
const WITHOUT_EFFECT: &[&str] = &[
    "client_encoding",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];

/// The settings of a connection by libpq's names.
#[derive(Clone)]
pub(crate) struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Reads a connection string; what it leaves out comes from the environment. Says nothing about the text
    /// in its errors, because there may be a password in it.
    pub(crate) fn parse(dsn: &str) -> Result<Self> {
        Self::parse_with(dsn, |name| std::env::var(name).ok())
    }

    fn parse_with(dsn: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let trimmed = dsn.trim();
        let uri = ["postgresql://", "postgres://"].iter().find_map(|scheme| trimmed.strip_prefix(scheme));
        let pairs = match uri {
            Some(rest) => uri_pairs(rest),
            // As with psql -d, a word by itself names the database.
            None if !trimmed.is_empty() && !trimmed.contains('=') => {
                Some(vec![("dbname".to_owned(), trimmed.to_owned())])
            }
            None => keyword_pairs(trimmed),
        };
        let pairs = pairs.ok_or_else(|| Failure::usage("the connection string cannot be understood"))?;
        let mut settings = BTreeMap::new();
        for (name, value) in pairs {
            if KNOWN.iter().any(|(known, _)| *known == name) {
                settings.insert(name, value);
            } else if !WITHOUT_EFFECT.contains(&name.as_str()) {
                return Err(Failure::usage(unknown(&name)));
            }
        }
        for (name, variable) in KNOWN {
            if !settings.contains_key(*name)
                && let Some(value) = environment(variable)
            {
                settings.insert((*name).to_owned(), value);
            }
        }
        settings.retain(|_, value| !value.is_empty());
        Ok(Self(settings))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A setting that may name several, separated by commas.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        self.get(name)
            .map(|value| value.split(',').filter(|part| !part.is_empty()).collect())
            .unwrap_or_default()
    }

    /// Who connects: as asked, else the name of the person at the operating system.
    pub(crate) fn user(&self) -> Result<String> {
        let known = self.get("user").map(str::to_owned);
        known
            .or_else(|| std::env::var("USER").ok())
            .or_else(|| std::env::var("LOGNAME").ok())
            .filter(|name| !name.is_empty())
            .ok_or_else(|| Failure::usage("the connection string names no user, and neither does PGUSER"))
    }
}

/// A word that is no setting may be a piece of a password with a blank in it, so only names of settings that
/// exist elsewhere are repeated.
fn unknown(name: &str) -> String {
    let elsewhere = [
        "service",
        "sslcrl",
        "sslcrldir",
        "krbsrvname",
        "gsslib",
        "requirepeer",
        "replication",
        "channel_binding",
        "load_balance_hosts",
        "require_auth",
        "sslsni",
        "sslpassword",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "sslcompression",
        "sslcertmode",
    ];
    match elsewhere.contains(&name) {
        true => format!("the setting {name} of the connection string is not supported"),
        false => "the connection string holds a name that is no setting of a connection".to_owned(),
    }
}

/// `name = value` pairs; values with blanks stand in single quotes, `\` takes the next character as it is.
fn keyword_pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return Some(pairs);
        }
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_whitespace()) {
            name.push(c);
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.next() != Some('=') {
            return None;
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match rest.next() {
                Some('\\') => value.push(rest.next()?),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return None,
                None => break,
            }
        }
        pairs.push((name, value));
    }
}

/// What follows `postgresql://`: `user:password@host:port,host:port/database?name=value&...`.
fn uri_pairs(rest: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (person, places) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = person.split_once(':').unwrap_or((person, ""));
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for place in places.split(',') {
        // An IPv6 address stands in brackets.
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, port.strip_prefix(':').unwrap_or(port))
            }
            None => place.split_once(':').unwrap_or((place, "")),
        };
        hosts.push(percent_decoded(host)?);
        ports.push(if port.is_empty() { "5432" } else { port }.to_owned());
    }
    pairs.push(("user".to_owned(), percent_decoded(user)?));
    pairs.push(("password".to_owned(), percent_decoded(password)?));
    pairs.push(("dbname".to_owned(), percent_decoded(database)?));
    if !places.is_empty() {
        pairs.push(("host".to_owned(), hosts.join(",")));
        if places.contains("]:")
            || places.split(',').any(|place| !place.starts_with('[') && place.contains(':'))
        {
            pairs.push(("port".to_owned(), ports.join(",")));
        }
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        pairs.push((percent_decoded(name)?, percent_decoded(value)?));
    }
    // What is empty in the address is not set.
    pairs.retain(|(_, value)| !value.is_empty());
    Some(pairs)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok().filter(|byte| *byte != 0)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(dsn: &str) -> Option<String> {
        let settings =
            Settings::parse_with(dsn, |name| (name == "PGHOST").then(|| "from-env".to_owned())).ok()?;
        Some(settings.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn both_forms_and_the_environment() {
        let cases = [
            ("", "host=from-env"),
            ("shop", "dbname=shop host=from-env"),
            (
                "host=/run/pg port = 5433 dbname='a b' password='it\\'s'",
                "dbname=a b host=/run/pg password=it's port=5433",
            ),
            (
                "postgresql://ada:p%40ss@db1:5433,db2/shop?sslmode=verify-full",
                "dbname=shop host=db1,db2 password=p@ss port=5433,5432 sslmode=verify-full user=ada",
            ),
            ("postgres://%2Fvar%2Frun/shop", "dbname=shop host=/var/run"),
            ("postgres://[::1]:7/", "host=::1 port=7"),
            ("postgres:///shop?host=/tmp&keepalives=1", "dbname=shop host=/tmp"),
        ];
        for (dsn, expected) in cases {
            assert_eq!(parsed(dsn).as_deref(), Some(expected), "{dsn}");
        }
    }

    #[test]
    fn mistakes_do_not_show_the_password() {
        for dsn in [
            "password=open sesame=1",
            "password='open",
            "postgres://u:sesame%zz@h/",
            "host=a sesame",
            "postgres://u:sesame@[::1/",
            "postgres://u@h/d?sesame",
        ] {
            let Err(failure) = Settings::parse(dsn) else { unreachable!("{dsn} was taken") };
            assert!(!failure.message.contains("sesame"), "{dsn}: {failure}");
        }
        assert!(unknown("service").contains("service"));
    }
}
