//! Cuts a kernel's BTF down to what the agent asks for: the fields, tracepoints, enumerators and iterators.
//!
//! Offsets and sizes stay; what a pointer points to, and all that nobody asks for, goes.

use std::collections::{BTreeMap, BTreeSet};

use stall_agent::kernel::catalog::{CATALOG, Kind};
use stall_agent::kernel::{layout, support};

use crate::model::{
    ARRAY, ENUM, ENUM64, FUNC, FUNC_PROTO, PTR, STRUCT, TYPEDEF, Type, Types, UNION,
};

pub(crate) fn cut(all: &Types) -> Types {
    let (fields, mut enumerators) = layout::wanted();
    enumerators.push(support::CURRENT_TASK);
    let names = fields
        .iter()
        .flat_map(|(_, path)| path.split('.'))
        .collect();
    let structures: BTreeSet<_> = fields.iter().map(|(structure, _)| *structure).collect();
    let mut cut = Cut {
        all,
        names,
        new: Types::default(),
        known: BTreeMap::new(),
    };
    let mut seen = BTreeSet::new();
    for (index, of) in all.0.iter().enumerate() {
        if of.kind == STRUCT && structures.contains(of.name.as_str()) && seen.insert(&of.name) {
            cut.take(index as u32 + 1);
        }
        if of.kind == ENUM || of.kind == ENUM64 {
            cut.enumerators(of, &enumerators);
        }
        cut.hook(of);
    }
    cut.new
}

struct Cut<'a> {
    all: &'a Types,
    /// Names of members that are kept, in whatever structure.
    names: BTreeSet<&'a str>,
    new: Types,
    /// New ids by old ones.
    known: BTreeMap<u32, u32>,
}

impl Cut<'_> {
    /// The new id of a type.
    fn take(&mut self, id: u32) -> u32 {
        if id == 0 {
            return 0;
        }
        if let Some(new) = self.known.get(&id) {
            return *new;
        }
        let mut of = self.all.0[id as usize - 1].clone();
        let new = self.new.add(of.clone());
        self.known.insert(id, new);
        match of.kind {
            PTR => of.size_or_type = 0,
            STRUCT | UNION => {
                of.parts
                    .retain(|(name, _)| name.is_empty() || self.names.contains(name.as_str()));
                for (_, words) in &mut of.parts {
                    words[0] = self.take(words[0]);
                }
            }
            ARRAY => {
                of.rest[0] = self.take(of.rest[0]);
                of.rest[1] = 0;
            }
            ENUM | ENUM64 => of.parts.clear(),
            TYPEDEF..=11 | 18 => of.size_or_type = self.take(of.size_or_type),
            _ => {}
        }
        self.new.0[new as usize - 1] = of;
        new
    }

    fn enumerators(&mut self, of: &Type, wanted: &[&str]) {
        let mut of = of.clone();
        of.parts.retain(|(name, _)| wanted.contains(&name.as_str()));
        if !of.parts.is_empty() {
            self.new.add(of);
        }
    }

    fn hook(&mut self, of: &Type) {
        let is = |prefix: &str, kind: Kind| {
            let name = of.name.strip_prefix(prefix);
            name.is_some_and(|name| {
                CATALOG
                    .iter()
                    .any(|row| row.kind == kind && row.hook == name)
            })
        };
        if of.kind == FUNC && is("bpf_iter_", Kind::Iterator) {
            self.new.add(Type::new(FUNC, &of.name, 0));
        }
        if of.kind == TYPEDEF && is("btf_trace_", Kind::Tracepoint) {
            let pointer = &self.all.0[of.size_or_type as usize - 1];
            let count = self.all.0[pointer.size_or_type as usize - 1].parts.len();
            self.tracepoint(&of.name, count);
        }
    }

    fn tracepoint(&mut self, name: &str, arguments: usize) {
        let mut proto = Type::new(FUNC_PROTO, "", 0);
        proto.parts = vec![(String::new(), vec![0]); arguments];
        let proto = self.new.add(proto);
        let pointer = self.new.add(Type::new(PTR, "", proto));
        self.new.add(Type::new(TYPEDEF, name, pointer));
    }
}
