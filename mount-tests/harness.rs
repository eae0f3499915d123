//! How tests that need more than Rust are run.
//!
//! A test whose tools are missing here is reported as ignored, with what is missing; where `CI` is `true` it fails.

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// What a test needs and this machine does not have.
#[derive(Debug)]
pub struct Missing(pub String);

/// A test: it panics on failure, and says what is missing if it cannot run.
pub type Test = fn() -> Result<(), Missing>;

/// Tests with their names: `module: test, test; module: test;`.
macro_rules! tests {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        vec![$($((
            concat!(stringify!($module), "::", stringify!($name)),
            $module::$name as crate::harness::Test,
        )),+),+]
    };
}

/// Runs tests as the command line asks for.
pub fn run(tests: Vec<(&'static str, Test)>) -> ExitCode {
    let trials = tests.into_iter().map(|(name, test)| Trial::ignorable_test(name, move || complete(test)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn complete(test: Test) -> Result<Completion, Failed> {
    match test() {
        Ok(()) => Ok(Completion::Completed),
        Err(missing) if std::env::var("CI").is_ok_and(|value| value == "true") => Err(missing.0.into()),
        Err(missing) => Ok(Completion::ignored_with(missing.0)),
    }
}

/// A folder on the disk that the build is on: the system's own may be too small or in memory.
pub fn scratch(prefix: &str) -> tempfile::TempDir {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tempfile::Builder::new().prefix(prefix).tempdir_in(parent).expect("a scratch folder")
}
