//! Which columns the rows of a stream have. The definition is text, and its hash is in every row.
//!
//! Names may hold any character. In the text a backslash is written as two, and a newline as `\n`.

use std::fmt::Write;

use super::Malformed;
use super::hash::{Hash, sha256};
use super::value::Type;

const TITLE: &str = "audit_guard schema 1";

/// The columns of a stream at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The number of the stream.
    pub stream_no: u16,
    /// The name of the stream.
    pub stream: String,
    /// The column that numbers the rows.
    pub number: String,
    /// The column that says when.
    pub time: String,
    /// The other columns, by number.
    pub fields: Vec<Field>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its number, which no other column of the stream ever gets.
    pub no: u16,
    /// Its name.
    pub name: String,
    /// What values it has.
    pub kind: Type,
    /// Whether its values can be erased without changing the leaf.
    pub erasable: bool,
}

/// What of a schema goes into a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreparedSchema {
    /// The number under which the schema is registered.
    pub schema_no: u32,
    /// [`Schema::sha256`].
    pub sha256: Hash,
}

impl Schema {
    /// The text of the schema.
    #[must_use]
    pub fn definition(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{TITLE}\nstream {} {}", self.stream_no, Escaped(&self.stream));
        let _ = writeln!(text, "number {}\ntime {}", Escaped(&self.number), Escaped(&self.time));
        for Field { no, name, kind, erasable } in &self.fields {
            let class = if *erasable { "erasable" } else { "plain" };
            let _ = writeln!(text, "field {no} {} {class} {}", kind.name(), Escaped(name));
        }
        text
    }

    /// The hash of the text.
    #[must_use]
    pub fn sha256(&self) -> Hash {
        sha256(&[self.definition().as_bytes()])
    }

    /// What goes into the rows when the schema has this number.
    #[must_use]
    pub fn prepare(&self, schema_no: u32) -> PreparedSchema {
        PreparedSchema { schema_no, sha256: self.sha256() }
    }

    /// The field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Reads what [`Self::definition`] wrote; no other text is taken.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the text is no definition.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut lines = text.strip_suffix('\n').ok_or(Malformed("its last line has no end"))?.split('\n');
        if lines.next() != Some(TITLE) {
            return Err(Malformed("it is no schema of version 1"));
        }
        let mut line = |word: &str| {
            let rest = lines.next().and_then(|line| line.strip_prefix(word));
            rest.ok_or(Malformed("a line is missing"))
        };
        let (stream_no, stream) =
            line("stream ")?.split_once(' ').ok_or(Malformed("the stream has no name"))?;
        let mut schema = Self {
            stream_no: small_number(stream_no)?,
            stream: unescape(stream)?,
            number: unescape(line("number ")?)?,
            time: unescape(line("time ")?)?,
            fields: Vec::new(),
        };
        for line in lines {
            let field = parse_field(line)?;
            if schema.fields.last().is_some_and(|last| last.no >= field.no) {
                return Err(Malformed("the fields are not in the order of their numbers"));
            }
            schema.fields.push(field);
        }
        Ok(schema)
    }
}

fn parse_field(line: &str) -> Result<Field, Malformed> {
    let parts: Vec<&str> = line.splitn(5, ' ').collect();
    let ["field", no, kind, class, name] = parts[..] else {
        return Err(Malformed("a line is no field"));
    };
    Ok(Field {
        no: small_number(no)?,
        name: unescape(name)?,
        kind: Type::parse(kind).ok_or(Malformed("a field is of an unknown type"))?,
        erasable: match class {
            "plain" => false,
            "erasable" => true,
            _ => return Err(Malformed("a field is neither plain nor erasable")),
        },
    })
}

/// A number from 1 to 65535, in the form in which it is printed.
fn small_number(text: &str) -> Result<u16, Malformed> {
    let number = text.parse::<u16>().ok().filter(|number| *number > 0 && number.to_string() == text);
    number.ok_or(Malformed("a number is not between 1 and 65535"))
}

struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

fn unescape(text: &str) -> Result<String, Malformed> {
    let mut name = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        name.push(match character {
            '\\' => match characters.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                _ => return Err(Malformed("a backslash stands alone")),
            },
            other => other,
        });
    }
    Ok(name)
}
