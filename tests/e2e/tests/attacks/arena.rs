//! Runs attacks in one cluster, judges what they did, and keeps databases that were not harmed for the next.

use audit_guard_e2e::Result;

use crate::apply;
use crate::case::{Case, Level};
use crate::judge::Sight;
use crate::script::{Attack, Said};
use crate::target::{Target, Who};
use crate::world::{GUARDED, Place, UNPROTECTED, World};

/// How an attack ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Refused, and everything is as it was.
    Refused,
    /// Not refused, and yet everything is as it was.
    Harmless,
    /// It changed what it must not change; how.
    Open(Vec<String>),
    /// It proves nothing: the script did not run as it was meant to.
    Broken(String),
}

/// What came of one attack, for everybody who tried it on everything.
pub(crate) type Outcomes = Vec<(Who, Target, Outcome)>;

/// What the guard refuses with.
const REFUSAL: &str = "23001";
/// What is refused by rights alone, and what a refusal leaves of a transaction.
const BY_RIGHTS: &str = "42501";
const AFTER_REFUSAL: &str = "25P02";

/// A cluster and the database in it that the next attack gets.
pub(crate) struct Arena<'a> {
    world: &'a World,
    guarded: Option<(Place<'a>, Sight)>,
    unprotected: Option<Sight>,
}

impl<'a> Arena<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Self { world, guarded: None, unprotected: None }
    }

    /// Where nothing guards: there everybody does the damage on everything, and no step fails. Attacks of one
    /// person on several tables share a database as long as the rows that are lost tell them apart.
    pub(crate) fn unprotected(&mut self, case: &Case) -> Result<Outcomes> {
        let before = match self.unprotected.take() {
            Some(sight) => sight,
            None => self.template(UNPROTECTED)?,
        };
        let mut outcomes = Vec::new();
        for who in &case.actors {
            let mut shared: Option<Place<'_>> = None;
            for target in &case.targets {
                if let Some(place) = &shared {
                    let said = run(case, *who, *target, place, self.world);
                    let ran = said.is_ok_and(|(said, _)| unexpected(case, &said).is_none());
                    let lost = ran && !before.has_rows(place, *target);
                    Attack::new(case, *who, *target, place).tidy()?;
                    if lost {
                        outcomes.push((*who, *target, Outcome::Open(Vec::new())));
                        continue;
                    }
                }
                let place = self.world.clone_of(UNPROTECTED)?;
                let outcome = self.alone(case, *who, *target, &place, &before);
                Attack::new(case, *who, *target, &place).tidy()?;
                outcomes.push((*who, *target, outcome.unwrap_or_else(|e| Outcome::Broken(e.to_string()))));
                if let Some(earlier) = shared.replace(place) {
                    earlier.drop();
                }
            }
            if let Some(place) = shared {
                place.drop();
            }
        }
        self.unprotected = Some(before);
        Ok(outcomes)
    }

    /// One attack in a database of its own without any guard.
    fn alone(
        &self,
        case: &Case,
        who: Who,
        target: Target,
        place: &Place<'_>,
        before: &Sight,
    ) -> Result<Outcome> {
        let (said, marked) = run(case, who, target, place, self.world)?;
        if let Some(why) = unexpected(case, &said) {
            return Ok(Outcome::Broken(format!("without any guard it fails: {why}")));
        }
        let before = marked.as_ref().unwrap_or(before);
        let damage = if before.has_rows(place, target) {
            Sight::of(place).damage(before)
        } else {
            vec![format!("rows of {} changed or gone", target.table())]
        };
        Ok(match (damage.is_empty(), &case.harmless) {
            (true, None) => Outcome::Broken("without any guard it does no damage".to_owned()),
            (true, Some(_)) => Outcome::Harmless,
            (false, None) => Outcome::Open(damage),
            (false, Some(_)) => Outcome::Broken(format!("it is not harmless: {}", shortly(&damage))),
        })
    }

    /// Against the guard; `source` has what a worker applies. Everybody tries it on everything in one
    /// database, which is judged once; only if that finds damage they are told apart.
    pub(crate) fn guarded(&mut self, case: &Case, level: Level, source: &World) -> Outcomes {
        let variants: Vec<(Who, Target)> = case.variants().collect();
        let alone = ["\\mark", "\\finally"].iter().any(|word| case.script.contains(word));
        let apart = alone || case.open_reason(level, self.world.version).is_some();
        if !apart && variants.len() > 1 {
            match self.attempt(case, &variants, source) {
                Ok(outcomes) if !outcomes.iter().any(|(.., o)| matches!(o, Outcome::Open(_))) => {
                    return outcomes;
                }
                _ => {}
            }
        }
        let mut outcomes = Vec::new();
        for (who, target) in variants {
            match self.attempt(case, &[(who, target)], source) {
                Ok(outcome) => outcomes.extend(outcome),
                Err(e) => outcomes.push((who, target, Outcome::Broken(e.to_string()))),
            }
        }
        outcomes
    }

    fn attempt(&mut self, case: &Case, variants: &[(Who, Target)], source: &World) -> Result<Outcomes> {
        let (place, before) = match self.guarded.take() {
            Some(kept) => kept,
            None => self.fresh()?,
        };
        let ended = attempt_in(&place, &before, case, variants, source);
        for (who, target) in variants {
            Attack::new(case, *who, *target, &place).tidy()?;
        }
        match ended {
            Ok((outcomes, after)) => {
                if outcomes.iter().any(|(.., o)| matches!(o, Outcome::Open(_))) {
                    place.drop();
                } else {
                    self.guarded = Some((place, after));
                }
                Ok(outcomes)
            }
            Err(e) => {
                self.world.revive()?;
                place.drop();
                Err(e)
            }
        }
    }

    fn fresh(&self) -> Result<(Place<'a>, Sight)> {
        let place = self.world.clone_of(GUARDED)?;
        let sight = Sight::of(&place);
        let lacks = sight.lacks(true);
        if lacks.is_empty() {
            Ok((place, sight))
        } else {
            Err(format!("at the start: {}", lacks.join("; ")).into())
        }
    }

    fn template(&self, name: &str) -> Result<Sight> {
        let template = Place { world: self.world, database: name.to_owned(), is_guarded: false };
        let sight = Sight::of(&template);
        let lacks = sight.lacks(false);
        if lacks.is_empty() { Ok(sight) } else { Err(format!("{name}: {}", lacks.join("; ")).into()) }
    }
}

/// Runs attacks in one database and judges it afterwards.
fn attempt_in(
    place: &Place<'_>,
    before: &Sight,
    case: &Case,
    variants: &[(Who, Target)],
    source: &World,
) -> Result<(Outcomes, Sight)> {
    let mut all = Vec::new();
    let mut marked = None;
    for (who, target) in variants {
        let (said, mark) = run(case, *who, *target, place, source)?;
        marked = mark.or(marked);
        all.push((*who, *target, said));
    }
    let after = Sight::of(place);
    let damage = after.damage(marked.as_ref().unwrap_or(before));
    if damage.is_empty() {
        place.sweep()?;
    }
    let judged =
        all.into_iter().map(|(who, target, said)| (who, target, conclude(case, who, &said, &damage)));
    Ok((judged.collect(), after))
}

/// Runs one attack; what it has made for itself goes when the next one begins.
fn run(
    case: &Case,
    who: Who,
    target: Target,
    place: &Place<'_>,
    source: &World,
) -> Result<(Vec<Said>, Option<Sight>)> {
    let mut attack = Attack::new(case, who, target, place);
    if who == Who::Apply {
        apply::run(&mut attack, source)?
    } else {
        attack.run()?
    }
    Ok((attack.said, attack.marked))
}

/// An error that has nothing to do with any guard.
fn unexpected(case: &Case, said: &[Said]) -> Option<String> {
    said.iter().find_map(|said| match &said.error {
        Some((code, told)) if !case.fails_anyway.contains(code) => Some(format!("{}: {told}", said.step)),
        _ => None,
    })
}

fn conclude(case: &Case, who: Who, said: &[Said], damage: &[String]) -> Outcome {
    let by_rights = matches!(who, Who::Plain | Who::Owner);
    let mut refused = false;
    let mut broken = None;
    for Said { step, error } in said {
        let Some((code, told)) = error else { continue };
        if code == REFUSAL || (by_rights && code == BY_RIGHTS) || case.also_refused_with.contains(code) {
            refused = true;
        } else if !(refused && code == AFTER_REFUSAL || case.fails_anyway.contains(code)) {
            broken.get_or_insert_with(|| format!("{step}: {told}"));
        }
    }
    match (damage.is_empty(), broken) {
        (false, _) => Outcome::Open(damage.to_vec()),
        (true, Some(e)) => Outcome::Broken(format!("fails for another reason: {e}")),
        (true, None) if refused => Outcome::Refused,
        (true, None) if case.harmless.is_some() => Outcome::Harmless,
        (true, None) => Outcome::Broken("neither refused nor anything changed".to_owned()),
    }
}

/// What an outcome is worth at a level: nothing when it is as declared, else what is wrong.
pub(crate) fn complaint(case: &Case, level: Level, version: u32, outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Open(_) if case.open_reason(level, version).is_some() => None,
        Outcome::Open(damage) => Some(format!("GOT THROUGH: {}", shortly(damage))),
        Outcome::Broken(why) => Some(why.clone()),
        Outcome::Refused | Outcome::Harmless => None,
    }
}

/// Enough of it to see what happened.
fn shortly(damage: &[String]) -> String {
    let facts = damage.iter().take(5).map(|fact| fact.chars().take(170).collect::<String>());
    format!("{} ({} in all)", facts.collect::<Vec<_>>().join("; "), damage.len())
}
