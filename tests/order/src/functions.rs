//! The functions of a tree of sources: how long they are, and which take a tuple apart where they name their parameters.

use std::path::{Path, PathBuf};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// A function, a method or a function of a trait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The file that it is in.
    pub file: PathBuf,
    /// The line of its name, from 1.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// Lines from its name to its last brace.
    pub lines: usize,
    /// Parameters that are tuples of names: `(a, b): (usize, usize)`.
    pub tuples: usize,
}

/// The functions of all Rust files below `folder`, tests too.
///
/// # Panics
/// A file cannot be read, or is no Rust.
pub fn functions(folder: &Path) -> Vec<Function> {
    let mut all = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a folder's entry").path())
        .collect();
    entries.sort_unstable();
    for path in entries {
        if path.is_dir() {
            all.extend(functions(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let source = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let mut found = Found { file: &path, all: Vec::new() };
            found.visit_file(&source);
            all.append(&mut found.all);
        }
    }
    all
}

struct Found<'a> {
    file: &'a Path,
    all: Vec<Function>,
}

impl Found<'_> {
    fn add(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let (start, end) = (signature.fn_token.span().start().line, body.brace_token.span.close().end().line);
        let tuple = |input: &&syn::FnArg| match input {
            syn::FnArg::Typed(typed) => matches!(&*typed.pat, syn::Pat::Tuple(_)),
            syn::FnArg::Receiver(_) => false,
        };
        self.all.push(Function {
            file: self.file.to_path_buf(),
            line: start,
            name: signature.ident.to_string(),
            lines: end + 1 - start,
            tuples: signature.inputs.iter().filter(tuple).count(),
        });
    }
}

impl<'ast> Visit<'ast> for Found<'_> {
    fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
        self.add(&f.sig, &f.block);
        visit::visit_item_fn(self, f);
    }

    fn visit_impl_item_fn(&mut self, f: &'ast syn::ImplItemFn) {
        self.add(&f.sig, &f.block);
        visit::visit_impl_item_fn(self, f);
    }

    fn visit_trait_item_fn(&mut self, f: &'ast syn::TraitItemFn) {
        if let Some(body) = &f.default {
            self.add(&f.sig, body);
        }
        visit::visit_trait_item_fn(self, f);
    }
}
