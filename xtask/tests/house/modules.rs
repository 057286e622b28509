//! Which module of a crate names what another one defines, read from its sources.
//!
//! Contract: a name leads to the file that defines it, also through re-exports, in paths, imports and what macros are given; a
//! re-export itself is only an address. Test code counts for nothing. Methods and fields are not seen: they lead where the
//! type of their value leads, which was named before.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

type Id = usize;
type Names = Vec<String>;

/// The modules of one crate; the first is its root.
#[derive(Default)]
pub(crate) struct Modules(Vec<Module>);

#[derive(Default)]
struct Module {
    name: String,
    parent: Option<Id>,
    /// The module whose file it is in.
    file: Id,
    children: HashMap<String, Id>,
    items: HashSet<String>,
    imports: HashMap<String, Names>,
    globs: Vec<Names>,
    /// Paths in it, and the line of each.
    paths: Vec<(Names, usize)>,
}

/// From a file to one that it names something of, and where it does first.
pub(crate) type Arrows = BTreeMap<(Id, Id), String>;

impl Modules {
    /// All modules from the file of a crate's root on.
    pub(crate) fn read(root: &Path) -> Self {
        let mut modules = Self::default();
        let folder = root.parent().expect("a file has a folder");
        modules.file(None, "crate", root, folder);
        modules
    }

    /// `folder` has the files of its children.
    fn file(&mut self, parent: Option<Id>, name: &str, file: &Path, folder: &Path) -> Id {
        let text = fs::read_to_string(file);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text);
        let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let id = self.0.len();
        let module = Module {
            name: name.to_owned(),
            parent,
            file: id,
            ..Module::default()
        };
        self.0.push(module);
        self.items(id, &parsed.items, folder);
        id
    }

    fn items(&mut self, id: Id, items: &[Item], folder: &Path) {
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            if let Some(name) = name(item) {
                self.0[id].items.insert(name);
            }
            match item {
                Item::Mod(module) => self.child(id, module, folder),
                Item::Use(import) => {
                    let known = self.0[id].paths.len();
                    let line = import.use_token.span.start().line;
                    self.import(id, &import.tree, &mut Names::new(), line);
                    if !matches!(import.vis, Visibility::Inherited) {
                        self.0[id].paths.truncate(known);
                    }
                }
                item => {
                    let mut inside = Inside::default();
                    inside.visit_item(item);
                    self.0[id].paths.extend(inside.paths);
                    for (tree, line) in &inside.imports {
                        self.import(id, tree, &mut Names::new(), *line);
                    }
                }
            }
        }
    }

    fn child(&mut self, id: Id, module: &syn::ItemMod, folder: &Path) {
        let name = module.ident.to_string();
        let below = folder.join(&name);
        let child = if let Some((_, items)) = &module.content {
            let child = self.0.len();
            self.0.push(Module {
                name: name.clone(),
                parent: Some(id),
                file: self.0[id].file,
                ..Module::default()
            });
            self.items(child, items, &below);
            child
        } else {
            let beside = folder.join(format!("{name}.rs"));
            let inside = below.join("mod.rs");
            let file = if beside.exists() { beside } else { inside };
            self.file(Some(id), &name, &file, &below)
        };
        self.0[id].children.insert(name, child);
    }

    fn import(&mut self, id: Id, tree: &UseTree, at: &mut Names, line: usize) {
        let (name, path) = match tree {
            UseTree::Path(path) => {
                at.push(path.ident.to_string());
                self.import(id, &path.tree, at, line);
                at.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(id, tree, at, line);
                }
                return;
            }
            UseTree::Glob(_) => {
                self.0[id].globs.push(at.clone());
                self.0[id].paths.push((with(at, "*"), line));
                return;
            }
            UseTree::Name(name) if name.ident == "self" => {
                (at.last().cloned().unwrap_or_default(), at.clone())
            }
            UseTree::Name(name) => (name.ident.to_string(), with(at, &name.ident.to_string())),
            UseTree::Rename(rename) if rename.ident == "self" => {
                (rename.rename.to_string(), at.clone())
            }
            UseTree::Rename(rename) => {
                let path = with(at, &rename.ident.to_string());
                (rename.rename.to_string(), path)
            }
        };
        self.0[id].paths.push((path.clone(), line));
        self.0[id].imports.insert(name, path);
    }

    /// The module that defines what a path names, seen from a module; nothing of another crate, of a module itself, or of
    /// what has no other place than here.
    fn owner(&self, from: Id, path: &[String], depth: usize) -> Option<Id> {
        let module = &self.0[from];
        let first = path.first()?;
        match first.as_str() {
            "crate" => self.walk(0, &path[1..], depth),
            "self" => self.walk(from, &path[1..], depth),
            "super" => self.walk(module.parent?, &path[1..], depth),
            _ if module.children.contains_key(first) || module.items.contains(first) => {
                self.walk(from, path, depth)
            }
            // An external crate's name leads to itself.
            _ => {
                let to = module.imports.get(first).filter(|to| to[0] != *first)?;
                self.through(from, to, &path[1..], depth)
            }
        }
    }

    fn walk(&self, at: Id, path: &[String], depth: usize) -> Option<Id> {
        let module = &self.0[at];
        let first = path.first()?;
        if first == "super" {
            return self.walk(module.parent?, &path[1..], depth);
        }
        if let Some(child) = module.children.get(first) {
            return self.walk(*child, &path[1..], depth);
        }
        if module.items.contains(first) || first == "*" {
            return Some(at);
        }
        if let Some(to) = module.imports.get(first) {
            return self.through(at, to, &path[1..], depth);
        }
        let globs = module.globs.iter();
        let mut there = globs.filter_map(|glob| self.through(at, glob, path, depth));
        there.find(|id| self.0[*id].items.contains(first))
    }

    /// An address is followed a few times: two may lead to each other.
    fn through(&self, from: Id, to: &[String], rest: &[String], depth: usize) -> Option<Id> {
        (depth < 8).then(|| self.owner(from, &[to, rest].concat(), depth + 1))?
    }

    pub(crate) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (id, module) in self.0.iter().enumerate() {
            for (path, line) in &module.paths {
                let Some(owner) = self.owner(id, path, 0) else {
                    continue;
                };
                let (from, to) = (module.file, self.0[owner].file);
                if from != to {
                    let why = || format!("{}:{line} names {}", self.path(from), path.join("::"));
                    arrows.entry((from, to)).or_insert_with(why);
                }
            }
        }
        arrows
    }

    /// What lead back to where they began: files that name each other, and rooms (a module with all below it, among the others
    /// of its parent) of which files do. One sentence for each.
    pub(crate) fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let mut found = circles(&arrows);
        for parent in 0..self.0.len() {
            let mut rooms = Arrows::new();
            for ((from, to), why) in &arrows {
                if let (Some(from), Some(to)) = (self.room(parent, *from), self.room(parent, *to))
                    && from != to
                {
                    rooms.entry((from, to)).or_insert_with(|| why.clone());
                }
            }
            found.extend(circles(&rooms));
        }
        found.sort();
        found.dedup();
        found
    }

    /// The child of a parent that a module is, or is below of.
    fn room(&self, parent: Id, mut id: Id) -> Option<Id> {
        loop {
            let above = self.0[id].parent?;
            if above == parent {
                return Some(id);
            }
            id = above;
        }
    }

    fn path(&self, id: Id) -> String {
        let module = &self.0[id];
        match module.parent {
            Some(parent) => format!("{}::{}", self.path(parent), module.name),
            None => module.name.clone(),
        }
    }
}

/// The arrows of each circle, as one text.
fn circles(arrows: &Arrows) -> Vec<String> {
    let reachable = |from: Id| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            let next = arrows.keys().filter(|(from, _)| *from == at);
            open.extend(next.map(|(_, to)| *to).filter(|to| seen.insert(*to)));
        }
        seen
    };
    let nodes: BTreeSet<Id> = arrows.keys().map(|(from, _)| *from).collect();
    let reach: BTreeMap<Id, BTreeSet<Id>> = nodes.iter().map(|id| (*id, reachable(*id))).collect();
    let mut circles: BTreeMap<BTreeSet<Id>, Vec<&str>> = BTreeMap::new();
    for ((from, to), why) in arrows {
        let back = |id: &Id| {
            reach[from].contains(id) && reach.get(id).is_some_and(|all| all.contains(from))
        };
        if back(to) {
            let circle = nodes.iter().copied().filter(back).collect();
            circles.entry(circle).or_default().push(why);
        }
    }
    circles.into_values().map(|whys| whys.join("; ")).collect()
}

/// Paths and imports inside of an item.
#[derive(Default)]
struct Inside {
    paths: Vec<(Names, usize)>,
    imports: Vec<(UseTree, usize)>,
}

impl<'a> Visit<'a> for Inside {
    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter();
            let names: Names = names.map(|segment| segment.ident.to_string()).collect();
            let line = path.segments[0].ident.span().start().line;
            self.paths.push((names, line));
        }
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, import: &'a syn::ItemUse) {
        let line = import.use_token.span.start().line;
        self.imports.push((import.tree.clone(), line));
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'a Attribute) {}
}

impl Inside {
    /// What a macro is given may be anything: each `a::b` in it is a path.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut line, mut colons) = (Names::new(), 0, 0);
        for token in tokens {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.paths.push((std::mem::take(&mut path), line));
                    }
                    line = ident.span().start().line;
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.paths.push((std::mem::take(&mut path), line));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.paths.push((path, line));
    }
}

fn with(path: &[String], name: &str) -> Names {
    [path, &[name.to_owned()]].concat()
}

/// `#[test]`, `#[cfg(test)]` and `#[cfg(all(test, ..))]`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) => {
            let tokens = list.tokens.to_string();
            list.path.is_ident("cfg") && (tokens == "test" || tokens.starts_with("all (test"))
        }
        syn::Meta::NameValue(_) => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
