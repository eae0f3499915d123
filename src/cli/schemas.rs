//! The JSON Schemas of what commands print: which verb prints which types.
//!
//! A verb that prints several has the schema of any of them. `coral reference --schemas docs/json` writes them; tests compare
//! what is there with that, and what every command prints with its schema. A schema allows fields that it does not know: some
//! may come with the same version.

use super::json::{Said, Text, Version};
use super::output::schema_name;
use super::{
    add, best, bisect, blame, branch, cat, check_attr, check_ignore, clean, commit, compare, config, convert,
    diff, drain, error, export, fsck, hooks, init, lineage, log, ls, manifest, merged, mv, notes, plot,
    prefetch, reflog, repack, reset, restore, rm, show, show_tensor, similar, soup, stash, stats, status,
    switch, tag, undo, verify, watch,
};
#[cfg(feature = "mount")]
use super::{mount, mounts, umount};
#[cfg(feature = "mount")]
use crate::fs::MountStats;
use crate::tensors::Facts;
use clap::Command;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// How a type is described.
type Shape = fn(&mut SchemaGenerator) -> Schema;

macro_rules! shapes {
    ($($shape:ty),+ $(,)?) => { Some(vec![$(<$shape as JsonSchema>::json_schema as Shape),+]) };
}

/// What a verb prints; `None` of one that is not here, which a test finds.
fn of_verb(verb: &str) -> Option<Vec<Shape>> {
    match verb {
        "init" => shapes![init::MadeRepository],
        #[cfg(feature = "mount")]
        "mount" => shapes![mount::MountedBy, Said],
        #[cfg(feature = "mount")]
        "umount" => shapes![umount::Unmounted],
        #[cfg(feature = "mount")]
        "mounts" => shapes![mounts::Mounts],
        "add" => shapes![add::Taken, Said],
        "rm" => shapes![rm::Removed],
        "mv" => shapes![mv::Renamed],
        "clean" => shapes![clean::Cleaned],
        "restore" => shapes![restore::BroughtBack],
        "reset" => shapes![reset::Went],
        "stash" => {
            shapes![stash::StashRow, stash::Stashes, stash::StashShown, stash::Dropped, stash::Branched,]
        }
        "status" => shapes![status::Status],
        "commit" => shapes![commit::Done, commit::Foretold],
        "diff" => shapes![diff::Differing, diff::DifferingNames, Said],
        "compare" => shapes![compare::Compared],
        "log" => shapes![log::Logged],
        "reflog" => shapes![reflog::Moves],
        "show" => shapes![
            show::CommitShown,
            show::DirectoryShown,
            show::LinkShown,
            show::FileShown,
            show_tensor::TensorsShown,
            show::ManyShown,
        ],
        "ls" => shapes![ls::Entries],
        "cat" => shapes![cat::FileText, cat::Files],
        "similar" => shapes![similar::Resembling],
        "lineage" => shapes![lineage::Derived],
        "plot" => shapes![plot::Drawn<plot::Curves>, plot::Drawn<plot::Counted>, plot::Drawn<plot::Table>],
        "export" => shapes![export::Written],
        "convert" => shapes![convert::Converted],
        "branch" => shapes![
            branch::Listed,
            branch::Current,
            branch::Made,
            branch::Renamed,
            branch::Moved,
            branch::DeletedBranch,
            branch::DeletedBranches,
        ],
        "switch" => shapes![switch::Switched, switch::Decided, switch::Restored],
        "merge" | "cherry-pick" | "revert" => shapes![merged::Came, merged::GivenUp, Said],
        "soup" => shapes![soup::Made, merged::Came, merged::GivenUp, Said],
        "tag" => shapes![tag::Tags, tag::Tagged, tag::DeletedTag, tag::DeletedTags],
        "notes" => shapes![notes::NoteRow, notes::Notes],
        "best" => shapes![best::Found],
        "blame" => shapes![blame::Blame],
        "bisect" => shapes![bisect::Progress, bisect::Known, Said],
        "undo" => shapes![undo::TakenBack],
        "redo" => shapes![undo::DoneAgain],
        "op" => shapes![undo::Operations],
        "watch" => shapes![watch::Moved],
        "stats" => shapes![stats::Figures],
        "fsck" => shapes![fsck::Checked],
        "verify" => shapes![verify::VerifiedCommits],
        "manifest" => shapes![manifest::Manifest],
        "drain" => shapes![drain::Drained],
        "prefetch" => shapes![prefetch::Copied],
        "repack" => shapes![repack::Repacked],
        "check-ignore" => shapes![check_ignore::LeftOut],
        "check-attr" => shapes![check_attr::SaidOf],
        "config" => shapes![
            config::Settings,
            config::Value,
            config::SetTo,
            config::Unset,
            config::Edited,
            config::Migration,
            Said,
        ],
        "completions" | "workflows" => shapes![Text],
        "reference" => shapes![Text, Said],
        "man" => shapes![Said],
        #[cfg(feature = "mount")]
        "demo" => shapes![Said],
        _ => None,
    }
}

/// A schema, and the name of its file without the ending.
pub struct Document {
    pub name: String,
    pub schema: Value,
}

/// The schemas of all verbs, of what is printed beside them, and of the files of a mount.
///
/// # Errors
/// The name of a verb that has none.
pub fn documents(grammar: &Command) -> Result<Vec<Document>, String> {
    let of = |name: &str, about: &str, shapes: Option<Vec<Shape>>| match shapes {
        Some(shapes) => Ok(Document { name: name.to_owned(), schema: document(Some(name), about, &shapes) }),
        None => Err(name.to_owned()),
    };
    let mut all = Vec::new();
    for verb in grammar.get_subcommands().map(Command::get_name).filter(|name| *name != "help") {
        let each = if verb == "watch" { ", on each line" } else { "" };
        all.push(of(verb, &format!("What `coral {verb} --json` prints{each}."), of_verb(verb))?);
    }
    let failed = "What any command prints with `--json` if it fails.";
    all.push(of("error", failed, shapes![error::Failed<'static>])?);
    all.push(of("help", "What `coral help --json` prints, of any command.", shapes![Text, Said])?);
    all.push(of("version", "What `coral --version --json` prints.", shapes![Version])?);
    all.push(of("hook", "What a hook reads: see docs/hooks.md.", shapes![hooks::Heard])?);
    let tensor = "What `tensors/REF/FILE/NAME.json` of a mount says.";
    all.push(plain("mount-tensor", tensor, <Facts as JsonSchema>::json_schema));
    #[cfg(feature = "mount")]
    all.push(plain("mount-stats", "What `.coral/stats.json` of a mount says.", MountStats::json_schema));
    Ok(all)
}

/// Of what says no name of itself.
fn plain(name: &str, about: &str, shape: Shape) -> Document {
    Document { name: name.to_owned(), schema: document(None, about, &[shape]) }
}

/// One document of any of these shapes, each of which says the name of its schema.
fn document(name: Option<&str>, about: &str, shapes: &[Shape]) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(plainly());
    let mut generator = settings.into_generator();
    let described = shapes.iter().map(|shape| {
        let mut described = shape(&mut generator);
        plainly().transform(&mut described);
        described.to_value()
    });
    let mut described: Vec<Value> = described.collect();
    let schema = name.map(schema_name);
    if let Some(schema) = &schema {
        described.iter_mut().for_each(|shape| say_name(shape, schema));
    }
    let mut whole = Map::new();
    whole.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    whole.extend(schema.map(|schema| ("title".to_owned(), schema.into())));
    whole.insert("description".into(), about.into());
    match <[Value; 1]>::try_from(described) {
        Ok([Value::Object(only)]) => {
            whole.extend(only.into_iter().filter(|(key, _)| key != "description"));
        }
        Ok([other]) => drop(whole.insert("allOf".into(), vec![other].into())),
        Err(several) => drop(whole.insert("anyOf".into(), several.into())),
    }
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        whole.insert("$defs".into(), Value::Object(definitions));
    }
    Value::Object(whole)
}

/// What this program prints is less than what its types could be: what may be left out is never null. Names of types are
/// nobody's business.
fn plainly() -> impl Transform + Clone {
    RecursiveTransform(|schema: &mut Schema| {
        schema.remove("title");
        let required: Vec<Value> =
            schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
        let optional = properties.iter_mut().filter(|(name, _)| !required.contains(&name.as_str().into()));
        for (_, property) in optional {
            let several = |value: &mut Value| value.as_array_mut().map(|all| all.retain(|one| !is_null(one)));
            let Value::Object(property) = property else { continue };
            for key in ["type", "anyOf", "enum"] {
                property.get_mut(key).and_then(several);
            }
        }
    })
}

fn is_null(one: &Value) -> bool {
    *one == Value::Null || *one == "null" || one["type"] == "null"
}

/// Lets an object, or each of those that it may be, begin with the name of its schema.
fn say_name(shape: &mut Value, name: &str) {
    let Value::Object(shape) = shape else { return };
    if shape.contains_key("properties") {
        return put_name(shape, name);
    }
    // No level below that: what a verb prints is one object, or one of several.
    for several in ["oneOf", "anyOf"] {
        if let Some(Value::Array(variants)) = shape.get_mut(several) {
            variants.iter_mut().filter_map(Value::as_object_mut).for_each(|one| put_name(one, name));
        }
    }
}

fn put_name(object: &mut Map<String, Value>, name: &str) {
    let mut properties = Map::new();
    let constant = Map::from_iter([("type".to_owned(), "string".into()), ("const".to_owned(), name.into())]);
    properties.insert("schema".into(), Value::Object(constant));
    if let Some(Value::Object(own)) = object.remove("properties") {
        // Where the type says that it has one, this is which.
        properties.extend(own.into_iter().filter(|(key, _)| key != "schema"));
    }
    let mut required = vec![Value::from("schema")];
    if let Some(Value::Array(own)) = object.remove("required") {
        required.extend(own.into_iter().filter(|key| key != "schema"));
    }
    object.insert("properties".into(), Value::Object(properties));
    object.insert("required".into(), required.into());
}
