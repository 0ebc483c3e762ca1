//! A cluster of real processes on loopback: the same bytes as without one, and what happens
//! when one of them comes late or is killed.
//!
//! Nothing waits for a time: each wait is for something that a process says, or for a pipe
//! that it opens. An executor is held in the middle of its work by such a pipe in place of
//! a file that it has to read.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::run::House;
use crate::whole_way::filled;

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_mins(2);
/// Says that no two ids are one organisation, which is what is known without a file.
const NOBODY: &str = "";
/// What a plan shows of the operator that counts.
const OPERATOR: &str =
    "CountExec: by=[month, country], days=[2024-04-02 to 2024-11-06]";

/// A process of a cluster.
struct Process {
    child: Child,
    words: Receiver<String>,
    heard: Vec<String>,
}

impl Process {
    fn start(house: &House, arguments: &[&str]) -> Self {
        let mut child =
            command(house, arguments).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (say, words) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, words, heard: Vec::new() }
    }

    /// Waits until it says a line with this in it, and returns the line.
    fn hear(&mut self, what: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let Ok(line) = self.words.recv_timeout(PATIENCE) else { break };
            self.heard.push(line.clone());
            if line.contains(what) {
                return line;
            }
        }
        panic!("it never said `{what}` but\n{}", self.heard.join("\n"));
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(house: &House, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    command.current_dir(house.path(".")).env_remove("TIDEGAUGE_LAKE").args(arguments);
    command
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A scheduler that takes three seconds of silence for death.
fn scheduler(house: &House, port: u16) -> Process {
    let listen = format!("127.0.0.1:{port}");
    let scheduler = ["cluster", "scheduler", "--listen", &listen, "--silence", "3"];
    let mut scheduler = Process::start(house, &scheduler);
    scheduler.hear("scheduler: df://");
    scheduler
}

/// An executor of one core with more flags, that says when it is known.
fn executor(house: &House, scheduler: u16, flags: &[&str]) -> Process {
    let (rows, work) = (free_port().to_string(), free_port().to_string());
    let scheduler = format!("df://127.0.0.1:{scheduler}");
    let ports = ["--rows-port", &rows, "--work-port", &work];
    let own = ["--scheduler", &scheduler, "--heartbeat", "1", "--cores", "1"];
    let all = [&["cluster", "executor"], &ports[..], &own, flags].concat();
    let mut executor = Process::start(house, &all);
    executor.hear("executor: counts in");
    executor
}

const QUESTIONS: &[&[&str]] = &[
    &["census"],
    &["census", "--internal", "--by", "product,country,kind", "--on", "each-day"],
    &["--format", "json", "census", "--by", "month,country"],
    &["--format", "csv", "census", "--internal", "--by", "month,day,vantage,signal"],
    &["census", "--country", "DE", "--role", "update", "--active-days", "1"],
];

/// Asks with and without a cluster; both must say the same, on both streams.
fn compare(house: &House, cluster: &str, questions: &[&[&str]]) {
    for question in questions {
        let alone = house.run(question);
        let asked = house.run(&[&["--cluster", cluster], *question].concat());
        assert_eq!(asked.code, 0, "{question:?}\n{}", asked.words);
        assert_eq!(asked.out, alone.out, "{question:?}");
        assert_eq!(asked.words, alone.words, "{question:?}");
        assert!(asked.out.lines().count() > 1, "{}", asked.out);
    }
}

/// Makes a pipe in the place of a file.
fn pipe(house: &House, name: &str) -> String {
    let path = house.path(name).to_str().unwrap().to_owned();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// Opens a pipe for writing, which takes until somebody opens it for reading.
fn when_read(path: &str) -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open(path).unwrap()
}

fn text(output: &Output) -> String {
    let (out, words) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(words))
}

#[test]
fn two_executors_count_what_one_process_counts_byte_for_byte() {
    let house = filled();
    let port = free_port();
    let _scheduler = scheduler(&house, port);
    let _one = executor(&house, port, &[]);
    let _two = executor(&house, port, &[]);
    compare(&house, &format!("df://127.0.0.1:{port}"), QUESTIONS);

    let explain = ["census", "--by", "month,country", "--explain"];
    for flags in [&[][..], &["--cluster", "df://127.0.0.1:1"]] {
        let plan = house.done(&[flags, &explain[..]].concat());
        assert!(plan.contains(OPERATOR), "{plan}");
        assert!(plan.contains("holders=[merge with the map of each day"), "{plan}");
        assert!(plan.contains("portion 0: 2024-04-02 to 2024-04-30, :: to"), "{plan}");
    }

    // A newer map and more sightings are counted by the executors that run.
    let registry = house.path("registry.csv");
    let later = std::fs::read_to_string(&registry).unwrap().replace(",US,", ",FR,");
    let later = house.file("later.csv", later);
    let import = ["atlas", "import", "--source", "holders", "--snapshot", "2024-11-01"];
    house.done(&[&import[..], &[&later]].concat());
    house.done(&["ingest", "logs", "--vantage", "another"]);
    compare(&house, &format!("df://127.0.0.1:{port}"), QUESTIONS);
}

#[test]
fn an_executor_killed_at_work_and_one_that_comes_late_change_no_count() {
    let house = filled();
    let port = free_port();
    let _scheduler = scheduler(&house, port);
    let cluster = format!("df://127.0.0.1:{port}");
    let file = house.file("nobody.toml", NOBODY);
    let held = pipe(&house, "held.toml");
    let question = ["--organisations-file", &file, "census", "--by", "month,country"];
    let alone = command(&house, &question).output().unwrap();
    let asked = [&["--cluster", &cluster], &question[..]].concat();

    // The first to have the work stops in the middle of it, and dies there.
    let first = executor(&house, port, &["--organisations-file", &held]);
    let asking = command(&house, &asked);
    let asking =
        { asking }.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let at_work = when_read(&held);
    let late = executor(&house, port, &["--organisations-file", &file]);
    first.kill();
    drop(at_work);
    let answered = asking.wait_with_output().unwrap();
    assert!(answered.status.success(), "{}", text(&answered));
    assert_eq!(text(&answered), text(&alone));

    // The next question is answered by who is left, and by who comes.
    compare(&house, &cluster, &[&question]);
    let _third = executor(&house, port, &["--organisations-file", &file]);
    drop(late);
    compare(&house, &cluster, &[&question]);
}

#[test]
fn a_question_waits_for_an_executor_and_a_restarted_scheduler_is_found_again() {
    let house = filled();
    let port = free_port();
    let cluster = format!("df://127.0.0.1:{port}");
    let question = ["census", "--by", "month,country"];
    let alone = command(&house, &question).output().unwrap();
    let first = scheduler(&house, port);
    let asked = [&["-v", "--cluster", &cluster], &question[..]].concat();
    let mut asking = command(&house, &asked);
    let asking = asking.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _executor = executor(&house, port, &[]);
    let answered = asking.wait_with_output().unwrap();
    assert!(answered.status.success(), "{}", text(&answered));
    assert_eq!(answered.stdout, alone.stdout);

    first.kill();
    let refused = house.run(&[&["--cluster", &cluster], &question[..]].concat());
    assert_eq!(refused.code, 1);
    assert!(refused.words.contains("no scheduler answers at"), "{}", refused.words);
    assert!(refused.words.contains("hint: "), "{}", refused.words);
    let _second = scheduler(&house, port);
    compare(&house, &cluster, &[&question]);
}

#[test]
fn a_question_to_a_cluster_without_executors_ends() {
    let house = filled();
    let port = free_port();
    let cluster = format!("df://127.0.0.1:{port}");
    let _scheduler = scheduler(&house, port);
    let refused = house.run(&["--cluster", &cluster, "census"]);
    assert_eq!(refused.code, 1);
    let said = format!("ERROR the scheduler at {cluster} has had no executor for");
    assert!(refused.words.starts_with(&said), "{}", refused.words);
    assert!(refused.words.contains("hint: "), "{}", refused.words);
}

#[test]
fn a_scheduler_killed_under_way_is_told_and_nothing_is_counted_in_part() {
    let house = filled();
    let port = free_port();
    let cluster = format!("df://127.0.0.1:{port}");
    let first = scheduler(&house, port);
    let file = house.file("nobody.toml", NOBODY);
    let held = pipe(&house, "held.toml");
    let executor = executor(&house, port, &["--organisations-file", &held]);
    let question = ["--organisations-file", &file, "census"];
    let mut asking =
        command(&house, &[&["--cluster", &cluster], &question[..]].concat());
    let asking = asking.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut at_work = when_read(&held);
    first.kill();
    let answered = asking.wait_with_output().unwrap();
    assert_eq!(answered.status.code(), Some(1), "{}", text(&answered));
    assert!(answered.stdout.is_empty());
    assert!(text(&answered).contains(&cluster), "{}", text(&answered));
    at_work.write_all(NOBODY.as_bytes()).unwrap();
    drop((at_work, executor));
}

#[test]
fn an_executor_with_another_map_or_another_lake_says_so_at_once() {
    let house = filled();
    let port = free_port();
    let cluster = format!("df://127.0.0.1:{port}");
    let _scheduler = scheduler(&house, port);
    let other = house.file("other.toml", "# another text\n");
    let stranger = executor(&house, port, &["--organisations-file", &other]);
    let refused = house.run(&["--cluster", &cluster, "census"]);
    assert_eq!(refused.code, 1, "{}", refused.words);
    assert!(
        refused.words.contains("other sectors or organisations"),
        "{}",
        refused.words
    );
    assert!(refused.words.contains("hint: "), "{}", refused.words);
    drop(stranger);

    let elsewhere = filled();
    let _other_lake = executor(&elsewhere, port, &[]);
    let refused = house.run(&["--cluster", &cluster, "census"]);
    assert_eq!(refused.code, 1, "{}", refused.words);
    assert!(refused.words.contains("this executor counts in"), "{}", refused.words);
}

#[test]
fn a_damaged_file_is_told_by_the_cluster_as_without_one() {
    let house = filled();
    let port = free_port();
    let cluster = format!("df://127.0.0.1:{port}");
    let _scheduler = scheduler(&house, port);
    let _executor = executor(&house, port, &[]);
    // The first page of the first column, which is read for nothing but to count: of
    // sightings that of vantages, where they are asked for.
    let damage = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[4..64].fill(0);
        std::fs::write(path, bytes).unwrap();
    };
    let state = data_file(&house.path("lake/state"));
    for damaged in [&state, &data_file(&house.path("lake/sightings"))] {
        damage(damaged);
        let alone = house.run(&["census", "--by", "vantage"]);
        let refused = house.run(&["--cluster", &cluster, "census", "--by", "vantage"]);
        assert_eq!((alone.code, refused.code), (1, 1));
        let told = format!("is damaged: {}", damaged.display());
        assert!(alone.words.contains(&told), "{}", alone.words);
        let said = alone.words.replace("ERROR ", "");
        assert_eq!(refused.words, format!("ERROR on the cluster at {cluster}: {said}"));
        // Without it, sightings are read.
        if state.exists() {
            std::fs::remove_file(&state).unwrap();
        }
    }
}

/// A Parquet file below a folder.
fn data_file(folder: &Path) -> std::path::PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    let mut found = paths.into_iter().filter_map(|path| match path.extension() {
        Some(kind) if kind == "parquet" => Some(path),
        _ if path.is_dir() && !path.ends_with("_delta_log") => Some(data_file(&path)),
        _ => None,
    });
    found.next().unwrap()
}
