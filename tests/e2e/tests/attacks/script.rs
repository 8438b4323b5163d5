//! Runs an attack's script: SQL one statement after the other, going on after errors as attackers do. Words
//! in braces stand for what is attacked. A line that begins with a backslash is for this driver:
//!
//! * `\as ROLE`, `\in DATABASE`, `\reconnect`: another session
//! * `\if WORDS` to `\endif`: only for some targets, or servers (`since 17`, `before 17`)
//! * `\swallowed`: the SQLSTATE that the script has hidden in the setting `evil.swallowed`
//! * `\mark`: what is now, and not what was at the beginning, must still be there in the end
//! * `\finally`: what follows takes back what was done outside of the database
//! * `\single OPTIONS` to `\end`: in single-user mode; the other commands are in [`os::command`]

use std::collections::VecDeque;

use audit_guard_e2e::Result;
use postgres::Client;

use crate::case::Case;
use crate::judge::Sight;
use crate::os;
use crate::target::{Target, Who};
use crate::world::Place;

/// One statement, or one command for the driver.
#[derive(Clone, Debug)]
enum Step {
    Sql(String),
    Command(String, String),
}

/// What came of one step.
pub(crate) struct Said {
    pub(crate) step: String,
    /// SQLSTATE and text; nothing when it went through.
    pub(crate) error: Option<(String, String)>,
}

/// A running attack.
pub(crate) struct Attack<'a> {
    pub(crate) place: &'a Place<'a>,
    pub(crate) target: Target,
    pub(crate) said: Vec<Said>,
    /// What the judge saw when the script asked for it.
    pub(crate) marked: Option<Sight>,
    case: &'a Case,
    session: Option<Client>,
    role: String,
    database: String,
}

impl<'a> Attack<'a> {
    pub(crate) fn new(case: &'a Case, who: Who, target: Target, place: &'a Place<'a>) -> Self {
        let role = match who {
            Who::Plain => "mallory",
            Who::Owner => target.owner(),
            Who::Superuser | Who::Apply | Who::Os => "postgres",
        };
        Self {
            place,
            target,
            said: Vec::new(),
            marked: None,
            case,
            session: None,
            role: role.to_owned(),
            database: place.database.clone(),
        }
    }

    /// Runs the script up to what tidies up.
    pub(crate) fn run(&mut self) -> Result<()> {
        self.prepare()?;
        let mut steps: VecDeque<Step> = self.steps()?.0.into();
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Sql(sql) => self.sql(sql)?,
                Step::Command(name, rest) if name == "single" => {
                    let mut statements = Vec::new();
                    while let Some(Step::Sql(sql)) = steps.pop_front() {
                        statements.push(sql);
                    }
                    os::single_user(self, &rest, &statements)?;
                }
                Step::Command(name, rest) => self.command(&name, &rest)?,
            }
        }
        self.session = None;
        Ok(())
    }

    /// The statements of a script that runs elsewhere.
    pub(crate) fn statements(&self) -> Result<Vec<String>> {
        let steps = self.steps()?.0.into_iter();
        Ok(steps.filter_map(|step| if let Step::Sql(sql) = step { Some(sql) } else { None }).collect())
    }

    /// Takes back what the attack has done outside of its target.
    pub(crate) fn tidy(&self) -> Result<()> {
        let steps = self.steps()?.1;
        if steps.is_empty() {
            return Ok(());
        }
        let mut client =
            self.place.connect("postgres").or_else(|_| self.place.world.connect("postgres", "postgres"))?;
        for step in steps {
            if let Step::Sql(sql) = step {
                // What was refused is not there to be removed.
                drop(client.batch_execute(&sql));
            }
        }
        Ok(())
    }

    /// A schema in which the attacker may do everything.
    fn prepare(&self) -> Result<()> {
        self.place.sweep()?;
        let mut client = self.place.connect("postgres")?;
        Ok(client.batch_execute("CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC")?)
    }

    fn sql(&mut self, sql: String) -> Result<()> {
        if self.session.is_none() {
            self.session = Some(self.open()?);
        }
        let error = match self.session.as_mut().map(|s| s.batch_execute(&sql)) {
            Some(Err(e)) => {
                let code = e.code().map_or("closed", |code| code.code()).to_owned();
                if e.as_db_error().is_none_or(|e| e.severity() == "FATAL") {
                    self.session = None;
                }
                Some((code, crate::world::tell(&e)))
            }
            _ => None,
        };
        self.said.push(Said { step: sql, error });
        Ok(())
    }

    fn command(&mut self, name: &str, rest: &str) -> Result<()> {
        match name {
            "as" => rest.clone_into(&mut self.role),
            "in" => rest.clone_into(&mut self.database),
            "reconnect" => {}
            "swallowed" => {
                let query = "SELECT current_setting('evil.swallowed', true)";
                let code = self.session.as_mut().and_then(|s| s.query_one(query, &[]).ok()?.get(0));
                let error =
                    code.filter(|code: &String| !code.is_empty()).map(|c| (c, "swallowed".to_owned()));
                self.said.push(Said { step: name.to_owned(), error });
                return Ok(());
            }
            "mark" => {
                self.marked = Some(Sight::of(self.place));
                return Ok(());
            }
            _ => {
                self.session = None;
                return os::command(self, name, rest);
            }
        }
        self.session = None;
        Ok(())
    }

    fn open(&self) -> Result<Client> {
        // The owner of the log cannot log in: a superuser becomes that role.
        if self.role == "audit_owner" {
            let mut client = self.place.world.connect("postgres", &self.database)?;
            client.batch_execute("SET SESSION AUTHORIZATION audit_owner")?;
            return Ok(client);
        }
        self.place.world.connect(&self.role, &self.database)
    }

    /// The steps for this target and server: those of the attack, and those that tidy up.
    fn steps(&self) -> Result<(Vec<Step>, Vec<Step>)> {
        let (mut attack, mut last) = (Vec::new(), Vec::new());
        let (mut skipping, mut tidying, mut sql) = (false, false, String::new());
        for line in self.words(&self.case.script).replace(" \\\n", " ").lines() {
            let steps = if tidying { &mut last } else { &mut attack };
            match line.strip_prefix('\\').map(|l| l.split_once(' ').unwrap_or((l, ""))) {
                Some(("if", condition)) => skipping = !self.holds(condition)?,
                Some(("endif", _)) => skipping = false,
                _ if skipping => {}
                Some(("finally", _)) => tidying = true,
                Some((name, rest)) => steps.push(Step::Command(name.to_owned(), rest.trim().to_owned())),
                None if sql.is_empty() && (line.is_empty() || line.starts_with("--")) => {}
                None => {
                    sql.push_str(line);
                    sql.push('\n');
                    if line.ends_with(';') && sql.matches("$$").count() % 2 == 0 {
                        steps.push(Step::Sql(std::mem::take(&mut sql).trim().to_owned()));
                    }
                }
            }
        }
        if sql.is_empty() { Ok((attack, last)) } else { Err(format!("{sql}: where does it end?").into()) }
    }

    /// `stream`, `plain`, `parted`, `unprotected`, `since 17`, `before 17`; several mean one of them.
    fn holds(&self, condition: &str) -> Result<bool> {
        let version = self.place.world.version;
        for word in condition.split(", ") {
            let holds = match word.split_once(' ') {
                Some(("since", from)) => version >= from.parse()?,
                Some(("before", from)) => version < from.parse()?,
                None if word == "unprotected" => !self.place.is_guarded,
                None if word == "guarded" => self.place.is_guarded,
                None => Target::named(word)? == self.target,
                Some(_) => return Err(format!("\\if {condition}?").into()),
            };
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn words(&self, text: &str) -> String {
        let mut text = text.replace("{database}", &self.place.database);
        let dir = self.place.world.cluster.dir().display().to_string();
        text = text.replace("{socket}", &dir).replace("{folder}", &dir);
        for (word, meaning) in self.target.words(self.place.log_leaf()) {
            text = text.replace(&format!("{{{word}}}"), &meaning);
        }
        text
    }
}
