//! The structure of the sources: stairs that go one way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

/// The modules of a folder and of those below it: name, and text without tests and comments.
fn modules(folder: &Path, above: &str) -> BTreeMap<String, String> {
    let tests_and_comments = Regex::new(r"(?s)#\[cfg\(test\)\]\nmod tests.*|//[^\n]*").unwrap();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let name = if above.is_empty() { name.to_owned() } else { format!("{above}::{name}") };
        if path.is_dir() {
            found.extend(modules(&path, &name));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = tests_and_comments.replace_all(&text, "").into_owned();
            found.insert(name.strip_suffix("::mod").unwrap_or(&name).to_owned(), text);
        }
    }
    found
}

/// The paths behind `crate::` and `super::`, groups taken apart one level deep.
fn imports(module: &str, text: &str) -> BTreeSet<String> {
    let path = Regex::new(r"\b(crate|super)::((?:\w+::)*)(?:(\w+)|\{([^;}]*)\})").unwrap();
    let above = module.rsplit_once("::").map_or("", |(above, _)| above);
    let mut found = BTreeSet::new();
    for import in path.captures_iter(text) {
        let start = if &import[1] == "super" && !above.is_empty() {
            format!("{above}::{}", &import[2])
        } else {
            import[2].to_owned()
        };
        let names = import.get(3).or(import.get(4)).unwrap().as_str();
        found.extend(names.split(',').map(|name| format!("{start}{}", name.trim())));
    }
    found
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = modules(&src, "");
    // They name all others.
    for root in ["lib", "fuzzing"] {
        modules.remove(root);
    }
    assert!(modules.len() > 15, "{:?}", modules.keys());
    let home = |import: &str| {
        let mut path = import;
        loop {
            if modules.contains_key(path) {
                return Some(path.to_owned());
            }
            path = path.rsplit_once("::")?.0;
        }
    };
    let uses: BTreeMap<&str, BTreeSet<String>> = modules
        .iter()
        .map(|(name, text)| {
            let mut homes: BTreeSet<String> =
                imports(name, text).iter().filter_map(|import| home(import)).collect();
            // A module names those below it without `crate` or `super`.
            let below = modules.keys().filter(|other| {
                let child = other.strip_prefix(name.as_str()).and_then(|c| c.strip_prefix("::"));
                child.is_some_and(|child| {
                    text.contains(&format!("use {child}::"))
                        || text.contains(&format!(" {child}::"))
                })
            });
            homes.extend(below.cloned());
            (name.as_str(), homes)
        })
        .collect();
    assert!(uses["session"].contains("retry") && uses["retry"].contains("request"), "{uses:?}");
    for start in uses.keys() {
        let (mut reached, mut left) = (BTreeSet::new(), vec![*start]);
        while let Some(module) = left.pop() {
            for next in uses[module].iter().filter(|next| *next != module) {
                assert_ne!(next, start, "{start} is imported by {module}, which it reaches");
                if reached.insert(next) {
                    left.push(next);
                }
            }
        }
    }
}

#[test]
fn only_one_file_uses_what_ureq_may_change() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let users: Vec<String> = modules(&src, "")
        .into_iter()
        .filter(|(_, text)| text.contains("unversioned"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(users, ["connect"]);
    // What has met no break since ureq 3.0.
    let unversioned = Regex::new(r"unversioned::\w+::(?:\{([^}]*)\}|(\w+))").unwrap();
    let connect = &modules(&src, "")["connect"];
    let mut names: Vec<&str> = unversioned
        .captures_iter(connect)
        .flat_map(|import| import.get(1).or(import.get(2)).unwrap().as_str().split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "Buffers",
            "ConnectionDetails",
            "Connector",
            "DefaultConnector",
            "NextTimeout",
            "ResolvedSocketAddrs",
            "Resolver",
            "Transport",
        ]
    );
}
