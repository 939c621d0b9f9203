//! What the modules of a crate use of each other, read from its source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};

/// A module's path inside its crate; empty for the root.
type Module = Vec<String>;

/// A use of one module by another, beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The module that uses.
    pub user: String,
    /// The module that is used.
    pub used: String,
    /// Where: the user, or a module inside it.
    pub from: String,
    /// What is used, from the crate's root.
    pub path: String,
}

/// A crate's modules without its tests.
pub struct Crate {
    /// Its name in paths.
    name: String,
    /// What each module names of its own crate, as paths from the root.
    uses: BTreeMap<Module, BTreeSet<Module>>,
    /// What each module names of other crates, their names first.
    others: BTreeMap<Module, BTreeSet<Module>>,
    /// What a module gives further under another module's name: `pub use`.
    given: BTreeMap<Module, Module>,
}

impl Crate {
    /// Reads `lib.rs` or `main.rs` of a folder, and every module from there.
    ///
    /// # Panics
    /// A file cannot be read, or is no Rust.
    pub fn read(name: &str, folder: &Path) -> Self {
        let name = name.replace('-', "_");
        let (uses, others, given) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut all = Self { name, uses, others, given };
        let root = ["lib.rs", "main.rs"].map(|f| folder.join(f)).into_iter().find(|f| f.is_file());
        let root = root.unwrap_or_else(|| panic!("no lib.rs or main.rs in {}", folder.display()));
        all.file(&root, folder, &Vec::new());
        all
    }

    fn file(&mut self, path: &Path, children: &Path, module: &Module) {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        self.items(&file.items, children, module);
    }

    fn items(&mut self, items: &[syn::Item], folder: &Path, module: &Module) {
        self.uses.entry(module.clone()).or_default();
        for item in items.iter().filter(|i| !is_test(attributes(i))) {
            match item {
                syn::Item::Mod(m) => {
                    let child = [&module[..], &[m.ident.unraw().to_string()]].concat();
                    let inside = folder.join(m.ident.unraw().to_string());
                    match &m.content {
                        Some((_, items)) => self.items(items, &inside, &child),
                        None => self.file(&file_of(folder, m), &inside, &child),
                    }
                }
                item => {
                    let mut found = Found { module, uses: Vec::new(), others: Vec::new() };
                    found.visit_item(item);
                    self.uses.entry(module.clone()).or_default().extend(found.uses);
                    self.others.entry(module.clone()).or_default().extend(found.others);
                    if let syn::Item::Use(u) = item
                        && !matches!(u.vis, syn::Visibility::Inherited)
                    {
                        self.give(&u.tree, module);
                    }
                }
            }
        }
    }

    fn give(&mut self, tree: &syn::UseTree, module: &Module) {
        let mut leaves = Vec::new();
        walk(tree, &mut Vec::new(), &mut leaves);
        for (path, name) in leaves {
            if let Some(path) = absolute(&path, module, true) {
                self.given.insert([&module[..], &[name]].concat(), path);
            }
        }
    }

    /// The module that a path leads to, through `pub use`.
    fn target(&self, path: &Module) -> Module {
        let mut path = path.clone();
        // As many steps as any chain of names given further has.
        for _ in 0..8 {
            let shorter = (1..=path.len()).find_map(|n| {
                // A module's own name comes before a function of the same name.
                if self.uses.contains_key(&path[..n]) {
                    return None;
                }
                self.given.get(&path[..n]).map(|to| [&to[..], &path[n..]].concat())
            });
            match shorter {
                Some(next) => path = next,
                None => break,
            }
        }
        let known = (0..=path.len()).rev().find(|n| self.uses.contains_key(&path[..*n])).unwrap_or(0);
        path[..known].to_vec()
    }

    /// The modules directly inside `module`.
    fn children(&self, module: &Module) -> BTreeSet<&String> {
        let depth = module.len();
        self.uses
            .keys()
            .filter(|m| m.len() == depth + 1 && m.starts_with(module))
            .map(|m| &m[depth])
            .collect()
    }

    /// What the children of `module` and the list of them do not have in common, for people.
    pub fn unlisted(&self, module: &Module, order: &[String]) -> Vec<String> {
        let children = self.children(module);
        let name = if module.is_empty() { "the crate".to_string() } else { module.join("::") };
        let new = children.iter().filter(|c| !order.contains(c));
        let new = new.map(|c| format!("{name} has a module {c} that has no place in the table"));
        let gone = order.iter().filter(|o| !children.contains(o));
        new.chain(gone.map(|o| format!("{name} has no module {o}, which the table lists"))).collect()
    }

    /// How the children of `module` use each other.
    pub fn uses(&self, module: &Module) -> Vec<Use> {
        let depth = module.len();
        let mut all = Vec::new();
        for (from, paths) in self.uses.iter().filter(|(m, _)| m.len() > depth && m.starts_with(module)) {
            for path in paths {
                let to = self.target(path);
                if to.len() > depth && to.starts_with(module) && to[depth] != from[depth] {
                    let (user, used) = (from[depth].clone(), to[depth].clone());
                    all.push(Use { user, used, from: from.join("::"), path: path.join("::") });
                }
            }
        }
        all
    }

    /// Modules that use the module `kit`, given with its crate, and are not inside it.
    pub fn users_of(&self, kit: &str) -> Vec<String> {
        let kit: Vec<String> = kit.split("::").map(str::to_string).collect();
        let own = |m: &Module| [std::slice::from_ref(&self.name), &m[..]].concat();
        let inside = |m: &Module| own(m).starts_with(&kit);
        let here = self.uses.iter().filter(|(_, uses)| uses.iter().any(|u| inside(&self.target(u))));
        let there = self.others.iter().filter(|(_, uses)| uses.iter().any(|u| u.starts_with(&kit)));
        let users: BTreeSet<Module> = here
            .chain(there)
            .map(|(m, _)| m)
            .filter(|m| !kit.starts_with(&own(m)) && !inside(m))
            .map(own)
            .collect();
        users.into_iter().map(|m| m.join("::")).collect()
    }
}

/// Collects the paths of an item: into its own crate, and into others of the workspace.
struct Found<'a> {
    module: &'a Module,
    uses: Vec<Module>,
    others: Vec<Module>,
}

impl Found<'_> {
    fn add(&mut self, path: &[String], in_use: bool) {
        match path.first() {
            Some(first) if first.starts_with("accllm_") => self.others.push(path.to_vec()),
            _ => self.uses.extend(absolute(path, self.module, in_use)),
        }
    }
}

impl<'ast> Visit<'ast> for Found<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut leaves = Vec::new();
        walk(&item.tree, &mut Vec::new(), &mut leaves);
        leaves.iter().for_each(|(path, _)| self.add(path, true));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|s| s.ident.unraw().to_string()).collect();
        self.add(&words, false);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        // What is inside is text to the parser: paths that say `crate` are found, others are imported by a `use`.
        let text = mac.tokens.to_string().replace(' ', "");
        for part in text.split("crate::").skip(1) {
            let end = part.find(|c: char| !(c.is_alphanumeric() || "_:".contains(c))).unwrap_or(part.len());
            let words = part[..end].split("::").filter(|w| !w.is_empty()).map(str::to_string);
            self.uses.push(words.collect());
        }
    }

    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
        if !is_test(&f.attrs) {
            visit::visit_item_fn(self, f);
        }
    }
}

/// The leaves of a `use`, with the name that each has here.
fn walk(tree: &syn::UseTree, before: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, String)>) {
    match tree {
        syn::UseTree::Path(p) => {
            before.push(p.ident.unraw().to_string());
            walk(&p.tree, before, leaves);
            before.pop();
        }
        syn::UseTree::Group(g) => g.items.iter().for_each(|t| walk(t, before, leaves)),
        syn::UseTree::Name(n) if n.ident == "self" => {
            leaves.push((before.clone(), before.last().cloned().unwrap_or_default()));
        }
        syn::UseTree::Name(n) => {
            leaves
                .push(([&before[..], &[n.ident.unraw().to_string()]].concat(), n.ident.unraw().to_string()));
        }
        syn::UseTree::Rename(r) => {
            leaves.push(([&before[..], &[r.ident.unraw().to_string()]].concat(), r.rename.to_string()));
        }
        syn::UseTree::Glob(_) => leaves.push((before.clone(), String::new())),
    }
}

/// The path from the crate's root; `None` where it leads elsewhere. In a `use` a bare name may be a child module.
fn absolute(path: &[String], module: &Module, in_use: bool) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" if !rest.is_empty() => Some([&module[..], rest].concat()),
        "super" => {
            let above = module.split_last().map(|(_, above)| above.to_vec()).unwrap_or_default();
            match rest.first().map(String::as_str) {
                Some("super") => absolute(rest, &above, in_use),
                _ => Some([&above[..], rest].concat()),
            }
        }
        _ if in_use => Some([&module[..], path].concat()),
        _ => None,
    }
}

fn file_of(folder: &Path, m: &syn::ItemMod) -> PathBuf {
    let flat = folder.join(format!("{}.rs", m.ident.unraw()));
    if flat.is_file() { flat } else { folder.join(m.ident.unraw().to_string()).join("mod.rs") }
}

/// Whether something is there for tests only.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| match &a.meta {
        syn::Meta::Path(p) => p.is_ident("test"),
        syn::Meta::List(l) => l.path.is_ident("cfg") && l.tokens.to_string() == "test",
        syn::Meta::NameValue(_) => false,
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Mod(i) => &i.attrs,
        syn::Item::Use(i) => &i.attrs,
        syn::Item::Fn(i) => &i.attrs,
        syn::Item::Impl(i) => &i.attrs,
        syn::Item::Struct(i) => &i.attrs,
        syn::Item::Const(i) => &i.attrs,
        _ => &[],
    }
}
