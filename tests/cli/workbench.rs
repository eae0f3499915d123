//! A scratch folder to run `coral` in, away from the settings of whoever runs the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A scratch folder with a repository in `repo`.
pub struct Workbench {
    folder: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Workbench {
    /// A folder with an empty repository.
    pub fn new() -> Self {
        let bench = Self::bare();
        bench.outside(&["init", "repo"]).succeeds();
        bench
    }

    /// A folder without a repository.
    pub fn bare() -> Self {
        Self { folder: tempfile::tempdir().expect("a scratch folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command that is about to run in a folder.
    pub fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coral"));
        command.current_dir(folder).args(arguments).env_clear().env("HOME", self.folder.path().join("home"));
        command
    }

    /// Runs in the repository's folder.
    pub fn coral(&self, arguments: &[&str]) -> Ran {
        self.run(self.command(&self.path("repo"), arguments))
    }

    /// Runs beside the repository.
    pub fn outside(&self, arguments: &[&str]) -> Ran {
        self.run(self.command(self.folder.path(), arguments))
    }

    pub fn run(&self, mut command: Command) -> Ran {
        Ran::of(command.output().expect("coral runs"))
    }

    /// Starts in the repository's folder without waiting.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(&self.path("repo"), arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("coral starts")
    }

    /// Writes a file in the repository's folder.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path("repo").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("create");
        fs::write(path, bytes).expect("write");
    }

    /// Writes, adds and commits a file, and returns the commit.
    pub fn commit(&self, name: &str, bytes: &[u8], message: &str) -> String {
        self.write(name, bytes);
        self.coral(&["add", name]).succeeds();
        let committed = self.coral(&["--json", "commit", "-m", message]).json();
        committed["commit"].as_str().expect("an id").to_owned()
    }

    /// The bytes of a file of a revision.
    pub fn cat(&self, target: &str) -> Vec<u8> {
        let output = self.command(&self.path("repo"), &["cat", target]).output().expect("coral runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Fails with this code, and its error output has all of these words.
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}` in {self:?}");
        }
        self
    }

    pub fn json(self) -> serde_json::Value {
        let ran = self.succeeds();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }
}

/// Numbers that look like weights: roughly normal around zero, the same for the same seed.
pub fn weights(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..count).map(|_| (uniform() + uniform() + uniform() + uniform()) * 0.05).collect()
}

/// A safetensors file of f32 tensors.
pub fn safetensors(tensors: &[(&str, &[f32])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, numbers) in tensors {
        let start = end;
        end += 4 * numbers.len();
        let entry =
            serde_json::json!({ "dtype": "F32", "shape": [numbers.len()], "data_offsets": [start, end] });
        header.insert((*name).to_owned(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    bytes.extend(
        tensors.iter().flat_map(|(_, numbers)| numbers.iter().flat_map(|number| number.to_le_bytes())),
    );
    bytes
}
