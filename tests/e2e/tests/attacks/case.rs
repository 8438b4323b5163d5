//! Attacks as they stand in tests/attacks/cases: a header that says who does what, and a script.

use std::path::{Path, PathBuf};

use audit_guard_e2e::Result;

use crate::target::{Target, Who};

/// How strongly a server guards: without the library preloaded, with it, and with everything refused that
/// could lead around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Without,
    On,
    Strict,
}

impl Level {
    pub(crate) const ALL: [Self; 3] = [Self::Without, Self::On, Self::Strict];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Without => "without preload",
            Self::On => "lockdown on",
            Self::Strict => "lockdown strict",
        }
    }
}

/// Where an attack is known to get through.
struct Open {
    level: Level,
    from_version: u32,
    reason: String,
}

/// One attack.
pub(crate) struct Case {
    /// Name of the file without its ending, `020_truncate_partition`.
    pub(crate) name: String,
    /// What is done, in one line.
    pub(crate) attack: String,
    pub(crate) actors: Vec<Who>,
    pub(crate) targets: Vec<Target>,
    /// Why it does no damage even where nothing guards.
    pub(crate) harmless: Option<String>,
    /// SQLSTATEs beside the guard's own with which it may be refused, or which follow from a refusal.
    pub(crate) also_refused_with: Vec<String>,
    /// SQLSTATEs that the server itself answers with where nothing guards.
    pub(crate) fails_anyway: Vec<String>,
    /// Also tried on databases that were dumped and restored, and upgraded.
    pub(crate) travels: bool,
    pub(crate) script: String,
    open: Vec<Open>,
    since_version: u32,
    until_version: u32,
    extensions: Vec<String>,
}

impl Case {
    /// All attacks, in the order of their numbers.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../attacks/cases");
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.sort();
        let cases = files.iter().map(|file| {
            let name = file.file_stem().and_then(|s| s.to_str()).ok_or("a file without a name")?;
            Self::parse(name, &std::fs::read_to_string(file)?).map_err(|e| format!("{name}: {e}").into())
        });
        cases.collect()
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let mut case = Self {
            name: name.to_owned(),
            attack: String::new(),
            actors: Vec::new(),
            targets: vec![Target::Stream, Target::Plain, Target::Parted],
            harmless: None,
            also_refused_with: Vec::new(),
            fails_anyway: Vec::new(),
            travels: false,
            script: String::new(),
            open: Vec::new(),
            since_version: 0,
            until_version: u32::MAX,
            extensions: Vec::new(),
        };
        let mut header = true;
        for line in text.lines() {
            match line.strip_prefix("-- ").and_then(|line| line.split_once(": ")) {
                Some((key, value)) if header => case.head(key, value)?,
                _ => {
                    header = false;
                    case.script.push_str(line);
                    case.script.push('\n');
                }
            }
        }
        if case.attack.is_empty() || case.actors.is_empty() || case.script.trim().is_empty() {
            return Err("it needs an attack, somebody who does it, and a script".into());
        }
        Ok(case)
    }

    fn head(&mut self, key: &str, value: &str) -> Result<()> {
        let words = || value.split(", ").map(str::to_owned).collect::<Vec<_>>();
        match key {
            "Attack" => self.attack = value.to_owned(),
            "As" => self.actors = words().iter().map(|w| Who::named(w)).collect::<Result<_>>()?,
            "On" => self.targets = words().iter().map(|w| Target::named(w)).collect::<Result<_>>()?,
            "Harmless" => self.harmless = Some(value.to_owned()),
            "Also refused with" => self.also_refused_with = words(),
            "Fails anyway" => self.fails_anyway = words(),
            "Travels" => self.travels = value == "yes",
            "Since" => self.since_version = value.parse()?,
            "Until" => self.until_version = value.parse()?,
            "Extension" => self.extensions = words(),
            _ => match key.strip_prefix("Open ") {
                Some(place) => self.head_open(place, value)?,
                None => return Err(format!("unknown header {key}").into()),
            },
        }
        Ok(())
    }

    /// `Open without preload from 17: reason`
    fn head_open(&mut self, place: &str, reason: &str) -> Result<()> {
        let (level, from) = place.split_once(" from ").unwrap_or((place, "0"));
        let level = Level::ALL.into_iter().find(|l| l.name() == level);
        let level = level.ok_or_else(|| format!("unknown level in {place}"))?;
        self.open.push(Open { level, from_version: from.parse()?, reason: reason.to_owned() });
        Ok(())
    }

    /// Everybody who tries it on everything.
    pub(crate) fn variants(&self) -> impl Iterator<Item = (Who, Target)> {
        self.actors.iter().flat_map(|who| self.targets.iter().map(move |target| (*who, *target)))
    }

    /// Its number in the list, `020`.
    pub(crate) fn number(&self) -> &str {
        self.name.split('_').next().unwrap_or_default()
    }

    /// Why it gets through there, when it is known to.
    pub(crate) fn open_reason(&self, level: Level, version: u32) -> Option<&str> {
        let open = self.open.iter().find(|o| o.level == level && version >= o.from_version)?;
        Some(&open.reason)
    }

    /// Whether it is one of those that only the strict lockdown stops.
    pub(crate) fn needs_strict(&self) -> bool {
        self.open.iter().any(|o| o.level == Level::On)
    }

    /// Whether a server has what the attack is about.
    pub(crate) fn exists_on(&self, version: u32, extensions: &[String]) -> bool {
        (self.since_version..=self.until_version).contains(&version)
            && self.extensions.iter().all(|needed| extensions.contains(needed))
    }
}
