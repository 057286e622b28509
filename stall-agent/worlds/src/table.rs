//! Marks of many worlds, counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::score::{Level, Mark, Said};
use crate::truth::{State, Truth};

/// A world that was judged.
#[derive(Clone, Debug)]
pub struct Judged {
    pub family: &'static str,
    pub number: u64,
    pub coincident: bool,
    pub truth: Truth,
    pub said: Said,
    pub mark: Mark,
    /// Somebody who is innocent looks guilty.
    pub has_suspect: bool,
}

/// Counts of one family, or of all.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    pub worlds: u64,
    pub grey: u64,
    pub calm: u64,
    pub calm_told: u64,
    pub hurt: u64,
    pub hurt_told_calm: u64,
    pub hurt_told_calm_at_high: u64,
    /// Of those that are not grey.
    pub inconclusive: u64,
    pub right: u64,
    /// By confidence: verdicts and those that are right, without grey worlds.
    pub high: [u64; 2],
    pub medium: [u64; 2],
    pub low: [u64; 2],
    /// Worlds with somebody innocent who looks guilty, and by confidence those in which one is named.
    pub suspects: u64,
    pub innocent_named: [u64; 3],
    pub with_culprit: u64,
    pub culprit_found: u64,
    /// In parts of 1; the middle one.
    pub share_error: Option<f64>,
    #[serde(skip)]
    errors: Vec<f64>,
}

impl Counts {
    fn add(&mut self, judged: &Judged) {
        self.worlds += 1;
        let (mark, said) = (&judged.mark, &judged.said);
        match judged.truth.state {
            State::Grey => {
                self.grey += 1;
                return;
            }
            State::Calm => {
                self.calm += 1;
                self.calm_told += u64::from(mark.says_calm);
            }
            State::Hurt => {
                self.hurt += 1;
                self.hurt_told_calm += u64::from(mark.says_calm);
                let is_high = said.level == Some(Level::High);
                self.hurt_told_calm_at_high += u64::from(mark.says_calm && is_high);
            }
        }
        self.right += u64::from(mark.is_right);
        self.inconclusive += u64::from(mark.is_inconclusive);
        let level = match said.level {
            Some(Level::High) => Some(&mut self.high),
            Some(Level::Medium) => Some(&mut self.medium),
            Some(Level::Low) => Some(&mut self.low),
            None => None,
        };
        self.suspects += u64::from(judged.has_suspect);
        if let Some(counts) = level {
            counts[0] += 1;
            counts[1] += u64::from(mark.is_right);
        }
        if judged.has_suspect
            && let Some(level) = mark.innocents.iter().map(|(_, level)| *level).max()
        {
            self.innocent_named[level as usize] += 1;
        }
        self.with_culprit += u64::from(mark.has_culprit);
        self.culprit_found += u64::from(mark.has_culprit && mark.found);
        self.errors.extend(&mark.share_errors);
    }
}

/// All counts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// Without those in which trouble and suspect coincide by construction.
    pub all: Counts,
    /// Only those.
    pub coincident: Counts,
    pub families: BTreeMap<&'static str, Counts>,
}

/// The most that shares may be off, the middle one of all, in parts of 1.
const SHARE_ERROR: f64 = 0.10;

fn middle(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn percent(part: u64, all: u64) -> String {
    match all {
        0 => "-".to_owned(),
        _ => format!("{:.1} %", 100.0 * part as f64 / all as f64),
    }
}

/// A part of a whole, and what it should be at least or at most, in percent.
struct Row {
    name: String,
    part: u64,
    of: u64,
    goal: Option<Goal>,
}

#[derive(Clone, Copy)]
enum Goal {
    Least(f64),
    Most(f64),
}

impl Row {
    fn is_missed(&self) -> bool {
        let value = 100.0 * self.part as f64 / self.of.max(1) as f64;
        self.of > 0
            && match self.goal {
                Some(Goal::Least(bound)) => value < bound,
                Some(Goal::Most(bound)) => value > bound,
                None => false,
            }
    }
}

impl Table {
    /// Of all worlds.
    #[must_use]
    pub fn of(judged: &[Judged]) -> Self {
        let mut table = Self::default();
        for judged in judged {
            let of = if judged.coincident {
                &mut table.coincident
            } else {
                &mut table.all
            };
            of.add(judged);
            table.families.entry(judged.family).or_default().add(judged);
        }
        let all = table
            .families
            .values_mut()
            .chain([&mut table.all, &mut table.coincident]);
        for counts in all {
            counts.share_error = middle(&mut counts.errors);
        }
        table
    }

    /// Goals that are missed, by name.
    #[must_use]
    pub fn missed(&self) -> Vec<String> {
        let rows = self.rows().into_iter().filter(Row::is_missed);
        let mut missed: Vec<String> = rows.map(|row| row.name).collect();
        if self
            .all
            .share_error
            .is_some_and(|error| error > SHARE_ERROR)
        {
            missed.push("error of shares".to_owned());
        }
        missed
    }

    fn rows(&self) -> Vec<Row> {
        let (all, apart) = (&self.all, &self.coincident);
        let told = |counts: &Counts| counts.worlds - counts.grey;
        let row = |name: &str, part: u64, of: u64, goal: Option<Goal>| Row {
            name: name.to_owned(),
            part,
            of,
            goal,
        };
        let least = |bound| Some(Goal::Least(bound));
        let most = |bound| Some(Goal::Most(bound));
        let named: u64 = apart.innocent_named.iter().sum();
        let [low, medium, high] = all.innocent_named;
        vec![
            row("grey", all.grey, all.worlds, None),
            row("right at high", all.high[1], all.high[0], least(98.0)),
            row("right at medium", all.medium[1], all.medium[0], least(90.0)),
            row("right at low", all.low[1], all.low[0], least(70.0)),
            row("innocent named at low", low, all.suspects, most(3.0)),
            row("innocent named at medium", medium, all.suspects, most(0.5)),
            row("innocent named at high", high, all.suspects, most(0.1)),
            row(
                "culprit found",
                all.culprit_found,
                all.with_culprit,
                least(95.0),
            ),
            row("calm told as calm", all.calm_told, all.calm, least(98.0)),
            row("hurt told as calm", all.hurt_told_calm, all.hurt, most(1.0)),
            row(
                "hurt told as calm, high",
                all.hurt_told_calm_at_high,
                all.hurt,
                most(0.0),
            ),
            row("inconclusive", all.inconclusive, told(all), most(8.0)),
            row("coincident: innocent named", named, apart.suspects, None),
            row(
                "coincident: inconclusive",
                apart.inconclusive,
                told(apart),
                None,
            ),
        ]
    }

    /// A row of cells for each family, after one of their names.
    fn by_family(&self) -> Vec<[String; 12]> {
        let names = [
            "family",
            "worlds",
            "grey",
            "calm",
            "hurt",
            "right",
            "high",
            "medium",
            "low",
            "innocents",
            "culprit",
            "inconcl",
        ];
        let of = |part: u64, all: u64| format!("{part}/{all}");
        let row = |(name, counts): (&&str, &Counts)| {
            let named = counts.innocent_named.iter().sum();
            [
                (*name).to_owned(),
                counts.worlds.to_string(),
                counts.grey.to_string(),
                counts.calm.to_string(),
                counts.hurt.to_string(),
                percent(counts.right, counts.worlds - counts.grey),
                of(counts.high[1], counts.high[0]),
                of(counts.medium[1], counts.medium[0]),
                of(counts.low[1], counts.low[0]),
                of(named, counts.suspects),
                of(counts.culprit_found, counts.with_culprit),
                counts.inconclusive.to_string(),
            ]
        };
        let names = std::iter::once(names.map(str::to_owned));
        names.chain(self.families.iter().map(row)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.rows() {
            let goal = match row.goal {
                Some(Goal::Least(bound)) => format!(", at least {bound} %"),
                Some(Goal::Most(bound)) => format!(", at most {bound} %"),
                None => String::new(),
            };
            let (name, missed) = (&row.name, if row.is_missed() { ": missed" } else { "" });
            let (part, of) = (row.part, row.of);
            writeln!(
                to,
                "{name:<30}{:>8}  ({part} of {of}{goal}){missed}",
                percent(part, of)
            )?;
        }
        let error = self
            .all
            .share_error
            .map(|error| format!("{:.1}", 100.0 * error));
        let error = error.unwrap_or_else(|| "-".to_owned());
        writeln!(
            to,
            "{:<30}{error:>8}  points (median, at most {:.0})\n",
            "error of shares",
            100.0 * SHARE_ERROR
        )?;
        for [name, cells @ ..] in self.by_family() {
            write!(to, "{name:<26}")?;
            for cell in cells {
                write!(to, "{cell:>10}")?;
            }
            writeln!(to)?;
        }
        Ok(())
    }
}
