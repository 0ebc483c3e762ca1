//! Running the binary and reading what it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder with a lake, and the binary to use it with.
pub(crate) struct House {
    folder: TempDir,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) words: String,
}

impl House {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and returns its path as text.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs the binary in the folder, its lake there too.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[])
    }

    /// The same with more variables of the environment.
    pub(crate) fn run_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Ended {
        let mut command = self.command(arguments);
        let output = command.envs(environment.iter().copied()).output().unwrap();
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            words: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The binary, about to run in the folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
        command.current_dir(self.folder.path()).args(arguments);
        command.env_remove("TIDEGAUGE_LAKE");
        command
    }

    /// Makes a token, kept in `tokens.toml`.
    pub(crate) fn token(&self, name: &str, clearance: &str) -> String {
        let made = ["serve", "token", name, "--clearance", clearance];
        self.done(&[&made[..], &["--tokens", "tokens.toml"]].concat()).trim().to_owned()
    }

    /// Runs the binary, which must succeed, and returns what it printed.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}\n{}\n{}", ended.out, ended.words);
        ended.out
    }

    /// Rows of a verb that prints JSON.
    pub(crate) fn rows(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let mut all = vec!["--format", "json"];
        all.extend(arguments);
        let document: serde_json::Value =
            serde_json::from_str(&self.done(&all)).unwrap();
        assert_eq!(document["schema_version"], 3);
        document["rows"].as_array().unwrap().clone()
    }
}

/// The folder of captures and logs beside the project, if it is there.
pub(crate) fn shared(test: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED {test}: shared data folder absent");
    None
}
