//! Every hook and field taken away, one at a time: either one sentence and an exit code, or all the other programs and
//! what the report lacks. `UPDATE_GOLDEN=1` writes `degrade.json` anew; read the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use stall_agent::failure::{Failure, code};
use stall_agent::kernel::catalog::{CATALOG, Kind, Row};
use stall_agent::kernel::layout;
use stall_agent::kernel::support::{self, Facts};
use stall_agent::probe::coverage;
use stall_agent::probe::plan::{self, Step, Verdict};

use crate::model::{ENUM, ENUM64, FUNC, STRUCT, TYPEDEF, Types, UNION};
use crate::{fixtures, folder, synthetic};

/// A kernel with every hook, one with every field, and one with stand-ins.
fn subjects() -> Vec<(String, Types)> {
    let known = ["6.12.117+deb12-amd64", "6.18.15+deb13-amd64"];
    let real = fixtures()
        .into_iter()
        .filter(|(name, _)| known.contains(&name.as_str()));
    let made = synthetic::kernels().into_iter();
    let made = made.map(|(kernel, bytes)| (kernel.name.to_owned(), bytes));
    let made = made.filter(|(name, _)| name == "5.15-synthetic");
    real.chain(made)
        .map(|(name, bytes)| (name, Types::read(&bytes)))
        .collect()
}

/// What comes of a kernel.
enum Outcome {
    Refused {
        sentence: String,
        code: u8,
    },
    Traced {
        loaded: BTreeSet<&'static str>,
        lacks: BTreeSet<String>,
    },
}

fn outcome(types: &Types) -> Outcome {
    let refused = |failure: Failure| Outcome::Refused {
        sentence: failure.to_string(),
        code: failure.exit_code(),
    };
    let facts = match support::facts_of(&types.write()) {
        Ok(facts) => facts,
        Err(error) => return refused(error.into()),
    };
    let steps = plan::plan(&facts);
    match plan::lacking(&steps) {
        Some((hook, why)) => refused(Failure::HookMissing {
            hook: format!("{hook} ({why})"),
        }),
        None => traced(&facts, &steps),
    }
}

fn traced(facts: &Facts, steps: &[Step]) -> Outcome {
    let loaded = steps.iter().filter(|step| step.verdict == Verdict::Load);
    let hooks = steps.iter().filter_map(|step| step.hook().lack);
    let fields = coverage::gaps(facts).into_iter().map(|gap| gap.lack);
    Outcome::Traced {
        loaded: loaded.map(|step| step.row.program).collect(),
        lacks: hooks.chain(fields).collect(),
    }
}

/// The kernel without something; nothing when it does not have it.
fn without_hook(types: &Types, row: &Row) -> Option<Types> {
    let (kind, name) = match row.kind {
        Kind::Tracepoint => (TYPEDEF, format!("btf_trace_{}", row.hook)),
        Kind::Iterator => (FUNC, format!("bpf_iter_{}", row.hook)),
    };
    let mut types = types.clone();
    let mut found = types.0.iter_mut();
    found
        .find(|of| of.kind == kind && of.name == name)?
        .name
        .clear();
    Some(types)
}

fn without_field(types: &Types, structure: &str, path: &str) -> Option<Types> {
    let mut types = types.clone();
    let is_it = |of: &crate::model::Type| of.kind == STRUCT && of.name == structure;
    let mut id = types.0.iter().position(is_it)? as u32 + 1;
    let (parents, leaf) = path.rsplit_once('.').unwrap_or(("", path));
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        let of = &types.0[id as usize - 1];
        id = bare(&types, of.parts.iter().find(|part| part.0 == parent)?.1[0]);
    }
    take(&mut types, id, leaf).then_some(types)
}

/// Takes a member away, in an anonymous structure too.
fn take(types: &mut Types, id: u32, leaf: &str) -> bool {
    let of = &mut types.0[id as usize - 1];
    let before = of.parts.len();
    of.parts.retain(|part| part.0 != leaf);
    if of.parts.len() < before {
        return true;
    }
    let nested: Vec<u32> = of
        .parts
        .iter()
        .filter(|part| part.0.is_empty())
        .map(|part| part.1[0])
        .collect();
    nested.into_iter().any(|inner| {
        let inner = bare(types, inner);
        inner != 0
            && [STRUCT, UNION].contains(&types.0[inner as usize - 1].kind)
            && take(types, inner, leaf)
    })
}

fn bare(types: &Types, mut id: u32) -> u32 {
    while id != 0 && (TYPEDEF..=11).contains(&types.0[id as usize - 1].kind) {
        id = types.0[id as usize - 1].size_or_type;
    }
    id
}

fn without_enumerator(types: &Types, name: &str) -> Option<Types> {
    let mut types = types.clone();
    let mut enums = types
        .0
        .iter_mut()
        .filter(|of| of.kind == ENUM || of.kind == ENUM64);
    let of = enums.find(|of| of.parts.iter().any(|part| part.0 == name))?;
    of.parts.retain(|part| part.0 != name);
    Some(types)
}

/// By what is taken away.
fn variants(types: &Types) -> BTreeMap<String, Types> {
    let (fields, enumerators) = layout::wanted();
    let hooks = CATALOG
        .iter()
        .map(|row| (row.hook.to_owned(), without_hook(types, row)));
    let fields = fields.iter().map(|(structure, path)| {
        (
            format!("{structure}.{path}"),
            without_field(types, structure, path),
        )
    });
    let enumerators = enumerators
        .iter()
        .map(|name| ((*name).to_owned(), without_enumerator(types, name)));
    let all = hooks.chain(fields).chain(enumerators);
    all.filter_map(|(name, types)| Some((name, types?)))
        .collect()
}

fn told(name: &str, base: &Outcome, now: &Outcome) -> Value {
    let Outcome::Traced {
        loaded: before,
        lacks: lacked,
    } = base
    else {
        panic!("the whole kernel is traced")
    };
    match now {
        Outcome::Refused { sentence, code } => {
            assert_eq!(*code, code::HOOK_MISSING, "{name}");
            let named = sentence.contains(name);
            assert!(named && sentence.lines().count() == 1, "{name}: {sentence}");
            json!({ "refused": sentence })
        }
        Outcome::Traced { loaded, lacks } => {
            let gone: Vec<_> = before.difference(loaded).collect();
            let instead: Vec<_> = loaded.difference(before).collect();
            let of_hook = |program: &&&str| {
                CATALOG
                    .iter()
                    .any(|row| row.program == **program && row.hook == name)
            };
            assert!(gone.iter().all(of_hook), "{name}: {gone:?} went, too");
            let lacks: Vec<_> = lacks.difference(lacked).collect();
            assert!(
                gone.is_empty() || !instead.is_empty() || !lacks.is_empty(),
                "{name}: nobody is told"
            );
            json!({ "gone": gone, "instead": instead, "lacks": lacks })
        }
    }
}

#[test]
fn what_is_taken_away_ends_in_a_sentence_or_is_named_in_the_report() {
    let mut all = BTreeMap::new();
    for (kernel, types) in subjects() {
        let base = outcome(&types);
        let rows = variants(&types).into_iter();
        let rows = rows.map(|(name, types)| (name.clone(), told(&name, &base, &outcome(&types))));
        all.insert(kernel, rows.collect::<BTreeMap<_, _>>());
    }
    let path = folder().join("degrade.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&all).unwrap();
        fs::write(&path, text + "\n").unwrap();
    }
    let expected: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    for (kernel, rows) in &all {
        assert!(rows.len() > 40, "{kernel}: {} variants", rows.len());
        for (name, row) in rows {
            assert_eq!(
                Some(row),
                expected[kernel].get(name),
                "{kernel} without {name}"
            );
        }
    }
}
